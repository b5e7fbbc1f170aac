"""Libraries and operators that stand beside the hooks, behind them, or where another one was."""

import json

import pytest
from harness import by_function, program, run
from test_native import check_sites


def paused(session, *argv):
    traced = session.start(argv)
    return traced, traced.ready()


def test_a_library_goes_around_the_hooks(session):
    """RTLD_DEEPBIND: what it frees counts until its address is handed out again, exactly."""
    argv = program("deepbind"), program("libaround.so"), "eights"
    traced, known = paused(session, *argv)
    check_sites(session, traced.pid, known, ("total", "now"))
    names = by_function(session.report(traced.pid, "--by", "function", "--at", "total"))
    assert not {"around_malloc", "around_realloc"} & set(names), "it did not go around"
    assert traced.finish() == 0, traced.stderr()


def test_blocks_of_all_sizes_that_a_library_frees(session):
    """What is truly alive is always there. What the library freed goes at the latest when its address
    is handed out again, or else when a part of it is: no later, and never more than was there."""
    traced = session.start([program("deepbind"), program("libaround.so")])
    alive = json.loads(traced.line())
    known = traced.ready()
    check_sites(session, traced.pid, known, ("total",))
    rows = by_function(session.report(traced.pid, "--by", "function", "--domain", "malloc"))
    for name, (blocks, size) in alive.items():
        most = known["sites"][name]
        assert 50 < blocks <= rows[name][0] <= most["live_blocks"]
        assert size <= rows[name][1] <= most["live_bytes"]
        # Whole blocks, of what the program asked for: the average is a size that it uses.
        assert 250 < rows[name][1] / rows[name][0] < 5000
    assert traced.finish() == 0, traced.stderr()


def test_another_library_at_the_same_address(session):
    """Both are named, after both are gone, though their calls came from the same address."""
    libraries = program("libfirst.so"), program("libsecond.so")
    traced, known = paused(session, program("replaced_library"), *libraries)
    check_sites(session, traced.pid, known)
    rows = by_function(session.report(traced.pid, "--by", "function", "--at", "total"))
    for name, bytes_each in (("first_allocates", 100), ("second_allocates", 300)):
        assert rows[name] == (200, 200 * bytes_each)
    assert traced.finish() == 0, traced.stderr()


@pytest.mark.parametrize("name", ["own_new", "own_some_new"])
def test_operators_of_the_programs_own(session, name):
    """None is passed over: the program checks, alone and traced, what reached its own."""
    assert run([program(name)]).returncode == 0
    traced, known = paused(session, program(name))
    check_sites(session, traced.pid, known)
    rows = by_function(session.report(traced.pid, "--by", "function", "--at", "total"))
    assert [n for n in rows if n and n.startswith("operator")] == []
    assert traced.finish() == 0, traced.stderr()
