"""A part of CPython's own test suite has the same outcome under memtrace as alone, test by test."""

import collections
import os
import xml.etree.ElementTree

import pytest
from harness import clean_environment, run

# Threads, fork, processes, garbage, foreign functions, maps, signals, databases, sockets, tasks.
SUITE = [
    "test_thread",
    "test_threading",
    "test_threading_local",
    "test_fork1",
    "test_subprocess",
    "test_posix",
    "test_gc",
    "test_weakref",
    "test_ctypes",
    "test_mmap",
    "test_signal",
    "test_sqlite",
    "test_sqlite3",
    "test_faulthandler",
    "test_asyncio.test_tasks",
    "test_asyncio.test_events",
    "test_generators",
    "test_coroutines",
    "test_memoryview",
    "test_buffer",
    "test_atexit",
    "test_contextlib",
]


def outcomes(python, env, folder, *options):
    """{test: "passed", "failed" or "skipped"} of the suite's modules that this version has."""
    listed = run([python, "-m", "test", "--list-tests"], env=clean_environment()).stdout.split()
    modules = [m for m in SUITE if m in listed or m.split(".")[0] in listed]
    path = folder / "outcomes.xml"
    argv = [python, "-m", "test", "-j2", "--timeout", "240", "--junit-xml", path]
    run([*argv, *options, *modules], env=env, cwd=folder, check=False, timeout=600)
    found = {}
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        kinds = {child.tag for child in case}
        bad = kinds & {"failure", "error"}
        outcome = "failed" if bad else "skipped" if "skipped" in kinds else "passed"
        found[case.get("name")] = outcome
    return found


def has_suite(python):
    return run([python, "-c", "import test.test_gc"], check=False).returncode == 0


def test_same_outcomes(session, pythons, tmp_path):
    """With the newest interpreter that came with its tests; MEMTRACE_E2E_EVERYWHERE=1: with all."""
    able = [p for p in pythons if has_suite(p)]
    if not able:
        pytest.skip("no CPython here came with its test suite (apt install libpython3.X-testsuite)")
    for python in able if os.environ.get("MEMTRACE_E2E_EVERYWHERE") else able[-1:]:
        alone = outcomes(python, clean_environment(), tmp_path)
        traced = outcomes(python, session.env(), tmp_path)
        print(python.name, len(alone), collections.Counter(traced.values()))
        assert len(alone) > 1000
        assert set(alone) == set(traced), python
        differ = sorted(k for k in alone if alone[k] != traced[k])
        assert [k for k in differ if not agrees_by_itself(python, session, tmp_path, k)] == []


def agrees_by_itself(python, session, folder, name):
    """Tests of timers may fail on a busy machine, alone or traced: asked again, nothing else runs."""
    pattern = name.rsplit(".", 1)[-1]
    both = [
        outcomes(python, env, folder, "-m", pattern).get(name)
        for env in (clean_environment(), session.env())
    ]
    return both[0] == both[1] is not None
