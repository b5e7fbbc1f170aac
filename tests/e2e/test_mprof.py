"""`mprof run` and its files: samples and marks to the byte, children, signals, ends.

The programs make blocks of known size and rest meanwhile; a figure at rest is compared with
arithmetic, without tolerance.
"""

import json
import os
import signal
import subprocess
import time

import harness
import mprof_files as files
import pytest
from mprof_files import MIB, between, mprof

STEPS = harness.PROGRAMS / "mprof_steps.py"
# Of a bytearray: its object, and its bytes with a zero behind.
BYTEARRAY = 56 + 1


def write(session, text, name="main.py"):
    path = session.work_dir / name
    path.write_text(text)
    return path


def test_samples_and_marks_are_exact(session, python):
    done = mprof(session, python, "run", "-T", "0.05", "--python", str(python), STEPS)
    of_list, of_array, moments = json.loads(done.stdout)
    assert (of_list, of_array) == (8 * 10**6 + 56, (3 << 20) + BYTEARRAY)
    told = files.data(session)
    assert told.command == f"{python} {STEPS}"
    rests = [between(told.samples, *moments[2 * i : 2 * i + 2]) for i in range(1, 5)]
    # The list's object is one that was freed before: what is new are its elements.
    assert rests[1] - rests[0] == 8 * 10**6
    assert rests[2] - rests[1] == of_array
    assert rests[3] == rests[2]
    made, outer = told.marks[-2:]
    assert (made[0], made[5]) == ("__main__.make", 1)
    assert (outer[0], outer[5]) == ("__main__.outer", 0)
    assert made[3] - made[1] == outer[3] - outer[1] == of_array
    assert outer[2] <= made[2] <= made[4] <= outer[4]


SPIKE = """
@profile
def spike(size):
    bytearray(size)
spike(10)
spike(10)
spike(40 << 20)
"""


def test_peak_between_two_samples(session, pythons):
    """One sample at the start, one at the end: the peak is in the file all the same."""
    mprof(session, pythons[-1], "run", "-T", "60", write(session, SPIKE))
    told = files.data(session)
    name, before, start, after, end, level = told.marks[-1]
    assert (name, level) == ("__main__.spike", 0)
    assert after == before
    assert told.peak() - before == (40 << 20) + BYTEARRAY
    said = mprof(session, pythons[-1], "peak").stdout
    assert said == "Using last profile data.\n{}\t{:.3f} MiB\n".format(
        next(session.work_dir.glob("*.dat")).name, told.peak() / MIB
    )


MARKS = """
import asyncio, threading

class Thing:
    @profile
    def method(self, size):
        return bytearray(size)

@profile
async def coroutine(size):
    kept = bytearray(size)
    await asyncio.sleep(0)
    return kept

@profile
def generator(size):
    kept = bytearray(size)
    yield 1
    yield len(kept)

@profile
def fails():
    raise ValueError("known")

@profile
def recursive(depth):
    return recursive(depth - 1) if depth else None

Thing().method(1000)
asyncio.run(coroutine(1000))
assert list(generator(1000)) == [1, 1000]
try:
    fails()
except ValueError:
    pass
recursive(2)
kept = None
for size in 10, 10, 1 << 20:
    with profile.timestamp("a block"):
        kept = bytearray(size)
thread = threading.Thread(target=recursive, args=(0,))
thread.start()
thread.join()
assert Thing.method.__name__ == "method" and __name__ == "__main__"
raise SystemExit(7)
"""


def test_marks_of_all_sorts_of_functions(session, pythons):
    done = mprof(session, pythons[0], "run", "-E", write(session, MARKS), check=False)
    assert done.returncode == 7, done.stderr
    told = files.data(session)
    names = [(mark[0], mark[5]) for mark in told.marks]
    assert names == [
        ("__main__.method", 0),
        ("__main__.coroutine", 0),
        ("__main__.generator", 0),
        ("__main__.fails", 0),
        ("__main__.recursive", 2),
        ("__main__.recursive", 1),
        ("__main__.recursive", 0),
        (".a_block", 0),
        (".a_block", 0),
        (".a_block", 0),
        ("__main__.recursive", 0),
    ]
    _, before, _, after, _, _ = told.marks[-2]
    # From 3.9 on, `with` lets go of the method that ends it, 64 bytes, before that is called.
    method = 64 if pythons[0].version >= (3, 9) else 0
    assert after - before == MIB - 10 - method


ARTICLE = """
from memory_profiler import profile

@profile
def process_strs(reps=10**6):
	str1 = 'python'*reps
	str2 = 'programmer'*reps
	str3 = str1 + str2
	del str2
	return str3

process_strs(reps=10**6)
"""


def test_imported_profile_marks_and_prints_its_table(session, pythons):
    write(session, ARTICLE)
    done = mprof(session, pythons[-1], "run", "--python", "main.py")
    assert "Line #    Mem usage    Increment  Occurrences   Line Contents" in done.stdout
    assert "str3 = str1 + str2" in done.stdout
    told = files.data(session)
    # Of ASCII text: a byte for each character, and what sys.getsizeof("") says.
    assert told.peak() - told.mark("__main__.process_strs")[1] >= 6 * 10**6 + 10**7 + 16 * 10**6


FAMILY = """
import json, os, sys, time
reports = []
for size in (5 << 20, 9 << 20):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        kept = None
        def rest():
            now = time.time()
            time.sleep(0.4)
            return now, time.time()
        moments = [rest()]
        kept = bytearray(size)
        moments.append(rest())
        os.write(writer, json.dumps([os.getpid(), size, moments]).encode())
        os._exit(0)
    os.close(writer)
    reports.append(reader)
print("[" + ",".join(os.read(reader, 1000).decode() for reader in reports) + "]")
for _ in reports:
    os.wait()
"""


def test_each_child_has_its_line(session, pythons):
    write(session, FAMILY)
    done = mprof(session, pythons[-1], "run", "-T", "0.05", "-M", "main.py")
    told = files.data(session)
    reports = json.loads(done.stdout)
    assert set(told.children) == {pid for pid, _, _ in reports}
    for pid, size, (before, after) in reports:
        points = told.children[pid]
        assert max(size for _, size in points) >= between(points, *after)
        grown = between(points, *after) - between(points, *before)
        # Two floats in a tuple in a list: a few small blocks for each rest.
        assert 0 <= grown - size - BYTEARRAY < 512
    assert told.marks == []


def test_sum_over_children(session, pythons):
    write(session, FAMILY)
    done = mprof(session, pythons[-1], "run", "-T", "0.05", "-C", "main.py")
    told = files.data(session)
    assert told.children == {}
    rests = [[], []]
    for _, _, moments in json.loads(done.stdout):
        for rest, moment in zip(rests, moments):
            rest.append(moment)
    # When both rest; a sample reads one process after the other.
    sums = [
        between(told.samples, max(s for s, _ in rest) + 0.05, min(e for _, e in rest) - 0.05)
        for rest in rests
    ]
    assert 0 <= sums[1] - sums[0] - (14 << 20) - 2 * BYTEARRAY < 1024


RESIDENT = """
import json, os, time
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
kept = bytearray(30 << 20)
resident()
before = resident()
start = time.time()
time.sleep(0.4)
end = time.time()
print(json.dumps([before, start, end, os.environ.get("LD_PRELOAD")]))
"""


@pytest.mark.parametrize("backend", ["psutil", "posix", "psutil_uss"])
def test_resident_memory(session, pythons, backend):
    write(session, RESIDENT)
    done = mprof(session, pythons[-1], "run", "-T", "0.05", "--backend", backend, "main.py")
    before, start, end, preload = json.loads(done.stdout)
    assert preload is None  # as alone
    samples = files.data(session).samples
    if backend in ("psutil", "posix"):
        assert between(samples, start, end) == before
        return
    # Without what others have, too, which changes with them.
    sizes = [size for when, size in samples if start < when < end]
    assert sizes and all((30 << 20) < size < before for size in sizes)


def test_program_that_cannot_be_traced(session, pythons):
    write(session, RESIDENT)
    done = mprof(session, pythons[-1], "run", "-T", "0.05", "main.py", MEMTRACE_DISABLE="1")
    before, start, end, _ = json.loads(done.stdout)
    assert between(files.data(session).samples, start, end) == before
    assert "its resident memory is recorded instead" in done.stderr


# -------------------------------------------------------------------------------------------------
# Ends


@pytest.mark.parametrize(
    "program, flags, status",
    [
        ("exit 3", [], 0),
        ("exit 3", ["-E"], 3),
        ("kill -9 $$", ["-E"], 128 + 9),
        ("exit 0", ["-E"], 0),
    ],
)
def test_exit_status(session, pythons, program, flags, status):
    done = mprof(session, pythons[-1], "run", *flags, "/bin/sh", "-c", program, check=False)
    assert done.returncode == status, done.stderr
    assert files.data(session).command == f"/bin/sh -c '{program}'"
    assert list(session.regions_dir.iterdir()) == []


WAITING = """
import os, signal, sys, time
def stop(number, frame):
    print("stopped by", number)
    sys.exit(5)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
@profile
def wait():
    print(os.getpid(), flush=True)
    time.sleep(60)
wait()
"""


def start_waiting(session, python, *flags):
    """mprof with a program that waits; (process of mprof, pid of the program)."""
    path = write(session, WAITING)
    argv = files.command(python, "run", "-T", "0.02", *flags, path)
    traced = session.start(argv, env=files.environment(session))
    return traced, int(traced.line())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_are_passed_on(session, pythons, number):
    traced, _ = start_waiting(session, pythons[-1], "-E")
    traced.process.send_signal(number)
    assert traced.line() == f"stopped by {int(number)}"
    assert traced.finish() == 5
    assert files.data(session).mark("__main__.wait")


def test_file_is_whole_when_mprof_is_killed(session, pythons):
    traced, pid = start_waiting(session, pythons[-1])
    time.sleep(1)
    traced.kill()
    os.kill(pid, signal.SIGKILL)
    assert len(files.data(session).samples) >= 5


def test_timeout_leaves_the_program_alone(session, pythons):
    traced, pid = start_waiting(session, pythons[-1], "-t", "1")
    assert traced.process.wait(timeout=30) == 0
    assert "1 s are over; the program goes on as pid" in traced.stderr()
    assert len(files.data(session).samples) in range(50, 56)  # a peak or two among them
    os.kill(pid, signal.SIGTERM)


# -------------------------------------------------------------------------------------------------
# Attach

GROWING = """
import json, sys, time
kept = None
print("READY {}", flush=True)
sys.stdin.readline()
kept = bytearray(20 << 20)
print(json.dumps(time.time()), flush=True)
sys.stdin.readline()
"""


def test_attach(session, pythons):
    write(session, GROWING)
    grower = session.start([pythons[-1], "main.py"])
    grower.ready()
    watcher = subprocess.Popen(
        files.command(pythons[-1], "attach", "-T", "0.02", "-o", "a.dat", grower.pid),
        env=files.environment(session),
        cwd=session.work_dir,
        stderr=subprocess.PIPE,
        text=True,
    )
    path, end = session.work_dir / "a.dat", time.monotonic() + 30
    while not (path.exists() and path.read_text().count("MEM") > 5) and time.monotonic() < end:
        time.sleep(0.01)
    grower.go_on()
    grown = json.loads(grower.line())
    time.sleep(0.3)
    let_go = time.time()
    grower.finish()
    said = watcher.communicate(timeout=30)[1]
    assert watcher.returncode == 0, said
    told = files.data(session, "a.dat")
    assert told.command == f"{pythons[-1]} main.py"
    before = told.samples[0][1]
    after = between(told.samples, grown + 0.1, let_go)
    # The line that was read, and the time that was printed: small blocks come, a few may go.
    assert -1024 < after - before - (20 << 20) - BYTEARRAY < 4096


def test_attach_to_what_is_not_traced(session, pythons):
    write(session, GROWING)
    env = harness.clean_environment()
    grower = session.start([pythons[-1], "main.py"], env=env)
    grower.ready()
    done = mprof(session, pythons[-1], "attach", "-T", "0.1", "-t", "1", "-o", "a.dat", grower.pid)
    assert f"process {grower.pid} is not traced" in done.stderr
    assert len(files.data(session, "a.dat").samples) == 10
    gone = mprof(session, pythons[-1], "attach", "no-such-program-here", check=False)
    assert gone.returncode == 1
    assert "Failed to find a process using hint: no-such-program-here" in gone.stderr
    grower.finish()
