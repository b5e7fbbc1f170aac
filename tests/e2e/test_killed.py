"""Killed at any moment, a process leaves the figures of its last moment."""

import signal

import pytest
from harness import by_function, by_line, program
from witness import PYTHON_DOMAINS, marked_lines, source


def marks(traced, mark=0, until=None):
    """Reads marks up to a number, or to the program's end; returns the last one seen."""
    while until is None or mark < until:
        line = traced.line()
        if not line and not traced.pending:
            break
        if line.startswith("MARK "):
            mark = int(line.split()[1])
    return mark


def run_and_kill(session, argv, until):
    """Kills the program somewhere after a mark; returns its last mark."""
    traced = session.start(argv)
    seen = marks(traced, until=until)
    traced.process.send_signal(signal.SIGKILL)
    last = marks(traced, seen)
    assert traced.process.wait(timeout=30) == -signal.SIGKILL
    assert last >= until
    return traced, last


def native_figures(session, spec, at):
    return by_function(session.report(spec, "--by", "function", "--domain", "malloc", "--at", at))


def check_native(session, spec, low, high):
    """The figures lie between those at two marks; one kept block is 48 bytes, a freed one 24."""
    rows, live = (native_figures(session, spec, at) for at in ("total", "now"))
    kept, freed = rows["site_kept"], rows["site_freed"]
    assert low * 1000 <= kept[0] <= high * 1000, (low, kept, high)
    assert kept[1] == 48 * kept[0]
    assert low * 500 <= freed[0] <= high * 500 and freed[1] == 24 * freed[0]
    assert live["site_kept"] == kept
    assert live.get("site_freed", (0, 0))[0] in (0, 1)


@pytest.mark.parametrize("until", [1, 50, 400])
def test_native(session, until):
    traced, mark = run_and_kill(session, [program("marks")], until)
    path = session.snapshot(session.last_region(traced.pid))
    check_native(session, path, mark, mark + 1)
    assert session.report(path)["totals"]["lost"] == 0


def test_by_pid(session):
    traced, mark = run_and_kill(session, [program("marks")], 5)
    check_native(session, session.snapshot(traced.pid), mark, mark + 1)


def test_running_process_is_not_stopped(session):
    """Figures of a process at work lie between the marks before and after the snapshot."""
    traced = session.start([program("marks")])
    before = marks(traced, until=10)
    path = session.snapshot(traced.pid)
    traced.process.send_signal(signal.SIGKILL)
    check_native(session, path, before, marks(traced, before) + 1)


def test_python(session, python):
    traced, mark = run_and_kill(session, [python, source("marks.py")], 20)
    path = session.snapshot(session.last_region(traced.pid))
    kept_at = ("marks.py", marked_lines("marks.py", "kept")["block"])
    freed_at = ("marks.py", marked_lines("marks.py", "freed")["block"])
    now = by_line(session.report(path, "--by", "lineno", "--domain", "python.obj"))
    total = by_line(session.report(path, "--by", "lineno", "--at", "total", *PYTHON_DOMAINS))
    # The list's own array is one block of the mem domain; objects are the blocks kept.
    count, size = now[kept_at]
    assert mark * 500 <= count <= (mark + 1) * 500, (mark, count)
    assert size == 733 * count
    assert mark * 500 <= total[freed_at][0] <= (mark + 1) * 500
    assert total[freed_at][1] == 9033 * total[freed_at][0]
    assert now.get(freed_at, (0, 0))[0] in (0, 1)
    assert session.report(path)["totals"]["lost"] == 0
