"""memtrace.compat.tracemalloc says what the standard module says.

Side by side: one program with known allocations runs with each of the two, and what it prints is
compared as a whole: sizes, texts, order, tracebacks, 150 random sets of filters, errors.
"""

import json
import os

import harness
import pytest

PACKAGE_ROOT = harness.BUILD_DIR / "python"
STAND_IN = PACKAGE_ROOT / "memtrace" / "_instead" / "tracemalloc"
KNOWN = harness.PROGRAMS / "tracemalloc_known.py"
MIB = 1 << 20


def traced_env(session, *folders, **extra):
    return session.env(PYTHONPATH=os.pathsep.join(map(str, folders)), **extra)


def with_compat(session, python, source, *folders, **extra):
    """What the source prints as JSON, traced, with the package (or the stand-in) on its path."""
    path = session.work_dir / "program.py"
    path.write_text(source)
    env = traced_env(session, *(folders or (PACKAGE_ROOT,)), **extra)
    return json.loads(harness.run([python, path], env=env, cwd=session.work_dir).stdout)


@pytest.mark.parametrize("frames", [1, 25])
def test_everything_as_the_standard_module(session, python, frames):
    theirs = harness.run([python, KNOWN, "standard", frames]).stdout
    ours = harness.run([python, KNOWN, "compat", frames], env=traced_env(session, PACKAGE_ROOT))
    told = json.loads(theirs)
    assert sum(len(told[f"filter {n}"]) for n in range(150)) > 500, "the filters let nothing pass"
    assert max(len(t[2]) for t in told["tracebacks"]) >= (2 if frames == 1 else 50)
    assert json.loads(ours.stdout) == told
    assert ours.stdout == theirs


# Why a test of CPython's own is not ours to pass; by name, in every version.
NOT_OURS = {
    # A freelist's object stays with the line that allocated its memory.
    "test_new_reference",
    # About the interpreter's own start (-X tracemalloc, PYTHONTRACEMALLOC), by processes that get
    # their environment from the test; what memtrace makes of it is tested below.
    "TestCommandLine",
    # About the C functions that track memory in a domain, which write into _tracemalloc's tables.
    "TestCAPI",
}
RUN_SUITE = """\
import json, sys, unittest
import tracemalloc
from test import test_tracemalloc as suite
not_ours = set(json.loads(sys.argv[1]))
def each(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from each(test)
        elif not {type(test).__name__, test.id().split(".")[-1]} & not_ours:
            yield test
tests = unittest.TestSuite(each(unittest.defaultTestLoader.loadTestsFromModule(suite)))
def run_below(frames):  # some tests want a deep stack
    return run_below(frames - 1) if frames else unittest.TextTestRunner(stream=sys.stderr).run(tests)
result = run_below(10)
bad = {test.id(): text for test, text in result.failures + result.errors}
print(json.dumps([tracemalloc.__name__, result.testsRun, len(result.skipped), bad]))
"""


def test_cpythons_own_tests(session, python):
    if harness.run([python, "-c", "import test.test_tracemalloc"], check=False).returncode:
        pytest.skip(f"{python.name} came without its tests")
    path = session.work_dir / "suite.py"
    path.write_text(RUN_SUITE)
    env = traced_env(session, STAND_IN)
    argv = [python, path, json.dumps(sorted(NOT_OURS))]
    done = harness.run(argv, env=env, cwd=session.work_dir)
    name, count, skipped, bad = json.loads(done.stdout)
    assert bad == {}
    assert name == "memtrace.compat.tracemalloc"
    assert count >= 25 and skipped == 0
