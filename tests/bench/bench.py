"""scripts/bench: what memtrace and its peers cost, on the programs in tests/bench/workloads.

Every program is run alone and under each tool, in turn (A B C A B C …), so that a slow minute of
the machine falls on all of them; the figures are medians, and ratios to the program alone.
"""

import argparse
import collections
import dataclasses
import json
import os
import platform
import subprocess
import sys

import measure
from results import Results, markdown_table
from tracers import BARE, TRACERS, Setting
from workloads import WORKLOADS

HERE = os.path.dirname(os.path.abspath(__file__))

# What --check demands: the same run must show memtrace cheap and tracemalloc as dear as is known.
GATE_WORKLOAD = "objs"
GATE_MEMTRACE_AT_MOST = 1.6
GATE_TRACEMALLOC_AT_LEAST = 3.0

# From this share of waiting on, the results say that the machine was not quiet.
BUSY_FROM = 0.15


def parse_arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__.split("\n")[0])
    names = [w.name for w in WORKLOADS]
    tools = [t.name for t in TRACERS]
    parser.add_argument("--only", metavar="A,B", help="programs: " + ", ".join(names))
    parser.add_argument("--tools", metavar="A,B", help="tools: " + ", ".join(tools))
    parser.add_argument("-n", "--runs", type=int, metavar="N", help="runs of each (5; quick: 3)")
    parser.add_argument("--quick", action="store_true", help="3 runs, memtrace and tracemalloc")
    parser.add_argument("--check", action="store_true", help="exit 1 unless objs is within bounds")
    parser.add_argument("--instructions", action="store_true", help="count them with perf as well")
    parser.add_argument(
        "--output", metavar="FILE", help="Markdown file; default: RESULTS.md if all"
    )
    for hidden in ("build", "python", "data"):  # given by the script
        parser.add_argument("--" + hidden, required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.check:
        options.only = options.only or GATE_WORKLOAD
        options.tools = options.tools or "memtrace,tracemalloc"
    options.whole = not (options.only or options.tools or options.quick)
    options.only = choose(parser, options.only, names)
    options.tools = choose(parser, options.tools, tools)
    options.runs = options.runs or (3 if options.quick else 5)
    if options.runs < 1:
        parser.error("--runs: at least 1")
    return options


def choose(parser, words, known):
    """The names in a comma-separated list, all when there is none."""
    if not words:
        return known
    chosen = [word.strip() for word in words.split(",")]
    for word in chosen:
        if word not in known:
            parser.error(f"no such name: {word!r}; there are: {', '.join(known)}")
    return chosen


def prepare(options):
    binaries = os.path.join(options.build, "bench")
    os.makedirs(binaries, exist_ok=True)
    measure.compile_c(os.path.join(HERE, "launch.c"), os.path.join(binaries, "launch"))
    for workload in WORKLOADS:
        if not workload.is_python:
            measure.compile_c(workload.path, os.path.join(binaries, workload.name))
    return Setting(options.python, os.path.join(options.build, "libmemtrace.so"), binaries)


def choose_tracers(options, setting):
    chosen = []
    for tracer in TRACERS:
        if tracer.name not in options.tools or (options.quick and tracer.extended):
            continue
        reason = tracer.available(setting)
        if reason:
            print(f"left out: {tracer.name}: {reason}", file=sys.stderr)
        else:
            chosen.append(tracer)
    return chosen


class Recorded:
    """What memtrace recorded of a workload: proof that it traced, and lost nothing."""

    def __init__(self, build):
        self.tool = os.path.join(build, "memtrace")
        self.totals = {}

    def inspector(self, workload):
        def inspect(scratch):
            regions = [name for name in os.listdir(scratch) if name.endswith(".region")]
            if not regions:
                raise measure.BenchError(f"{workload.name} ran without being traced")
            largest = max(
                (os.path.join(scratch, name) for name in regions),
                key=lambda p: os.stat(p).st_blocks,
            )
            argv = [self.tool, "report", largest, "--format", "json", "--top", "1"]
            done = subprocess.run(argv, capture_output=True, text=True)
            if done.returncode:
                raise measure.BenchError(f"cannot read what was recorded: {done.stderr.strip()}")
            self.totals[workload.name] = json.loads(done.stdout)["totals"]

        return inspect

    def table(self):
        rows = [["program", "allocations", "bytes", "peak", "lost"]]
        for name, totals in self.totals.items():
            figures = ("alloc_blocks", "alloc_bytes", "peak_bytes", "lost")
            rows.append([name, *(f"{totals[figure]:,}" for figure in figures)])
        return markdown_table(rows) if len(rows) > 1 else ""


def run_all(options, setting, tracers, recorded):
    """All runs, in turn. The first of each kind is not counted: it fills caches."""
    runs = []
    for workload in [w for w in WORKLOADS if w.name in options.only]:
        chosen = [BARE] + [tracer for tracer in tracers if tracer.measures(workload)]
        measure.run_once(workload, BARE, setting, options.data)
        for turn in range(options.runs):
            for tracer in chosen:
                inspect = None
                if tracer.name == "memtrace" and turn == 0:
                    inspect = recorded.inspector(workload)
                run = measure.run_once(workload, tracer, setting, options.data, inspect)
                runs.append(run)
                print(
                    f"{workload.name:8} {tracer.name:16} {turn + 1}/{options.runs} "
                    f"{run.wall:8.3f} s {run.rss / 1024:7.1f} MiB",
                    file=sys.stderr,
                )
    return runs


def instruction_table(options, setting, tracers):
    rows = [["program", "instructions alone", *(tracer.title for tracer in tracers)]]
    for workload in [w for w in WORKLOADS if w.name in options.only]:
        bare = measure.instructions(workload, BARE, setting, options.data)
        if bare is None:
            return "`perf` cannot count instructions on this machine."
        counts = [
            measure.instructions(workload, tracer, setting, options.data)
            if tracer.measures(workload)
            else None
            for tracer in tracers
        ]
        cells = [f"{count / bare:.2f}×" if count else "–" for count in counts]
        rows.append([workload.name, f"{bare / 1e9:.2f} G", *cells])
    return markdown_table(rows)


def machine(options):
    """Processor, kernel and interpreter in one line."""
    model = platform.processor() or platform.machine()
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    version = [options.python, "-c", "import platform; print(platform.python_version())"]
    python = subprocess.check_output(version, text=True).strip()
    cores = len(os.sched_getaffinity(0))
    return f"{model}, {cores} cores, {platform.system()} {platform.release()}, CPython {python}"


def versions(options, tracers):
    """Versions of the packages that take part."""
    names = ["numpy", "pandas", "scikit-learn", "sqlglot"]
    if any(tracer.name.startswith("memray") for tracer in tracers):
        names.append("memray")
    code = (
        "import sys\nfrom importlib.metadata import version\n"
        "print(', '.join(n + ' ' + version(n) for n in sys.argv[1:]))"
    )
    return subprocess.check_output([options.python, "-c", code, *names], text=True).strip()


def busy_note(results):
    """A paragraph of warning when other work disturbed the measurement."""
    waiting = results.waiting()
    if waiting < BUSY_FROM:
        return []
    return [
        f"**The machine was busy with other work**: programs alone took {waiting:.0%} longer than "
        "their processor time. Times are unreliable; processor times are less so. Measure again."
    ]


def document(options, results, recorded, tracers, counts):
    parts = [
        "# What tracing costs",
        "Written by `scripts/bench`. Whole processes, start and end included; medians of "
        f"{options.runs} runs taken in turn; ratios to the same program run alone.",
        f"Machine: {machine(options)}.  \nPackages: {versions(options, tracers)}.",
        *busy_note(results),
        "## Time",
        results.table("wall"),
        "## Processor time, user and system",
        results.table("cpu"),
        "## Peak memory of the process (RSS)",
        results.table("rss"),
    ]
    pairs = results.pairs_table()
    if pairs:
        parts += ["## One pair of calls", pairs]
    if recorded.totals:
        parts += ["## What memtrace recorded", recorded.table()]
    if counts:
        parts += ["## Instructions in user space", counts]
    explained = [f"- {tracer.title}: {tracer.what}" for tracer in tracers]
    parts += ["## Tools", "\n".join(explained)]
    return "\n\n".join(parts) + "\n"


def save(options, text, runs):
    log = os.path.join(options.build, "bench", "runs.json" if options.whole else "runs-part.json")
    with open(log, "w") as file:
        json.dump([dataclasses.asdict(run) for run in runs], file, indent=1)
    target = options.output or (os.path.join(HERE, "RESULTS.md") if options.whole else None)
    if target:
        with open(target + ".new", "w") as file:
            file.write(text)
        os.replace(target + ".new", target)
        print(f"written: {os.path.relpath(target)}", file=sys.stderr)


Verdict = collections.namedtuple("Verdict", "passed text")


def gate(results):
    """Whether the run stays within the bounds, in one sentence."""
    mine = results.ratio(GATE_WORKLOAD, "memtrace", "wall")
    theirs = results.ratio(GATE_WORKLOAD, "tracemalloc", "wall")
    if mine is None or theirs is None:
        return Verdict(False, f"{GATE_WORKLOAD}: memtrace or tracemalloc could not be measured")
    passed = mine <= GATE_MEMTRACE_AT_MOST and theirs >= GATE_TRACEMALLOC_AT_LEAST
    return Verdict(
        passed,
        f"{GATE_WORKLOAD}: memtrace {mine:.2f}× (at most {GATE_MEMTRACE_AT_MOST}×), "
        f"tracemalloc {theirs:.2f}× (at least {GATE_TRACEMALLOC_AT_LEAST}×): "
        + ("within bounds" if passed else "OUT OF BOUNDS"),
    )


def main():
    options = parse_arguments()
    setting = prepare(options)
    tracers = choose_tracers(options, setting)
    recorded = Recorded(options.build)
    try:
        runs = run_all(options, setting, tracers, recorded)
    except measure.BenchError as error:
        print(f"scripts/bench: {error}", file=sys.stderr)
        return 1
    counts = instruction_table(options, setting, tracers) if options.instructions else ""
    results = Results(runs)
    text = document(options, results, recorded, tracers, counts)
    print(text)
    save(options, text, runs)
    if options.check:
        verdict = gate(results)
        print(verdict.text)
        return 0 if verdict.passed else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
