"""Stacks of Python and native code together: `memtrace run --native`.

Each program makes one block of a size of its own, by Python code that calls C, which calls Python,
which calls C. The functions of the whole stack are known, and their order.
"""

import json
import os
import re
import sysconfig

import pytest
from harness import PROGRAMS, clean_environment, program, run
from test_oracle import is_chosen
from venvs import python_with

SIZE = 54321
VERSIONS = [(3, 8), (3, 10), (3, 11), (3, 12), (3, 13)]


@pytest.fixture
def mixed_python(python):
    if python.version[:2] not in VERSIONS:
        pytest.skip("nothing of this version's own: " + ", ".join("%d.%d" % v for v in VERSIONS))
    return python


def line_of(source, marker):
    """The number of the line that ends with this comment."""
    with open(PROGRAMS / source) as text:
        found = [n for n, line in enumerate(text, 1) if re.search(f"(#|//) {marker}$", line)]
    assert len(found) == 1, (source, marker, found)
    return found[0]


def trace(session, interpreter, script, *arguments, flags=("--native",), python_flags=("-I", "-S")):
    """A snapshot of the script's run, which has to end well. Without `site`: few other stacks."""
    path = session.work_dir / f"{os.path.basename(script)}.mtr"
    argv = [session.memtrace, "run", *flags, "-q", "-f", "-o", path, "--"]
    session_env = {**clean_environment(), "MEMTRACE_DIR": str(session.regions_dir)}
    run(
        [*argv, interpreter, "-X", "utf8", PROGRAMS / "mixed" / script, *arguments],
        env=session_env,
        timeout=120,
    )
    return path


def stack_of(report, size):
    """The frames of the only stack with blocks of this size, innermost first."""
    rows = [row for row in report["rows"] if row["size"] == size * row["count"] and row["count"]]
    assert len(rows) == 1, [(r["size"], r["count"], r["function"]) for r in report["rows"][:10]]
    return rows[0]["frames"]


def stacks(session, snapshot, *flags):
    return session.report(snapshot, "--by", "traceback", "--at", "total", *flags)


def in_words(frame):
    """(function, base name of the file, line)"""
    return (frame["function"], os.path.basename(frame["file"] or ""), frame["line"])


def check_library_stack(session, snapshot, script, between):
    """The order of all frames of ours; what lies between them is `between`'s."""
    frames = stack_of(stacks(session, snapshot, "--domain", "malloc"), SIZE)
    ours = [f for f in frames if f["path"].startswith(str(PROGRAMS))]
    python = f"mixed/{script}"
    name = os.path.basename(script)
    assert [in_words(f) for f in ours] == [
        ("leaf_block", "libmixed.c", line_of("libmixed.c", "the leaf's line")),
        ("mixed_leaf", "libmixed.c", ours[1]["line"]),
        ("innermost", name, line_of(python, "innermost")),
        ("call_back", name, line_of(python, "call back")),
        ("mixed_call", "libmixed.c", line_of("libmixed.c", "the call's line")),
        ("start", name, line_of(python, "start")),
        ("<module>", name, line_of(python, "module")),
    ]
    assert frames[0] is ours[0] and frames[-1] is ours[-1]
    strangers = [f for f in frames if f not in ours and not re.search(between, f["path"])]
    assert strangers == []
    # Both crossings are there: C is reached through the foreign function interface.
    at = [frames.index(f) for f in ours]
    assert at[2] > at[1] + 1 and at[4] > at[3] + 1 and at[5] > at[4] + 1


def test_ctypes(session, mixed_python):
    snapshot = trace(session, mixed_python, "by_ctypes.py", program("libmixed.so"), SIZE)
    check_library_stack(session, snapshot, "by_ctypes.py", "ffi|_ctypes|ctypes/__init__.py")

    report = session.tool(
        "report", snapshot, "--by", "traceback", "--at", "total", "--top", "0", "--domain", "malloc"
    )
    line = line_of("libmixed.c", "the leaf's line")
    # Paths below the present folder are shown relative to it.
    assert re.search(r"^\s+mixed_leaf \(\S*programs/libmixed\.c:\d+\)", report.stdout, re.M)
    assert re.search(rf"leaf_block \(\S*programs/libmixed\.c:{line}\)", report.stdout)
    # By line the block is Python's; by module it is the library's.
    of_library = session.report(snapshot, "--by", "module", "--at", "total")
    (row,) = [r for r in of_library["rows"] if (r["path"] or "").endswith("/libmixed.so")]
    assert (row["size"], row["count"]) == (SIZE, 1)
    (row,) = [
        r
        for r in session.report(snapshot, "--by", "lineno", "--at", "total")["rows"]
        if in_words(r)[1:] == ("by_ctypes.py", line_of("mixed/by_ctypes.py", "innermost"))
    ]
    assert row["size"] >= SIZE


def test_cffi(session, mixed_python, pythons):
    if not is_chosen(mixed_python, pythons):
        pytest.skip("the default and the newest interpreter do; MEMTRACE_E2E_EVERYWHERE=1 for all")
    interpreter = python_with(mixed_python, ("cffi",))
    snapshot = trace(
        session, interpreter, "by_cffi.py", program("libmixed.so"), SIZE, python_flags=()
    )
    check_library_stack(session, snapshot, "by_cffi.py", "ffi")


def build_extension(python, folder):
    """The extension for this interpreter; skips where it has no headers."""
    where = json.loads(
        run(
            [
                python,
                "-c",
                "import json, sysconfig as s; print(json.dumps("
                "[s.get_path('include'), s.get_config_var('EXT_SUFFIX')]))",
            ]
        ).stdout
    )
    include, suffix = where
    if not os.path.exists(os.path.join(include, "Python.h")):
        pytest.skip(f"CPython {python.name} has no Python.h: scripts/test installs libpython3-dev")
    target = folder / f"extension{suffix}"
    run(
        [
            sysconfig.get_config_var("CC").split()[0] if sysconfig.get_config_var("CC") else "cc",
            "-O1",
            "-g",
            "-fPIC",
            "-shared",
            "-fno-optimize-sibling-calls",
            f"-I{include}",
            PROGRAMS / "mixed" / "extension.c",
            "-o",
            target,
        ]
    )
    return target


def test_extension(session, mixed_python, tmp_path):
    """An extension's stacks have no frames but its own and Python's."""
    build_extension(mixed_python, tmp_path)
    snapshot = trace(session, mixed_python, "by_extension.py", tmp_path, SIZE)
    report = stacks(session, snapshot, "--domain", "malloc,python.mem")
    outer = [
        "extension_blocks",
        "innermost",
        "call_back",
        "call_it",
        "extension_call",
        "start",
        "<module>",
    ]
    for size, leaf, domain in (
        (SIZE, "from_malloc", "malloc"),
        (SIZE + 1, "from_python", "python.mem"),
    ):
        (row,) = [r for r in report["rows"] if r["size"] == size and r["count"] == 1]
        assert [f["function"] for f in row["frames"]] == [leaf, *outer]
        assert row["domain"] == domain
    # With the interpreter's own frames: the same in the same order, and the loop around Python's.
    snapshot = trace(
        session, mixed_python, "by_extension.py", tmp_path, SIZE, flags=("--native-interpreter",)
    )
    names = [f["function"] for f in stack_of(stacks(session, snapshot, "--domain", "malloc"), SIZE)]
    assert [n for n in names if n in ("from_malloc", *outer)] == ["from_malloc", *outer]
    loops = [i for i, n in enumerate(names) if (n or "").startswith("_PyEval_EvalFrameDefault")]
    assert loops and loops[0] > names.index("innermost")
    assert any(i > names.index("<module>") for i in loops)


def test_pandas(session, mixed_python, pythons, tmp_path):
    """Blocks of pandas' reader: the user's line, and inside of it the reader's functions."""
    if not is_chosen(mixed_python, pythons):
        pytest.skip("the default and the newest interpreter do; MEMTRACE_E2E_EVERYWHERE=1 for all")
    interpreter = python_with(mixed_python, ("pandas", "scikit-learn"))
    table = tmp_path / "table.csv"
    table.write_text("a,b\n" + "12345,some text\n" * 200000)
    snapshot = trace(session, interpreter, "by_pandas.py", table, python_flags=())
    load = ("load", "by_pandas.py", line_of("mixed/by_pandas.py", "load"))
    rows = [
        row
        for row in stacks(session, snapshot, "--include", "*/pandas/io/parsers/*")["rows"]
        if load in map(in_words, row["frames"]) and "malloc" in row["domain"]
    ]
    of_reader = [row for row in rows if is_parser(row["frames"][0])]
    # The file is 3 MB, and the reader's buffers hold all of its text.
    assert sum(row["size"] for row in of_reader) > 3_000_000
    frames = of_reader[0]["frames"]
    words = [in_words(f) for f in frames]
    at = words.index(load)
    assert words[-1] == ("<module>", "by_pandas.py", line_of("mixed/by_pandas.py", "module"))
    assert any(is_parser(f) for f in frames[:at]) and not any(map(is_parser, frames[at:]))
    assert any(f["function"] == "read_csv" for f in frames[:at])
    own = session.report(snapshot, "--own", "--at", "total", "--domain", "malloc")
    (row,) = [r for r in own["rows"] if in_words(r)[1:] == load[1:]]
    assert row["size"] >= sum(r["size"] for r in of_reader)


def is_parser(frame):
    return bool(re.search(r"pandas/_libs/(parsers|pandas_parser)\.", frame["path"] or ""))


def test_how_stacks_were_taken_is_said(session):
    """The method, and MEMTRACE_UNWIND_CHECK's verdict, in the report of a run and of a snapshot."""
    path = session.work_dir / "checked.mtr"
    env = {**clean_environment(), "MEMTRACE_DIR": str(session.regions_dir)}
    done = run(
        [session.memtrace, "run", "--unwind-check", "-o", path, "--", program("alloc_family")],
        env=env,
    )
    said = r"Native stacks: incremental; [\d,]+ native stacks compared with a full unwinding, all the same"
    assert re.search(said, done.stderr), done.stderr
    assert re.search(said, session.tool("report", path).stdout)
    done = run(
        [
            session.memtrace,
            "run",
            "-o",
            session.work_dir / "plain.mtr",
            "--",
            program("alloc_family"),
        ],
        env=env,
    )
    assert "Native stacks" not in done.stderr


def test_wrong_method_is_refused(session):
    done = session.tool("run", "--unwind", "magic", "true", check=False)
    assert done.returncode == 2 and "incremental" in done.stderr + done.stdout


def test_doctor_says_which_methods_work(session):
    findings = json.loads(session.tool("doctor", "--json").stdout)["findings"]
    (native,) = [f for f in findings if f["subject"] == "native"]
    assert native["verdict"] == "ok" and "by incremental" in native["what"]
