"""report --leaks over a service that leaks at one line, and grows for a while at others.

programs/leaky.py grows by turns, of which this test decides; what each line holds after a turn is
known from the source.
"""

import json
import random
import re
import subprocess
import time

import pytest
from harness import PROGRAMS, TIME_LIMIT, program

SOURCE = PROGRAMS / "leaky.py"
TURNS = 6
OWN = ("--include", "*leaky.py", "--domain", "python.obj")


def line_of(mark):
    lines = SOURCE.read_text().splitlines()
    (number,) = [i for i, text in enumerate(lines, 1) if text.endswith(f"# {mark}")]
    return number


@pytest.fixture
def service(session, pythons):
    traced = session.start([pythons[-1], SOURCE])

    def turn():
        traced.go_on()
        traced.ready()

    traced.turn = turn
    return traced


@pytest.fixture
def series(session, service):
    """Snapshots after turns 1 to 6; each line's live bytes after each turn, from the source."""
    paths = []
    for _ in range(TURNS):
        service.turn()
        paths.append(session.snapshot(service.pid))
    return paths


def leaks(session, paths, *flags):
    command = ("report", "--leaks", *paths, *flags, "--top", "0", "--format", "json")
    return json.loads(session.tool(*command).stdout)


def block(payload, pythons):
    """Bytes of a bytes object of that length, as the interpreter says."""
    code = f"import sys; print(sys.getsizeof(bytes({payload})))"
    return int(subprocess.check_output([str(pythons[-1]), "-S", "-c", code]))


def least_squares(times, figures):
    n = len(times)
    x, y = sum(times) / n, sum(figures) / n
    return sum((a - x) * (b - y) for a, b in zip(times, figures)) / sum((a - x) ** 2 for a in times)


def test_only_the_leak_is_listed(session, series, pythons):
    found = leaks(session, series, *OWN)
    rows = {row["line"]: row for row in found["rows"]}
    for mark in ("cache", "bounded", "stops", "request"):
        assert line_of(mark) not in rows, mark
    leak = rows[line_of("leak")]
    size = 8 * block(5000, pythons)
    # The list that holds the blocks grows on the same line, now and then: in another domain.
    assert leak["counts"] == [8 * turn for turn in range(1, TURNS + 1)]
    assert leak["sizes"] == [size * turn for turn in range(1, TURNS + 1)]
    assert found["stopped_rows"] >= 2, "the cache and what stopped"
    assert [s["snapshot"] for s in found["snapshots"]] == [str(path) for path in series]


def test_slope_is_that_of_least_squares(session, series):
    found = leaks(session, series, *OWN)
    times = [snapshot["elapsed_ns"] / 1e9 for snapshot in found["snapshots"]]
    assert times == sorted(times)
    for row in found["rows"]:
        assert row["size_trend"]["per_second"] == pytest.approx(
            least_squares(times, row["sizes"]), rel=1e-9
        )
        assert row["count_trend"]["per_second"] == pytest.approx(
            least_squares(times, row["counts"]), rel=1e-9
        )
        assert 0.5 < row["size_trend"]["confidence"] <= 1
        last = (row["sizes"][-1] - row["sizes"][-2]) / (times[-1] - times[-2])
        assert row["last_size_per_second"] == pytest.approx(last, rel=1e-9)


def test_while_it_fills_a_cache_looks_like_a_leak(session, series):
    """Three snapshots in its first three turns: that is what more snapshots are for."""
    lines = {row["line"] for row in leaks(session, series[:3], *OWN)["rows"]}
    assert lines >= {line_of("leak"), line_of("cache"), line_of("stops")}
    lines = {row["line"] for row in leaks(session, series[:4], *OWN)["rows"]}
    assert line_of("cache") not in lines and line_of("stops") in lines


def test_order_of_arguments_does_not_matter(session, series):
    straight = leaks(session, series)
    for seed in range(3):
        mixed = list(series)
        random.Random(seed).shuffle(mixed)
        assert leaks(session, mixed) == straight


@pytest.mark.parametrize("by", ["filename", "function", "traceback"])
def test_groupings(session, series, by):
    found = leaks(session, series, *OWN, "--by", by)
    if by == "function":
        assert "leak" in {row["function"] for row in found["rows"]}
        assert not {"remember", "look_up", "begin"} & {row["function"] for row in found["rows"]}
    elif by == "traceback":
        stacks = [[(f["function"], f["line"]) for f in row["frames"]] for row in found["rows"]]
        assert any(s[0] == ("leak", line_of("leak")) and s[1][0] == "handle" for s in stacks)
    else:
        assert [row["file"] for row in found["rows"]] == ["leaky.py"]


def test_the_living_process_is_one_of_them(session, series, service):
    service.turn()
    found = leaks(session, [service.pid, *series[3:]], *OWN)
    assert found["snapshots"][-1]["snapshot"] == str(service.pid)
    assert line_of("leak") in {row["line"] for row in found["rows"]}


def test_limits(session, series):
    place = f"leaky.py:{line_of('leak')}"
    fine = session.tool("report", "--leaks", *series, *OWN, "--fail-on", "1TB/s")
    assert fine.stderr == ""
    broken = session.tool("report", "--leaks", *series, *OWN, "--fail-on", "1B/d", check=False)
    assert broken.returncode == 1
    assert re.search(
        rf"memtrace: {place}: grows by .*/s \(confidence .* %\), past 1B/d", broken.stderr
    )


def test_what_cannot_be_answered(session, series, pythons):
    few = session.tool("report", "--leaks", *series[:2], check=False)
    assert few.returncode == 2 and "at least 3 snapshots" in few.stderr
    twice = session.tool("report", "--leaks", series[0], *series[:2], check=False)
    assert twice.returncode == 1 and "of the same moment" in twice.stderr
    other = session.start([pythons[-1], SOURCE])
    other.go_on()
    other.ready()
    mixed = session.tool("report", "--leaks", *series[:2], other.pid, check=False)
    assert mixed.returncode == 1
    assert "needs snapshots of one process" in mixed.stderr and str(other.pid) in mixed.stderr


# ------------------------------------------------------------------------------------------------
# snapshot --every


def test_series_of_snapshots(session, service, tmp_path):
    taker = [session.memtrace, "snapshot", str(service.pid), "--every", "100ms", "--count", "4"]
    start = time.monotonic()
    done = session.tool(*taker[1:], "-o", tmp_path / "leak")
    assert time.monotonic() - start >= 0.3
    names = [f"leak-00{i}.mtr" for i in range(1, 5)]
    assert sorted(p.name for p in tmp_path.glob("leak-*")) == names
    assert f"next: memtrace report --leaks {tmp_path}/leak-*.mtr" in done.stderr
    found = leaks(session, [tmp_path / name for name in names])
    times = [snapshot["elapsed_ns"] for snapshot in found["snapshots"]]
    assert all(b - a >= 50e6 for a, b in zip(times, times[1:])), times
    again = session.tool(*taker[1:], "-o", tmp_path / "leak.mtr", check=False)
    assert again.returncode == 1 and "leak-001.mtr: exists already" in again.stderr


def test_series_ends_with_the_process_and_with_ctrl_c(session, service, tmp_path):
    def start(name):
        command = [session.memtrace, "snapshot", str(service.pid), "--every", "50ms", "-o", name]
        pipe = subprocess.PIPE
        taker = subprocess.Popen(
            command, stderr=pipe, text=True, cwd=tmp_path, env=session.env(LD_PRELOAD="")
        )
        said = [taker.stderr.readline()]
        while "-002.mtr" not in said[-1]:
            assert said[-1], said
            said.append(taker.stderr.readline())
        return taker

    service.turn()  # by then it is traced
    interrupted = start("a")
    interrupted.send_signal(2)
    assert interrupted.wait(timeout=TIME_LIMIT) == 0
    for path in tmp_path.glob("a-*.mtr"):
        session.report(path)
    taker = start("b")
    assert service.finish() == 0
    assert taker.wait(timeout=TIME_LIMIT) == 0
    assert f"process {service.pid} has ended" in taker.stderr.read()
    assert not list(tmp_path.glob("*.tmp*"))
    dead = session.tool("snapshot", service.pid, "--every", "1s", check=False)
    assert dead.returncode == 1 and "does not run any more" in dead.stderr


def test_series_of_a_process_that_executes_another(session, tmp_path):
    """After exec it is another program: its snapshots would not compare."""
    script = f"read x; exec {program('peaks')}"
    shell = session.start(["/bin/bash", "-c", script])
    while not session.regions(shell.pid):
        time.sleep(0.01)
    command = [session.memtrace, "snapshot", str(shell.pid), "--every", "50ms", "-o", "s"]
    taker = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=session.env(LD_PRELOAD=""),
    )
    while "-002.mtr" not in taker.stderr.readline():
        assert taker.poll() is None
    shell.go_on()
    shell.ready()
    assert taker.wait(timeout=TIME_LIMIT) == 0
    assert "has ended" in taker.stderr.read()
