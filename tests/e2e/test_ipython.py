"""`%load_ext memtrace` in a real kernel: %mprun, %memit, %%memtrace, with the library preloaded, with
the library loaded late, and without one.

Sizes are known beforehand; figures are the raw ones of the returned objects.
"""

import json
import os

import harness
import pytest
import venvs

PACKAGE_ROOT = str(harness.BUILD_DIR / "python")
MIB = 1 << 20
BYTEARRAY = 56 + 1
PRELOADED, LATE, NONE = "preloaded", "late", "no library"


@pytest.fixture
def kernel(pythons):
    """Path of an interpreter with a kernel."""
    python = next(p for p in reversed(pythons) if p.version[:2] <= (3, 13))
    return venvs.python_with(python, ["ipykernel", "nbclient"])


def environment(session, how):
    library = "/no/such/library" if how == NONE else session.library
    env = session.env(
        PYTHONPATH=PACKAGE_ROOT,
        MEMTRACE_LIBRARY=library,
        MEMTRACE_TOOL=session.memtrace,
        IPYTHONDIR=session.work_dir / "ipython",
        JUPYTER_RUNTIME_DIR=session.work_dir / "runtime",
    )
    if how != PRELOADED:
        del env["LD_PRELOAD"]
    return env


def cells(session, kernel, how, *sources):
    """[(text, name of the exception)] of the cells, the first of which loads the extension."""
    path = session.work_dir / "cells.json"
    path.write_text(json.dumps(["%load_ext memtrace", *sources]))
    script = harness.PROGRAMS / "notebook.py"
    done = harness.run(
        [kernel, script, path],
        env=environment(session, how),
        cwd=session.work_dir,
        timeout=200,
    )
    return json.loads(done.stdout)


ARTICLE = """\
def my_func():
    a = [1] * (10 ** 6)
    b = [2] * (2 * 10 ** 7)
    del b
    return a
"""

ROWS = """
for lines in dict.values(_.code_map):
    for number, (increment, _memory, occurrences) in sorted(lines.items()):
        print(number, round(increment * 2**20) if increment is not None else None, occurrences)
"""


@pytest.mark.parametrize("how", [PRELOADED, LATE])
def test_mprun(session, kernel, how):
    (session.work_dir / "example.py").write_text(ARTICLE)
    told = cells(
        session,
        kernel,
        how,
        "from example import my_func",
        "%mprun -f my_func my_func()",
        "%mprun -r -T table.txt -f my_func my_func()",
        ROWS,
        # Functions of the notebook itself, two of them, over a cell of two lines.
        "def one(size):\n    kept = bytearray(size)\n    return kept\n"
        "def two(size):\n    return one(size)",
        "%%mprun -r -f one -f two\nfirst = one(3 << 20)\nsecond = two(5 << 20)",
        ROWS,
        "%mprun -f nobody nobody()",
        "'profile' in __builtins__.__dict__",
    )
    table = told[2][0]
    assert "Line #    Mem usage    Increment  Occurrences   Line Contents\n" + "=" * 61 in table
    lines = {int(row.split()[0]): row for row in table.splitlines() if row.strip()[:1].isdigit()}
    assert lines[2].split()[3:6] == ["7.6", "MiB", "1"]
    assert lines[3].split()[3:6] == ["152.6", "MiB", "1"]
    assert lines[4].split()[3:6] == ["-152.6", "MiB", "1"]
    saved = (session.work_dir / "table.txt").read_text()
    assert saved.splitlines()[-1].endswith("return a") and "saved to text file" in told[3][0]
    rows = dict((row.split()[0], row.split()[1:]) for row in told[4][0].splitlines())
    assert rows["2"] == [str(8 * 10**6), "1"]
    assert rows["3"] == [str(16 * 10**7), "1"]
    assert rows["4"] == [str(-16 * 10**7), "1"]
    assert rows["5"] == ["0", "1"]
    assert "kept = bytearray(size)" in told[6][0] and "return one(size)" in told[6][0]
    here = [row.split() for row in told[7][0].splitlines()]
    assert ["2", str((8 << 20) + 2 * BYTEARRAY), "2"] in here
    assert ["5", str((5 << 20) + BYTEARRAY), "1"] in here
    assert "Could not find function 'nobody'" in told[8][0]
    assert told[9][0].strip() == "False"


@pytest.mark.parametrize("how", [PRELOADED, LATE])
def test_memit(session, kernel, how):
    told = cells(
        session,
        kernel,
        how,
        "kept = None",
        "%memit -o kept = bytearray(8 << 20)",
        "result = _\nprint(round((result.mem_usage[0] - result.baseline) * 2**20))",
        # Freed again before the end: only the peak has it.
        "%%memit -o -r 3 size = 30 << 20\nbytearray(size)\nbytearray(size // 3)",
        "result = _\nprint([round((m - result.baseline) * 2**20) for m in result.mem_usage])",
        "%memit -q bytearray(10)",
        "%memit -r many bytearray(10)",
        "%memit 1 / 0",
    )
    said = told[2][0].splitlines()[0]
    assert said.startswith("peak memory: ") and said.endswith(" MiB, increment: 8.00 MiB")
    # exec itself makes a few small objects.
    assert int(told[3][0]) - (8 << 20) - BYTEARRAY in range(0, 1024)
    first, *others = json.loads(told[5][0])
    assert first - (30 << 20) - BYTEARRAY in range(0, 1024)
    # All are above the first run's start; what that left behind, and what the kernel's own threads
    # have done meanwhile (messages), is in the others.
    assert len(others) == 2 and max(abs(other - first) for other in others) < 65536
    assert told[6] == ["", None]
    assert "-r many: not a number" in told[7][0]
    assert told[8][1] == "ZeroDivisionError"
    assert ("memtrace: recording from now on" in told[0][0]) == (how == LATE)


CELL = """\
%%memtrace -r
kept = bytearray(6 << 20)
gone = bytearray(20 << 20)
del gone
texts = [str(number) + "text" for number in range(1000)]
"""


@pytest.mark.parametrize("how", [PRELOADED, LATE])
def test_cell(session, kernel, how):
    told = cells(
        session,
        kernel,
        how,
        CELL,
        "import json\n"
        "print(json.dumps([[line.line, line.kept, line.blocks, line.peak] for line in _.lines"
        " if line.file]))",
        "import sys\nsum(map(sys.getsizeof, texts)) + sys.getsizeof(texts)",
        "%%memtrace -n 1 -o own.mtr\nraise KeyError",
        "%%memtrace nonsense\npass",
    )
    shown = told[1][0]
    assert "In [2]:2  kept = bytearray(6 << 20)\n" in shown
    assert "In [2]:3  gone = bytearray(20 << 20)\n" in shown
    rows = {row[0]: row[1:] for row in json.loads(told[2][0])}
    kept, gone = (6 << 20) + BYTEARRAY, (20 << 20) + BYTEARRAY
    assert rows[2] == [kept, 2, kept]
    assert rows[3] == [0, 0, gone]
    # The strings and the list; its object may be one that was freed before.
    assert int(told[3][0]) - rows[5][0] in (0, 56)
    assert f"Snapshot: {os.path.join('memtrace-cells', 'in-2.mtr')}" in shown
    report = session.report(session.work_dir / "memtrace-cells" / "in-2.mtr", "--own")
    assert kept in [row["size"] for row in report["rows"]]
    assert told[4][1] == "KeyError"
    assert (session.work_dir / "own.mtr").exists()
    assert "'nonsense' is no option" in told[5][0]


def test_without_a_library(session, kernel):
    """Resident memory, and a sentence that says so."""
    told = cells(
        session,
        kernel,
        NONE,
        "%memit -o kept = b'x' * (64 << 20)",
        "print(round((_.mem_usage[0] - _.baseline) * 2**20) >= 64 << 20)",
        "%%memtrace\npass",
        "%unload_ext memtrace\n%memit 1",
    )
    assert "%memit shows resident memory" in told[0][0]
    assert told[1][0].startswith("peak memory: ")
    assert told[2][0] == "True\n"
    assert "this process is not traced" in told[3][0]
    assert "memit` not found" in told[4][0]
