"""What the drop-in for memory_profiler costs beside memory_profiler 0.61, in the same interpreter.

    measure(python, runs) -> [{"what", "theirs", "ours", "ratio", "target"}], seconds
    dropin_memory_profiler.py PYTHON [RUNS [ITERATIONS…]]

`python` has memory_profiler installed. Both profile the same loop; runs alternate, and the best of
each counts. A million iterations, which take memory_profiler minutes, are run once.
MEMTRACE_BUILD_DIR names the build tree.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MEMTRACE_BUILD_DIR", SOURCE / "build" / "release"))
TARGET = 0.2

PROGRAM = """
import io, re, time
from {module} import profile
table = io.StringIO()

@profile(stream=table)
def loop(count):
    total = 0
    for i in range(count):
        total += i
    return total

loop(10)
began = time.perf_counter()
loop({count})
seconds = time.perf_counter() - began
lines = re.findall(r"MiB +(\\d+) {{5,}}", table.getvalue())
print(seconds, sum(map(int, lines)))
"""


def _seconds(python, module, count, env):
    """From a file: memory_profiler leaves out functions without one, and takes no time for them."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "loop.py")
        with open(path, "w") as file:
            file.write(PROGRAM.format(module=module, count=count))
        done = subprocess.run(
            [str(python), path], env=env, stdout=subprocess.PIPE, check=True, timeout=900
        )
    seconds, lines = done.stdout.split()
    assert int(lines) == 2 * (count + 10) + 2 * 3, "not all lines were recorded"
    return float(seconds)


def measure(python, runs=3, counts=(50000, 1000000)):
    """A row for each number of iterations: seconds of the profiled loop."""
    return [_row(python, 1 if count >= 1000000 else runs, count) for count in counts]


def _row(python, runs, count):
    plain = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "PYTHONPATH")}
    traced = dict(plain, LD_PRELOAD=str(BUILD / "libmemtrace.so"), PYTHONPATH=str(BUILD / "python"))
    theirs, ours = [], []
    for _ in range(runs):
        ours.append(_seconds(python, "memtrace.compat.memory_profiler", count, traced))
        theirs.append(_seconds(python, "memory_profiler", count, plain))
    return {
        "what": "a profiled loop of {:,} iterations, seconds".format(count),
        "theirs": min(theirs),
        "ours": min(ours),
        "ratio": min(ours) / min(theirs),
        "target": TARGET,
    }


if __name__ == "__main__":
    runs, *counts = [int(argument) for argument in sys.argv[2:]] or [3]
    print(json.dumps(measure(sys.argv[1], runs, *([counts] if counts else [])), indent=1))
