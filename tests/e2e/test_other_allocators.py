"""Programs with another allocator, preloaded after memtrace, keep it, and are traced exactly."""

import glob
import os

import pytest
from harness import by_line, clean_environment, program, run
from test_interpreters import PAUSED, PYTHON_DOMAINS, check_exact
from test_native import check_sites
from witness import source

LIBRARIES = {
    "jemalloc": "libjemalloc.so.2",
    "mimalloc": "libmimalloc.so.2*",
    "tcmalloc": "libtcmalloc_minimal.so.4",
}


@pytest.fixture(params=LIBRARIES)
def allocator(request):
    found = glob.glob(f"/usr/lib/*/{LIBRARIES[request.param]}")
    assert found, f"{request.param} is not installed: scripts/test installs it"
    return found[0]


@pytest.fixture
def env(session, allocator):
    env = session.env()
    env["LD_PRELOAD"] += ":" + allocator
    return env


def is_mapped(traced, library):
    maps = open(f"/proc/{traced.pid}/maps").read()
    return os.path.basename(os.path.realpath(library)) in maps


# Alone, too, jemalloc crashes in what alloc_family asks for, and mimalloc aborts in new_family.
# early_late is left out: its first blocks are the C library's.
@pytest.mark.parametrize("name", ["alloc_family", "new_family", "threads"])
def test_known_programs(session, env, allocator, name):
    if run(
        [program(name)], env=dict(clean_environment(), LD_PRELOAD=allocator), check=False
    ).returncode:
        pytest.skip(f"{name} fails with this allocator without memtrace, too")
    traced = session.start([program(name)], env)
    known = traced.ready()
    assert is_mapped(traced, allocator)
    at = ("total", "now", "peak") if name != "threads" else ("total", "now")
    check_sites(session, traced.pid, known, at)
    assert traced.finish() == 0, traced.stderr()


def test_python(session, env, pythons):
    """With Python's objects in the other allocator, too, the lines have the figures of arithmetic."""
    argv = [pythons[-1], "-c", PAUSED, source("exact.py")]
    traced = session.start(argv, dict(env, PYTHONMALLOC="malloc"))
    traced.ready()
    assert session.report(traced.pid)["totals"]["lost"] == 0
    check_exact(by_line(session.report(traced.pid, "--by", "lineno", *PYTHON_DOMAINS)))
    assert traced.finish() == 0, traced.stderr()


def test_behaves_as_alone(session, env, allocator):
    script = "create table t(a); with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000) insert into t select i * i % 7919 from n; select a, count(*) from t group by a order by 2 desc, 1 limit 20;"
    alone = dict(clean_environment(), LD_PRELOAD=allocator)
    outputs = [run(["sqlite3", ":memory:", script], env=e).stdout for e in (alone, env)]
    assert outputs[0] == outputs[1] != ""
