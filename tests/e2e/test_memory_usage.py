"""The drop-in for memory_profiler beside its line tables: memory_usage, its helpers and its options.

Expected bytes come from the objects' known sizes; what memory_profiler 0.61 itself does was run.
"""

import json
import re

import harness
import pytest
import test_compat_memory_profiler as compat

MIB = 1 << 20


USAGE = """
import json, os, subprocess, sys, time
from memtrace.compat.memory_profiler import memory_usage
calls = []
def work(n=1000000, keep=0):
    calls.append(n)
    block = bytes(n)
    del block
    return "done"
answer = {}
answer["now"] = memory_usage()
answer["pid"] = memory_usage(os.getpid())
answer["samples"] = memory_usage(-1, 0.05, 0.2)
answer["stamped"] = memory_usage(timestamps=True)
answer["short"] = memory_usage((work, (50000000,)))
answer["calls"] = len(calls)
answer["both"] = memory_usage((work, (), {"n": 20000000}), retval=True, max_usage=True)
with open("stream", "w") as stream:
    answer["stream"] = memory_usage(work, stream=stream)
with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.5)"]) as child:
    answer["child"] = memory_usage(child, interval=0.05, multiprocess=True)
bystander = subprocess.Popen(["sleep", "60"])
def fails():
    raise KeyError("mine")
try:
    memory_usage(fails)
except KeyError as error:
    answer["error"] = str(error)
answer["bystander"] = bystander.poll()
bystander.terminate(); bystander.wait()
for bad in ((), (work, (), {}, 1)):
    try:
        memory_usage(bad)
    except ValueError:
        answer["refused"] = answer.get("refused", 0) + 1
for backend in ("psutil", "psutil_pss", "psutil_uss", "posix", "tracemalloc"):
    answer[backend] = memory_usage(backend=backend)[0]
try:
    memory_usage(backend="nonsense")
except KeyError:
    answer["unknown"] = True
print(json.dumps(answer))
"""


def test_memory_usage(session, python):
    told = json.loads(compat.run_source(session, python, USAGE).stdout)
    assert len(told["now"]) == len(told["pid"]) == 1
    assert abs(told["now"][0] - told["pid"][0]) < 0.1
    assert len(told["samples"]) == 4
    assert told["stamped"][0][1] > 1e9
    assert told["calls"] == 1, "a short callable runs once"
    assert (max(told["short"]) - told["short"][0]) * MIB == pytest.approx(50000033, abs=2048)
    peak, value = told["both"]
    assert value == "done"
    assert 0 <= peak * MIB - told["now"][0] * MIB - 20000033 < 200000
    assert told["stream"] is None
    lines = (session.work_dir / "stream").read_text().splitlines()
    assert len(lines) >= 3
    assert all(re.fullmatch(r"MEM \d+\.\d{6} \d+\.\d{4}", line) for line in lines)
    assert all(isinstance(sample, list) and sample[0] > 0 for sample in told["child"])
    assert len(told["child"]) >= 3
    assert told["error"] == "'mine'"
    assert told["bystander"] is None, "nobody else's process is ended"
    assert told["refused"] == 2
    assert told["psutil"] > told["now"][0] and told["psutil_pss"] > 0 and told["psutil_uss"] > 0
    assert told["unknown"] is True


BACKENDS = """
import json
from memtrace.compat.memory_profiler import choose_backend
answer = [choose_backend(), choose_backend("memtrace"), choose_backend("posix")]
try:
    choose_backend("nonsense")
except KeyError as error:
    answer.append(error.args[0])
print(json.dumps(answer))
"""


@pytest.mark.parametrize("best", ["memtrace", "psutil"])
def test_choose_backend(session, python, best):
    done = compat.run_source(session, python, BACKENDS, preload=best == "memtrace")
    assert json.loads(done.stdout) == [best, best, "posix", "nonsense"]
    told = done.stderr.splitlines()
    assert len(told) == (best == "psutil"), "said once, and only where there is no library"
    assert all("libmemtrace.so is not in this process" in line for line in told)


LOG = """
import json, logging
from memtrace.compat.memory_profiler import LogFile, profile
seen = []
class Handler(logging.Handler):
    flushed = 0
    def emit(self, record):
        seen.append((record.levelname, record.getMessage()))
    def flush(self):
        self.flushed += 1
handler = Handler()
logging.getLogger("all").addHandler(handler)
logging.getLogger("grown").addHandler(handler)
logging.getLogger("all").setLevel(logging.INFO)
logging.getLogger("grown").setLevel(logging.INFO)
def f():
    a = bytes(3000000)
    b = 1
    del a
    return b
answer = {}
for name, alone in (("all", False), ("grown", True)):
    stream = LogFile(name, reportIncrementFlag=alone)
    profile(f, stream=stream)()
    stream.flush()
    answer[name] = list(seen)
    seen.clear()
print(json.dumps([answer, handler.flushed]))
"""


def test_log_file(session, python):
    """With reportIncrementFlag as in memory_profiler: headings, and lines that took memory."""
    answer, flushed = json.loads(compat.run_source(session, python, LOG).stdout)
    assert flushed == 2
    assert {level for level, _ in answer["all"] + answer["grown"]} == {"INFO"}
    every = "".join(text for _, text in answer["all"])
    sources = ["def f():", "a = bytes(3000000)", "b = 1", "del a", "return b"]
    assert [source for source in sources if source in every] == sources
    heading, header, called, grown = [text for _, text in answer["grown"]]
    assert heading.startswith("Filename: ") and "Line Contents" in header
    assert "def f():" in called
    assert re.search(r" 2\.9 MiB +1       a = bytes", grown)


TIMER = """
import json, multiprocessing, os
from memtrace.compat.memory_profiler import MemTimer
answer = []
for options in ({}, {"max_usage": True}, {"timestamps": True}):
    child, parent = multiprocessing.Pipe()
    timer = MemTimer(os.getpid(), 0.02, child, "memtrace", **options)
    timer.start()
    ready = parent.recv()
    kept = bytes(30000000)
    while len(timer._samples.taken) < 3:
        pass
    parent.send(0)
    shown, number = parent.recv(), parent.recv()
    timer.join(10)
    answer.append([ready, shown, number, timer.is_alive()])
    del kept
print(json.dumps(answer))
"""


def test_timer(session, python):
    plain, largest, stamped = json.loads(compat.run_source(session, python, TIMER).stdout)
    for ready, _, number, alive in (plain, largest, stamped):
        assert ready == 0 and number >= 4 and not alive
    samples = plain[1]
    assert len(samples) == plain[2]
    # Small blocks of the loop that waits, and of the thread, come; a few may go.
    assert -1024 < (samples[-1] - samples[0]) * MIB - 30000033 < 65536
    assert isinstance(largest[1], float) and largest[1] >= samples[-1] - 0.5
    assert all(stamp > 1e9 for _, stamp in stamped[1])


STAMPS = """
import asyncio, sys
from memtrace.compat.memory_profiler import TimeStamper
stamper = TimeStamper("memtrace")
@stamper
def inner(n):
    return bytes(n)
@stamper
def outer(n):
    "Its own text."
    return inner(n)
@stamper
async def waits(n):
    await asyncio.sleep(0)
    return bytes(n)
@stamper
def fails():
    raise KeyError("mine")
asyncio.run(waits(1))
outer(1)
kept = [outer(1000000), asyncio.run(waits(2000000))]
with stamper.timestamp("block"):
    kept.append(bytes(3000000))
try:
    fails()
except KeyError:
    pass
assert outer.__name__ == "outer" and outer.__doc__ == "Its own text."
stamper.show_results(sys.stdout)
"""


def test_time_stamper(session, python):
    text = compat.run_source(session, python, STAMPS).stdout
    number = r"(\d+\.\d{4})"
    rows = re.findall(rf"^FUNC (\S+) {number} {number} {number} {number} (\d)$", text, re.M)
    assert len(rows) == len(text.splitlines())
    assert [(row[0], int(row[5])) for row in rows] == [
        ("__main__.inner", 1),
        ("__main__.inner", 1),
        ("__main__.outer", 0),
        ("__main__.outer", 0),
        ("__main__.waits", 0),
        ("__main__.waits", 0),
        ("__main__.fails", 0),
        (".block", 0),
    ]
    grown = [float(row[3]) - float(row[1]) for row in rows]
    assert all(0 <= float(row[4]) - float(row[2]) < 60 for row in rows)
    # Four digits of a MiB, 105 bytes, are shown of each; the interpreter's own few blocks are in it.
    for index, size in ((1, 1000033), (3, 1000033), (5, 2000033), (7, 3000033)):
        assert abs(grown[index] * MIB - size) < 8192, rows[index]
    assert abs(grown[6]) * MIB < 8192


CHILDREN = """
import subprocess, sys
@profile
def f():
    text = "kept = bytearray(60 << 20); print(1, flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.read(1)
    child.communicate(b"\\n")
f()
"""


@pytest.mark.parametrize("flags, grown", [((), 0), (("--include-children",), 60)])
def test_include_children(session, pythons, flags, grown):
    """A child that holds 60 MiB is in the line that waited for them, when it is asked for."""
    (session.work_dir / "main.py").write_text(CHILDREN)
    env = session.env(PYTHONPATH=compat.PACKAGE_ROOT)
    argv = [pythons[-1], "-m", "memtrace.compat.memory_profiler", "--backend", "psutil", *flags]
    done = harness.run([*argv, "main.py"], env=env, cwd=session.work_dir)
    rows = re.findall(r"MiB +(-?[\d.]+) MiB +1 +(child\.\w+)", done.stdout)
    shown = {source: float(increment) for increment, source in rows}
    # A child of its own is about 10 MiB before, and there may be less of it at the line's begin.
    assert grown <= shown["child.stdout"] < grown + 30, done.stdout
    assert shown["child.communicate"] <= 1 - grown


LIMITED = """
@profile
def f(n):
    before = 1
    a = bytearray(n)
    b = len(a)
    return b
if __name__ == "__main__":
    f(1000)
    print("in all", f(200 << 20))
"""


def test_debugger_where_memory_passes_a_limit(session, python):
    (session.work_dir / "main.py").write_text(LIMITED)
    env = session.env(PYTHONPATH=compat.PACKAGE_ROOT)
    argv = [python, "-m", "memtrace.compat.memory_profiler", "--pdb-mmem", "150", "main.py"]
    done = harness.run(argv, env=env, cwd=session.work_dir, input="p 'bytes', n\nc\n", stdin=None)
    said = re.search(r"Current memory ([\d.]+) MiB exceeded the maximum of 150.00 MiB", done.stdout)
    assert 200 <= float(said.group(1)) < 250
    assert "main.py(6)f()\n-> b = len(a)\n(Pdb) ('bytes', 209715200)\n" in done.stdout
    assert done.stdout.count("Stepping into the debugger") == 1
    assert "in all 209715200\n" in done.stdout
    assert "Line #" not in done.stdout
