"""Deaths under `memtrace run`: of the program, by a signal or for want of memory, and of memtrace.

The records outlive both: they are in a file that nobody has to write when it happens.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest
from harness import clean_environment, program

# At its peak the program holds one large block that it never touches; then it fills memory, a
# MiB after the other, and says how many it has.
GROWING = """import os, sys
top = bytes(500 << 20)
del top
kept = []
while len(kept) < int(sys.argv[1]):
    block = b"x" * (1 << 20)
    kept.append(block)
    os.write(1, b"%d\\n" % len(kept))
os.kill(os.getpid(), int(sys.argv[2]))
"""
BLOCK = (1 << 20) + 33


@pytest.fixture
def growing(session):
    path = session.work_dir / "growing.py"
    path.write_text(GROWING)
    return path


def tables(stderr):
    """{title: {place: (size, count)}} of the summary."""
    found, rows = {}, None
    for line in stderr.splitlines():
        if title := re.match(
            r"((?:when killed|at peak)[^,]*), by [\w ]+ +size +count +share$", line
        ):
            rows = found.setdefault(title.group(1), {})
        elif row := re.match(r"  (\S+) .*?([\d,.]+ [KMG]?i?B) +([\d,]+) +[\d.]+ %$", line):
            rows[row.group(1)] = (row.group(2), row.group(3))
    return found


def run(session, *argv, **options):
    return session.tool("run", *argv, check=False, cwd=session.work_dir, **options)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_both_moments_of_a_program_that_was_killed(session, growing, number):
    done = run(session, "-o", "a.mtr", sys.executable, growing, 30, int(number))
    assert done.returncode == 128 + number
    assert f"\nkilled by signal {int(number)}\n" in done.stderr
    shown = tables(done.stderr)
    assert list(shown) == ["when killed", "at peak"]
    assert shown["when killed"]["growing.py:6"] == ("30.0 MiB", "30")
    assert "growing.py:2" not in shown["when killed"]
    assert shown["at peak"]["growing.py:2"] == ("500 MiB", "1")
    assert "growing.py:6" not in shown["at peak"]
    rows = session.report(session.work_dir / "a.mtr", "--at", "now", "--domain", "python.obj")
    assert (30, 30 * BLOCK) in [(row["count"], row["size"]) for row in rows["rows"]]


def test_one_table_when_both_moments_are_the_same(session):
    """The program's last block is its largest: it dies at its peak."""
    done = run(session, "-o", "a.mtr", program("endings"), "kill")
    assert done.returncode == 137 and "\nkilled by signal 9\n" in done.stderr
    assert list(tables(done.stderr)) == ["at peak and when killed"]


def test_a_program_that_was_not_killed(session):
    done = run(session, "-o", "a.mtr", program("endings"), "exit")
    assert done.returncode == 7 and "killed" not in done.stderr
    assert list(tables(done.stderr)) == ["at peak"]


# -------------------------------------------------------------------------------------------------
# Out of memory


@pytest.mark.parametrize("memtrace_too", [False, True])
def test_out_of_memory(session, growing, group, memtrace_too):
    """The kernel ends the program; memtrace, in the same group or not, tells the last figures."""
    group.limit(str(128 << 20))
    enter = group.enter if memtrace_too else None
    script = f'echo $$ > {group.folder}/cgroup.procs; exec "$@"'
    argv = [sys.executable, growing, 100000, 9]
    if not memtrace_too:
        argv = ["sh", "-c", script, "sh", *argv]
    done = run(session, "-o", "a.mtr", *argv, preexec_fn=enter)
    assert done.returncode == 137, done.stderr
    because = "out of memory: its control group may use 128 MiB and needed more"
    assert f"\nkilled by signal 9 ({because})\n" in done.stderr
    last = int(done.stdout.split()[-1])
    assert 20 <= last < 128
    shown = tables(done.stderr)
    assert list(shown) == ["when killed", "at peak"]
    assert shown["at peak"]["growing.py:2"] == ("500 MiB", "1")
    # The kernel ends it when it touches the next block, which it has got already.
    report = session.report(session.work_dir / "a.mtr", "--at", "now", "--domain", "python.obj")
    (count, size) = next((r["count"], r["size"]) for r in report["rows"] if r["line"] == 6)
    assert (count, size) == (last + 1, (last + 1) * BLOCK)
    assert shown["when killed"]["growing.py:6"][1] == str(count)
    assert report["totals"]["lost"] == 0


def test_killed_by_hand_in_a_group_is_not_out_of_memory(session, growing, group):
    group.limit(str(128 << 20))
    done = run(session, sys.executable, growing, 5, 9, preexec_fn=group.enter)
    assert done.returncode == 137 and "\nkilled by signal 9\n" in done.stderr


# -------------------------------------------------------------------------------------------------
# memtrace itself


def wait_for(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def ended(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


WAITING = """
import os, sys
kept = []
for _ in range(700):
    kept.append(bytes(1000))
print(os.getpid(), flush=True)
sys.stdin.readline()
for _ in range(300):
    kept.append(bytes(2000))
print("went on", flush=True)
sys.stdin.readline()
"""


def listed(session):
    return json.loads(session.tool("list", "--json").stdout)["processes"]


def test_memtrace_itself_is_killed(session):
    """The program goes on, can be looked at, and what it leaves behind can be removed."""
    tracer = subprocess.Popen(
        [session.memtrace, "run", sys.executable, "-c", WAITING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**clean_environment(), "MEMTRACE_DIR": str(session.regions_dir)},
        cwd=session.work_dir,
    )
    pid = int(tracer.stdout.readline())
    try:
        tracer.kill()
        assert tracer.wait(timeout=30) == -signal.SIGKILL
        tracer.stdin.write("\n")
        tracer.stdin.flush()
        assert tracer.stdout.readline() == "went on\n"
        assert [p["state"] for p in listed(session) if p["pid"] == pid] == ["running"]
        path = session.snapshot(pid)
        rows = session.report(path, "--domain", "python.obj")["rows"]
        ours = [row for row in rows if row["file"] == "<string>"]
        figures = {row["line"]: (row["count"], row["size"]) for row in ours}
        assert (figures[5], figures[9]) == ((700, 700 * 1033), (300, 300 * 2033))
        session.tool("clean")
        assert [p["pid"] for p in listed(session)] == [pid], "it lives: its region stays"
        tracer.stdin.close()
        wait_for(lambda: ended(pid), "the end of the program")
    finally:
        if not ended(pid):
            os.kill(pid, signal.SIGKILL)
    assert [p["state"] for p in listed(session)] == ["exited"]
    session.tool("clean")
    assert list(session.regions_dir.iterdir()) == []
