"""What tracemalloc's users pay: the standard module and memtrace's, side by side.

    dropin_tracemalloc.py PYTHON BUILD [RUNS [WORKLOAD...]]

Each program does what the article on tracemalloc does: start, work, snapshot, more work, snapshot,
compare_to, statistics. It is run bare (no calls of tracemalloc, no library), with the standard
module, and under the preloaded library with memtrace's module standing in; in turn, and again, so
that a busy machine is busy for all. The overhead is the median CPU time of the whole process, start and
imports included, minus the bare one's.
"""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

WORKLOADS = pathlib.Path(__file__).resolve().parent / "workloads"
TARGETS = {1: 1 / 3, 25: 1 / 10}  # by frames, of the standard module's overhead

PROGRAM = """\
import sys
frames, path = int(sys.argv[1]), sys.argv[2]
sys.argv = [path]
code = compile(open(path).read(), path, "exec")
if frames:
    import tracemalloc
    tracemalloc.start(frames)
def half(kept):
    space = {"__name__": "__main__"}
    exec(code, space)
    kept.append(space)
kept, snapshots = [], []
for _ in range(2):
    half(kept)
    if frames:
        snapshots.append(tracemalloc.take_snapshot())
if frames:
    for row in snapshots[1].compare_to(snapshots[0], "lineno")[:10]:
        print(row)
    for row in snapshots[1].statistics("traceback")[:3]:
        print(row)
    print(tracemalloc.get_traced_memory())
    tracemalloc.stop()
"""


def measure(python, runs, build=None, names=("objs", "jsonw"), tell=None):
    """Rows of what was measured: what, theirs, ours (seconds over bare), ratio, target, bare."""
    build = pathlib.Path(build or os.environ.get("MEMTRACE_BUILD_DIR", "build/release")).resolve()
    rows = []
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        program = pathlib.Path(folder) / "program.py"
        program.write_text(PROGRAM)
        for name in names:
            path = WORKLOADS / (name + ".py")
            for frames, target in TARGETS.items():
                rows.append(_compare(python, runs, build, program, path, frames, target, folder))
                if tell:
                    tell(rows[-1])
    return rows


def _memory():
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _compare(python, runs, build, program, path, frames, target, folder):
    clean = {n: v for n, v in os.environ.items() if not n.startswith(("PYTHON", "MEMTRACE_"))}
    clean.pop("LD_PRELOAD", None)
    clean["PYTHONHASHSEED"] = "0"
    stand_in = build / "python" / "memtrace" / "_instead" / "tracemalloc"
    ours = dict(clean, LD_PRELOAD=str(build / "libmemtrace.so"), PYTHONPATH=str(stand_in))
    ours["MEMTRACE_DIR"] = folder
    kinds = {"bare": (0, clean), "theirs": (frames, clean), "ours": (frames, ours)}
    times = {kind: [] for kind in kinds}
    for _ in range(runs):
        for kind, (wanted, env) in kinds.items():
            times[kind].append(_run([python, program, str(wanted), path], env))
            for left in pathlib.Path(folder).glob("*.region"):
                left.unlink()
    median = {kind: statistics.median(values) for kind, values in times.items()}
    theirs, ours = median["theirs"] - median["bare"], median["ours"] - median["bare"]
    return {
        "what": f"tracemalloc: {path.stem}, start({frames}), over a run without it",
        "bare": median["bare"],
        "theirs": theirs,
        "ours": ours,
        "ratio": ours / theirs,
        "target": target,
    }


def _run(argv, env):
    """CPU seconds: what other processes take of the machine does not count."""
    before = os.times()
    done = subprocess.run(
        [str(word) for word in argv],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=600,
    )
    after = os.times()
    if done.returncode != 0 or done.stderr:
        raise RuntimeError(f"{argv} ended with {done.returncode}: {done.stderr.decode()[-500:]}")
    return (after.children_user - before.children_user) + (
        after.children_system - before.children_system
    )


def _print(row):
    line = "{what:56} {bare:7.2f}s {theirs:7.2f}s {ours:7.2f}s {ratio:7.3f} {target:7.3f}"
    print(line.format(**row), flush=True)


def main():
    python, build = sys.argv[1], sys.argv[2]
    begin = time.monotonic()
    print(f"{'what':56} {'bare':>8} {'theirs':>8} {'ours':>8} {'ratio':>7} {'target':>7}")
    runs = int(sys.argv[3]) if sys.argv[3:] else 3
    measure(python, runs, build, sys.argv[4:] or ("objs", "jsonw"), _print)
    print(f"{time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
