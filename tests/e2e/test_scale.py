"""Large programs: what the region takes, and how long the tool works on it.

The gates are of processor time, and the best of a few tries counts; ctest runs this file alone, for
processors that are shared make processor time longer, too.
"""

import os
import subprocess
import sys

import pytest
from harness import PROGRAMS, program

THREADS = 64
SITES = 300000
MIB = 1 << 20


def cost(session, *command):
    """(seconds of processor time, peak RSS in bytes) of the tool, at best."""
    seconds, resident = [], []
    for _ in range(5):
        argv = [session.memtrace, *map(str, command)]
        process = subprocess.Popen(argv, env=session.env(LD_PRELOAD=""), stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, argv
        seconds.append(usage.ru_utime + usage.ru_stime)
        resident.append(usage.ru_maxrss * 1024)
    return min(seconds), min(resident)


def region_bytes(session, pid):
    """Memory that the region really takes: the file is sparse."""
    return sum(os.stat(path).st_blocks * 512 for path in session.regions(pid))


@pytest.mark.skipif(sys.version_info < (3, 9), reason="os.waitstatus_to_exitcode")
def test_snapshot_and_compare_of_many_sites(session, pythons, tmp_path):
    per_thread = -(-SITES // THREADS)
    command = [pythons[-1], PROGRAMS / "many_stacks.py", THREADS, per_thread]
    traced = session.start(command)
    assert traced.ready()["blocks"] >= SITES
    before = session.snapshot(traced.pid)
    traced.go_on()
    traced.ready()
    after = tmp_path / "after.mtr"
    snapshot = cost(session, "snapshot", traced.pid, "-f", "-q", "-o", after)
    compare = cost(session, "compare", before, after, "--own")
    stacks = session.report(after, "--by", "traceback", "--top", "1")
    assert stacks["more_rows"] >= SITES
    assert stacks["totals"]["lost"] == 0
    assert len(session.report(after, "--by", "thread")["rows"]) >= THREADS
    print(f"snapshot {snapshot[0]:.2f} s {snapshot[1] >> 20} MiB,", end=" ")
    print(f"compare {compare[0]:.2f} s {compare[1] >> 20} MiB,", end=" ")
    print(f"region {region_bytes(session, traced.pid) >> 20} MiB")
    assert snapshot[0] <= 1 and compare[0] <= 1.5
    assert max(snapshot[1], compare[1]) <= 500 * MIB


def test_region_of_many_threads_and_places(session):
    """200 threads at 20,000 places each: four million sites."""
    traced = session.start([program("many_sites"), 200, 20000])
    traced.ready()
    size = region_bytes(session, traced.pid)
    print(f"region {size >> 20} MiB")
    assert size <= 300 * MIB
    assert traced.finish() == 0
