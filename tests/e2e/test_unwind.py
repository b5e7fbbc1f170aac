"""Native stacks where stacks are hard to walk: each chain of functions is known from the program.

The programs (programs/unwind/) keep a shadow of their stack and print how often each chain of their
functions allocated. The library is told to compare what it captures with a full unwinding by
libunwind, so two things must hold: its own count of differences is zero, and every chain has the
names and the number that the program says, no more and no less.
"""

import collections
import json
import shutil

import harness
import pytest
from harness import differences, plain_name, program
from snapshot_file import SnapshotFile
from test_oracle import COMPILED, PURE, is_chosen
from venvs import python_with

SOURCES = harness.PROGRAMS / "unwind"
PROGRAMS = ["jumps", "stacks", "code", "calls"]
VARIANTS = ["O0", "O2", "O3", "fp"]
# Fewest chains, and allocations, that each program is known to have.
LEAST = {"jumps": (90, 6000), "stacks": (35, 10000), "code": (35, 4500), "calls": (15, 7000)}
LEAST.update(plugins=(2, 2000), mixed=(13, 5200))
MOST_FRAMES = 1024


def counts(session, spec):
    """The library's own account of its walks over the stack."""
    region = spec if hasattr(spec, "exists") else session.last_region(spec)
    return json.loads(harness.run([program("unwind_counts"), region]).stdout)


def chains(session, region, names, leaf="Allocate"):
    """{"inner;outer;main": blocks} of the stacks that begin in `leaf`, without what is not in
    `names`: the C library's functions between those of the program."""
    file = SnapshotFile(session.snapshot(region))
    assert file.lost == 0
    found = collections.Counter()
    for blocks, stack in file.native_stacks():
        plain = [plain_name(name).rsplit("::", 1)[-1] for name in stack]
        if leaf in plain[:8]:
            inner = plain[plain.index(leaf) :]
            found[";".join(name for name in inner if name in names)] += blocks
    return dict(found)


def traced(session, argv, **env):
    """Runs a program to its end under the check: what it told, and its region."""
    env = {"MEMTRACE_NATIVE": 1, "MEMTRACE_UNWIND_CHECK": 1, **env}
    started = session.start(argv, session.env(**env))
    known = started.ready()
    assert started.finish() == 0, started.stderr()
    assert started.stderr() == ""
    return known, session.last_region(started.pid)


def check(session, argv, least, leaf="Allocate"):
    known, region = traced(session, argv)
    expected = known["chains"]
    assert (len(expected), sum(expected.values())) >= least
    assert sum(expected.values()) >= least[1]
    names = {name for chain in expected for name in chain.split(";")}
    found = chains(session, region, names, leaf)
    assert differences(as_pairs(expected), as_pairs(found)) == {}
    checked_all(session, region, least[1])


def as_pairs(chains):
    return {chain: (times, 0) for chain, times in chains.items()}


def check_method(session, argv, least, method):
    """The same names by another way to walk the stack; there is nothing to compare it with."""
    known, region = traced(session, argv, MEMTRACE_UNWIND=method, MEMTRACE_UNWIND_CHECK=0)
    expected = known["chains"]
    assert sum(expected.values()) >= least[1]
    names = {name for chain in expected for name in chain.split(";")}
    assert differences(as_pairs(expected), as_pairs(chains(session, region, names))) == {}


def checked_all(session, region, least):
    said = counts(session, region)
    assert said["different"] == 0, said
    assert said["checked"] >= least, said


def compiled(tmp_path, compiler, source, *flags):
    """A program of programs/unwind/ made by another compiler than the build's."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    path = tmp_path / source.split(".")[0]
    harness.run([compiler, *flags, "-g", SOURCES / source, "-o", path])
    return path


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_known_chains(session, name, variant):
    check(session, [program(f"unwind_{name}_{variant}")], LEAST[name])


@pytest.mark.parametrize("variant", VARIANTS)
def test_libraries_that_take_each_others_place(session, variant):
    """Their return addresses are the same; what is known of one must not be used for the other."""
    plugins = [program(f"unwind_plugin_{k}_{variant}.so") for k in (1, 2)]
    check(session, [program(f"unwind_plugins_{variant}"), *plugins], LEAST["plugins"])


@pytest.mark.parametrize("name", PROGRAMS)
def test_clang(session, tmp_path, name):
    path = compiled(tmp_path, "clang++", f"{name}.cc", "-O2", "-std=c++17", "-pthread")
    check(session, [path], LEAST[name])


@pytest.mark.parametrize("level", ["0", "3"])
def test_rust(session, tmp_path, level):
    flags = ["-C", f"opt-level={level}", "-A", "non_snake_case"]
    check(session, [compiled(tmp_path, "rustc", "mixed.rs", *flags)], LEAST["mixed"], "Block")


def test_code_that_nobody_describes(session):
    """Hand-written, without unwinding tables: the chain may end there; it must not be made up."""
    known, region = traced(session, [program("unwind_code_O2"), "undescribed"])
    names = {name for chain in known["chains"] for name in chain.split(";")}
    found = chains(session, region, names)
    below = "Allocate;BelowUndescribed"
    expected = {c: n for c, n in known["chains"].items() if not c.startswith(below)}
    assert differences(as_pairs(expected), as_pairs(without(found, below))) == {}
    ended = {chain: n for chain, n in found.items() if chain.startswith(below)}
    whole = f"{below};Undescribed;main"
    assert known["chains"][whole] == 200
    assert sum(ended.values()) == 200
    assert all(whole.startswith(chain) for chain in ended), ended
    assert counts(session, region)["different"] == 0


def without(found, beginning):
    return {chain: n for chain, n in found.items() if not chain.startswith(beginning)}


def test_recursion(session):
    """Each level on the way down and back has a stack of its own, all of it."""
    levels = 600
    _, region = traced(session, [program("unwind_deep"), levels])
    found = chains(session, region, {"Allocate", "Descend", "main"})
    expected = {";".join(["Allocate", *["Descend"] * n, "main"]): 2 for n in range(1, levels + 1)}
    assert differences(as_pairs(expected), as_pairs(found)) == {}
    checked_all(session, region, 2 * levels)


def test_recursion_deeper_than_a_backend_follows(session):
    """50,000 levels: the program goes on as alone, what is compared is the same, and the tool reads
    what comes of it, though not with 50,000 frames to each stack."""
    levels = 50_000
    _, region = traced(session, [program("unwind_deep"), levels])
    checked_all(session, region, 2 * levels)
    snapshot = session.snapshot(region)
    report = session.report(snapshot, "--by", "function", "--at", "total")
    blocks = {row["function"]: row["alloc_count"] for row in report["rows"]}
    assert blocks["Allocate"] == 2 * levels, report["rows"][:3]


# ------------------------------------------------------------------------------------------------
# Other ways to walk the stack


@pytest.mark.parametrize("method", ["libunwind", "boost"])
@pytest.mark.parametrize("name", ["jumps", "stacks", "calls"])
def test_methods(session, name, method):
    """Not `code`: they do not say that a signal came before the first instruction of a function."""
    check_method(session, [program(f"unwind_{name}_O2")], LEAST[name], method)


def test_libraries_that_take_each_others_place_and_libunwind(session):
    plugins = [program(f"unwind_plugin_{k}_O2.so") for k in (1, 2)]
    argv = [program("unwind_plugins_O2"), *plugins]
    check_method(session, argv, LEAST["plugins"], "libunwind")


@pytest.mark.parametrize("name", ["jumps", "stacks"])
def test_frame_pointers(session, name):
    """All functions of these programs that call each other keep them."""
    check_method(session, [program(f"unwind_{name}_fp")], LEAST[name], "fp")


@pytest.mark.parametrize("method", ["incremental", "libunwind", "fp", "boost"])
@pytest.mark.parametrize("name", ["small_stacks", "alternate_stack", "long_jumps", "children"])
def test_goes_on_as_alone(session, name, method):
    """Of the program's stack little is taken."""
    argv = [program("hazards"), name]
    alone = harness.run(argv)
    done = harness.run(argv, env=session.env(MEMTRACE_NATIVE=1, MEMTRACE_UNWIND=method))
    assert (done.stdout, done.stderr) == (alone.stdout, "")


# ------------------------------------------------------------------------------------------------
# Python

WORKLOADS = {
    "objs.py": {"400000": "4000", "300000": "3000", "600000": "6000"},
    "jsonw.py": {"40000": "1500"},
    "thr.py": {"range(150)": "range(6)"},
    "sqlg.py": {"range(250)": "range(1)"},
    "orders.py": {},
    "forest.py": {"6000": "300", "n_estimators=60": "n_estimators=4"},
}
PACKAGES = {"sqlg.py": PURE, "orders.py": COMPILED, "forest.py": COMPILED}


def small_workload(name, folder):
    """One of tests/bench/workloads with little to do."""
    text = (harness.SOURCE_DIR / "tests" / "bench" / "workloads" / name).read_text()
    for large, small in WORKLOADS[name].items():
        assert large in text
        text = text.replace(large, small)
    (folder / name).write_text(text)
    rows = "".join(f"2024-01-{i % 28 + 1:02},{i * 7 % 1000}.5\n" for i in range(2000))
    (folder / "order_data.csv").write_text("OrderDate,OrderAmount\n" + rows)
    return folder / name


@pytest.mark.parametrize("name", WORKLOADS)
def test_python(session, python, pythons, tmp_path, name):
    if name in PACKAGES and not is_chosen(python, pythons):
        pytest.skip("the default and the newest interpreter do; MEMTRACE_E2E_EVERYWHERE=1 for all")
    if name == "forest.py" and python is not pythons[-1]:
        pytest.skip("half a minute: the newest interpreter does")
    interpreter = python_with(python, PACKAGES[name]) if name in PACKAGES else python
    env = session.env(MEMTRACE_NATIVE=1, MEMTRACE_UNWIND_CHECK=1)
    argv = [interpreter, small_workload(name, tmp_path)]
    done = harness.run(argv, env=env, cwd=tmp_path, timeout=120)
    assert done.stderr == ""
    (region,) = session.regions()
    checked_all(session, region, 10_000)
