"""The peak: exact with one thread, within the printed bound with several, exact with --exact-peak.

programs/peaks.c knows its own peak, and what each of its sites held then.
"""

import json

import pytest
from harness import by_function, differences, program, run


def held_at_peak(session, spec, known):
    """(blocks, bytes) of the program's own sites at the peak, as reported, and the whole report."""
    report = session.report(spec, "--by", "function", "--domain", "malloc", "--at", "peak")
    rows = {name: sums for name, sums in by_function(report).items() if name in known["sites"]}
    return rows, report


def truth(known):
    return {n: (s["peak_blocks"], s["peak_bytes"]) for n, s in known["sites"].items()}


def sum_of_lines(session, spec):
    return sum(row["size"] for row in session.report(spec, "--at", "peak")["rows"])


def check_exact(session, spec, known):
    rows, report = held_at_peak(session, spec, known)
    assert report["totals"]["peak_bound_bytes"] == 0
    assert differences(truth(known), rows) == {}
    assert sum_of_lines(session, spec) == report["totals"]["peak_bytes"]


@pytest.fixture
def peaks(session):
    def start(threads, **variables):
        traced = session.start([program("peaks"), threads], session.env(**variables))
        return traced, traced.ready()

    return start


def test_one_thread_is_exact(session, peaks):
    traced, known = peaks(1)
    assert known["sites"]["site_walk_again"]["peak_bytes"] > 0, "realloc takes part"
    path = session.snapshot(traced.pid)
    check_exact(session, path, known)
    assert "±" not in session.tool("report", path).stdout


@pytest.mark.parametrize("threads", [2, 8, 32])
def test_threads_are_within_the_printed_bound(session, peaks, threads):
    traced, known = peaks(threads)
    path = session.snapshot(traced.pid)
    rows, report = held_at_peak(session, path, known)
    bound = report["totals"]["peak_bound_bytes"]
    assert 0 < bound <= (threads + 2) * 32 * 1024, "no wider than documented"
    assert known["peak"] > 2 * bound, "the bound says something"
    held = sum(size for _, size in rows.values())
    assert abs(held - known["peak"]) <= bound
    assert abs(sum_of_lines(session, path) - report["totals"]["peak_bytes"]) <= bound
    assert "±" in session.tool("report", path).stdout


@pytest.mark.parametrize("threads", [1, 2, 8, 32])
def test_exact_peak_is_exact(session, peaks, threads):
    traced, known = peaks(threads, MEMTRACE_EXACT_PEAK=1)
    path = session.snapshot(traced.pid)
    check_exact(session, path, known)
    assert "±" not in session.tool("report", path).stdout


def test_run_has_the_option(session, tmp_path):
    """The same by the command, over the program's whole life."""
    path = tmp_path / "peaks.mtr"
    command = [session.memtrace, "run", "--exact-peak", "-o", path, program("peaks"), "8"]
    done = run(command)
    line = next(text for text in done.stdout.splitlines() if text.startswith("READY"))
    check_exact(session, path, json.loads(line[len("READY") :]))
    assert "±" not in done.stderr
