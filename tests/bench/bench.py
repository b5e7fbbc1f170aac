"""scripts/bench: what memtrace and its peers cost, on the programs in tests/bench/workloads.

Every program is run alone and under each tool, in turn (A B C A B C …), so that a slow minute of
the machine falls on all of them; the figures are medians, and ratios to the program alone.
"""

import argparse
import collections
import dataclasses
import json
import os
import subprocess
import sys

import document
import dropins
import measure
import recordings
import regions
from results import Results
from tracers import BARE, FULL, LEAF, TRACERS, Setting, largest_region
from workloads import (
    PROGRAMS,
    PYPERFORMANCE,
    THREAD_WORKLOADS,
    THREADS,
    WORKLOADS,
    pyperformance_workloads,
)

HERE = os.path.dirname(os.path.abspath(__file__))

# What --check demands: the same run must show memtrace cheap and tracemalloc as dear as is known.
GATE_WORKLOAD = "objs"
GATE_MEMTRACE_AT_MOST = 1.6
GATE_TRACEMALLOC_AT_LEAST = 3.0

RECORDINGS, REGIONS, DROPINS = "recordings", "regions", "dropins"
PARTS = (PROGRAMS, THREADS, PYPERFORMANCE, RECORDINGS, REGIONS, DROPINS)
QUICK_PARTS = (PROGRAMS, THREADS, REGIONS)


def parse_arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__.split("\n")[0])
    names = [w.name for w in WORKLOADS]
    tools = [t.name for t in TRACERS]
    parser.add_argument("--only", metavar="A,B", help="programs: " + ", ".join(names))
    parser.add_argument("--tools", metavar="A,B", help="tools: " + ", ".join(tools))
    parser.add_argument("--parts", metavar="A,B", help="what to measure: " + ", ".join(PARTS))
    parser.add_argument("-n", "--runs", type=int, metavar="N", help="runs of each (5; quick: 3)")
    parser.add_argument("--quick", action="store_true", help="3 runs, memtrace and tracemalloc")
    parser.add_argument("--check", action="store_true", help="exit 1 unless objs is within bounds")
    parser.add_argument("--instructions", action="store_true", help="count them with perf as well")
    parser.add_argument(
        "--output", metavar="FILE", help="Markdown file; default: RESULTS.md if all"
    )
    parser.add_argument(
        "--update", action="store_true", help="put what was measured into RESULTS.md, keep the rest"
    )
    for hidden in ("build", "python", "data"):  # given by the script
        parser.add_argument("--" + hidden, required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.check:
        options.only = options.only or GATE_WORKLOAD
        options.tools = options.tools or "memtrace,tracemalloc"
    options.whole = not (options.only or options.tools or options.parts or options.quick)
    if options.only and not options.parts:
        options.parts = PROGRAMS
    options.parts = choose(parser, options.parts, QUICK_PARTS if options.quick else PARTS, PARTS)
    options.only = choose(parser, options.only, names)
    options.tools = choose(parser, options.tools, tools)
    options.runs = options.runs or (3 if options.quick else 5)
    if options.runs < 1:
        parser.error("--runs: at least 1")
    return options


def choose(parser, words, default, known=None):
    """The names in a comma-separated list; the default when there is none."""
    if not words:
        return list(default)
    chosen = [word.strip() for word in words.split(",")]
    for word in chosen:
        if word not in (known or default):
            parser.error(f"no such name: {word!r}; there are: {', '.join(known or default)}")
    return chosen


def prepare(options):
    binaries = os.path.join(options.build, "bench")
    os.makedirs(binaries, exist_ok=True)
    measure.compile_c(os.path.join(HERE, "launch.c"), os.path.join(binaries, "launch"))
    for workload in [*WORKLOADS, *THREAD_WORKLOADS]:
        if not workload.is_python:
            measure.compile_c(workload.path, os.path.join(binaries, workload.binary))
    return Setting(options.python, options.build, binaries)


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


def choose_workloads(options, setting):
    """{part: its programs}."""
    chosen = {PROGRAMS: tuple(w for w in WORKLOADS if w.name in options.only)}
    chosen[THREADS] = THREAD_WORKLOADS
    if PYPERFORMANCE in options.parts:
        code = "import sysconfig; print(sysconfig.get_path('purelib'))"
        packages = subprocess.check_output([options.python, "-c", code], text=True).strip()
        found = [w for w in pyperformance_workloads(packages) if os.path.exists(w.path)]
        chosen[PYPERFORMANCE] = tuple(found)
        if not found:
            print("left out: pyperformance: not installed", file=sys.stderr)
    return {part: workloads for part, workloads in chosen.items() if part in options.parts}


class Recorded:
    """What memtrace recorded of a workload: proof that it traced, and lost nothing."""

    def __init__(self, setting):
        self.tool = setting.tool
        self.totals = {}

    def inspector(self, workload):
        def inspect(scratch):
            largest = largest_region(scratch)
            if not largest:
                raise measure.BenchError(f"{workload.name} ran without being traced")
            argv = [self.tool, "report", largest, "--format", "json", "--top", "1"]
            done = subprocess.run(argv, capture_output=True, text=True)
            if done.returncode:
                raise measure.BenchError(f"cannot read what was recorded: {done.stderr.strip()}")
            self.totals[workload.name] = json.loads(done.stdout)["totals"]

        return inspect


def run_part(options, setting, workloads, tracers, recorded):
    """All runs of some workloads, in turn; the first alone is not counted: it fills caches.

    A peer that fails or does not end is told of and left out for that program; memtrace must not.
    """
    runs, failures = [], []
    for workload in workloads:
        chosen = [BARE] + [tracer for tracer in tracers if tracer.measures(workload)]
        measure.run_once(workload, BARE, setting, options.data)
        for turn in range(options.runs):
            for tracer in list(chosen):
                inspect = recorded.inspector(workload) if tracer is FULL and turn == 0 else None
                try:
                    run = measure.run_once(workload, tracer, setting, options.data, inspect)
                except measure.BenchError as error:
                    if tracer in (BARE, FULL, LEAF):
                        raise
                    chosen.remove(tracer)
                    failures.append(str(error).splitlines()[0])
                    runs = [
                        r for r in runs if (r.workload, r.tracer) != (workload.name, tracer.name)
                    ]
                    print(f"left out: {error}", file=sys.stderr)
                    continue
                runs.append(run)
                print(
                    f"{workload.name:14} {tracer.name:16} {turn + 1}/{options.runs} "
                    f"{run.wall:8.3f} s {run.rss / 1024:7.1f} MiB",
                    file=sys.stderr,
                )
    return runs, failures


def take_recordings(options, setting, workloads, tracers):
    """Recordings of the Python programs and of `native`; those of a tool that fails are left out."""
    taken = []
    for workload in [w for w in workloads if w.in_mean or w.name == "native"]:
        for tracer in [t for t in tracers if t.reads and t.measures(workload)]:
            try:
                one = recordings.take(workload, tracer, setting, options.data)
            except measure.BenchError as error:
                if tracer in (FULL, LEAF):
                    raise
                print(f"left out: {error}", file=sys.stderr)
                continue
            taken.append(one)
            print(
                f"{workload.name:14} {tracer.name:16} recording {recordings.size(one.bytes)}, "
                f"opened in {one.seconds:.2f} s",
                file=sys.stderr,
            )
    return taken


def measure_all(options, setting, tracers):
    """Everything that was asked for, as a document.Session."""
    cores = len(os.sched_getaffinity(0))
    session = document.Session(options, tracers)
    recorded = Recorded(setting)
    chosen = choose_workloads(options, setting)
    mine = [tracer for tracer in tracers if tracer in (FULL, LEAF)]
    for part, workloads in chosen.items():
        used = tracers if part == PROGRAMS else mine
        runs, failures = run_part(options, setting, workloads, used, recorded)
        session.results[part] = Results(runs, workloads, cores)
        session.failures += failures
    session.recorded = recorded.totals
    if RECORDINGS in options.parts:
        programs = [w for w in WORKLOADS if w.name in options.only]
        session.recordings = take_recordings(options, setting, programs, tracers)
    if REGIONS in options.parts:
        session.regions = regions.measure_regions(setting, options.runs)
    if DROPINS in options.parts:
        session.dropins = dropins.measure(setting, options.runs)
    if options.instructions:
        session.counts = instruction_counts(options, setting, chosen.get(PROGRAMS, ()), tracers)
    return session


def instruction_counts(options, setting, workloads, tracers):
    """{workload: {tool: instructions of user space}}; None where they cannot be counted."""
    counts = {}
    for workload in workloads:
        counts[workload.name] = {
            tracer.name: measure.instructions(workload, tracer, setting, options.data)
            for tracer in (BARE, *tracers)
            if tracer.measures(workload)
        }
    return counts


def save(options, text, session):
    log = os.path.join(options.build, "bench", "runs.json" if options.whole else "runs-part.json")
    with open(log, "w") as file:
        runs = [run for results in session.results.values() for run in results.runs]
        json.dump([dataclasses.asdict(run) for run in runs], file, indent=1)
    results = os.path.join(HERE, "RESULTS.md")
    target = options.output or (results if options.whole or options.update else None)
    if options.update:
        with open(results) as file:
            text = document.merged(file.read(), session)
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
    try:
        session = measure_all(options, setting, tracers)
    except measure.BenchError as error:
        print(f"scripts/bench: {error}", file=sys.stderr)
        return 1
    text = document.write(session)
    print(text)
    save(options, text, session)
    if options.check:
        verdict = gate(session.results[PROGRAMS])
        print(verdict.text)
        return 0 if verdict.passed else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
