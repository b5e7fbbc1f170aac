"""What it takes to look at a million objects: memtrace.heap() and asizeof() beside Pympler.

    measure(python, runs) -> rows of {"what", "theirs", "ours", "ratio", "target", "absolute"}

`python` is an interpreter that has Pympler. Each program runs alone and prints its own figures: one
under memtrace, one without it that asks Pympler, over the same objects. A figure is the median.
"""

import json
import os
import statistics
import subprocess
import sys

_OBJECTS = """
import gc, json, time
class Point:
    __slots__ = ("x",)
    def __init__(self, x):
        self.x = x
data = []
for i in range({count} // 5):
    data.append((i + 1000, "s%d" % i))  # three objects
    data.append(Point(float(i)) if i % 2 else [i])  # two
def timed(work):
    gc.collect()
    start = time.process_time()
    work()
    return time.process_time() - start
"""

_OURS = """
import memtrace
memtrace.asizeof(None)
heap = timed(memtrace.heap)
data = [float(i) for i in range({count})]
print(json.dumps({{"heap": heap, "asizeof": timed(lambda: memtrace.asizeof(data))}}))
"""

_THEIRS = """
from pympler import asizeof, muppy, summary
heap = timed(lambda: summary.summarize(muppy.get_objects()))
data = [float(i) for i in range({count})]
print(json.dumps({{"heap": heap, "asizeof": timed(lambda: asizeof.asizeof(data))}}))
"""

_WORDS = {
    "heap": "table of {:,} objects by type",
    "asizeof": "size of a list of {:,} objects",
}
TARGET_SECONDS = 2.0


def _figures(python, program, environment):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "MEMTRACE_"))}
    env.update(environment)
    done = subprocess.run(
        [str(python), "-c", program], env=env, stdout=subprocess.PIPE, text=True, timeout=600
    )
    if done.returncode != 0:
        raise RuntimeError("a program that measures ended with status %d" % done.returncode)
    return json.loads(done.stdout)


def measure(python, runs=3, count=1000000, build=None):
    """Medians of `runs` runs, in seconds of processor time."""
    build = build or os.environ.get("MEMTRACE_BUILD_DIR", "build/release")
    traced = {
        "LD_PRELOAD": os.path.abspath(os.path.join(build, "libmemtrace.so")),
        "PYTHONPATH": os.path.abspath(os.path.join(build, "python")),
        "MEMTRACE_QUIET": "1",
    }
    rows, ours, theirs = [], [], []
    for _ in range(runs):
        ours.append(_figures(python, (_OBJECTS + _OURS).format(count=count), traced))
        theirs.append(_figures(python, (_OBJECTS + _THEIRS).format(count=count), {}))
    for key, words in _WORDS.items():
        our = statistics.median(one[key] for one in ours)
        their = statistics.median(one[key] for one in theirs)
        rows.append(
            {
                "what": words.format(count),
                "theirs": their,
                "ours": our,
                "ratio": our / their,
                "target": TARGET_SECONDS,
                "absolute": True,  # of seconds, not of the ratio
            }
        )
    return rows


if __name__ == "__main__":
    for row in measure(sys.argv[1], *map(int, sys.argv[2:])):
        print(json.dumps(row))
