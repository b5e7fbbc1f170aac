"""The document that a session of scripts/bench writes: RESULTS.md."""

import os
import platform
import subprocess

import dropins
import recordings
import targets
from results import Results, markdown_table
from tracers import BARE
from workloads import MANY, PROGRAMS, PYPERFORMANCE, THREADS, WORKLOADS

# From this share of waiting on, the results say that the machine was not quiet.
BUSY_FROM = 0.15


class Session:
    """What was measured; parts that were not are empty."""

    def __init__(self, options, tracers):
        self.options = options
        self.tracers = tracers
        self.results = {}  # part -> Results
        self.failures = []  # sentences
        self.recorded = {}  # workload -> memtrace's totals
        self.recordings = []
        self.regions = None
        self.dropins = []  # rows
        self.counts = {}  # workload -> tool -> instructions, None: cannot be counted

    def everything(self):
        """The results of programs and threads as one, for the targets."""
        parts = [self.results[part] for part in (PROGRAMS, THREADS) if part in self.results]
        return Results(
            [run for part in parts for run in part.runs],
            [workload for part in parts for workload in part.workloads],
            parts[0].cores if parts else 1,
        )


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


def versions(session):
    """Versions of the packages that take part, as far as they are installed."""
    code = (
        "import sys\nfrom importlib.metadata import version, PackageNotFoundError\n"
        "for name in sys.argv[1:]:\n"
        "    try: print(name, version(name))\n"
        "    except PackageNotFoundError: pass\n"
    )
    names = ["numpy", "pandas", "scikit-learn", "sqlglot"]
    tools = {tracer.name for tracer in session.tracers}
    names += ["memray"] if tools & {"memray", "memray-pymalloc"} else []
    names += ["scalene"] if "scalene" in tools else []
    names += ["pyperformance"] if PYPERFORMANCE in session.results else []
    argv = [session.options.python, "-c", code, *names]
    found = subprocess.check_output(argv, text=True).splitlines()
    if "heaptrack" in tools:
        done = subprocess.run(["heaptrack", "--version"], capture_output=True, text=True)
        found += [line for line in done.stdout.splitlines() if line.strip()][:1]
    return ", ".join(found)


def busy_note(results):
    """A paragraph of warning when other work disturbed the measurement."""
    waiting = results.waiting()
    if waiting < BUSY_FROM:
        return ""
    return (
        f"**The machine was busy with other work**: programs alone took {waiting:.0%} longer than "
        "their processor time. Times are unreliable; processor times are less so. Measure again."
    )


def recorded_table(recorded):
    rows = [["program", "allocations", "bytes", "peak", "lost"]]
    for name, totals in recorded.items():
        figures = ("alloc_blocks", "alloc_bytes", "peak_bytes", "lost")
        rows.append([name, *(f"{totals[figure]:,}" for figure in figures)])
    return markdown_table(rows) if len(rows) > 1 else ""


def counts_table(session):
    if not session.counts:
        return ""
    rows = [["program", "alone", *(tracer.title for tracer in session.tracers)]]
    for name, counts in session.counts.items():
        bare = counts[BARE.name]
        if bare is None:
            return "`perf` cannot count instructions on this machine."
        mine = [counts.get(tracer.name) for tracer in session.tracers]
        rows.append(
            [name, f"{bare / 1e9:.2f} G", *(f"{n / bare:.2f}×" if n else "–" for n in mine)]
        )
    return markdown_table(rows)


def program_sections(session):
    results = session.results.get(PROGRAMS)
    if not results:
        return
    yield "", busy_note(results)
    yield "Time", results.table("wall")
    yield "Peak memory of the process (RSS)", results.table("rss")
    yield "Processor time, user and system", results.table("cpu")
    yield "One pair of calls", results.pairs_table()


def sections(session):
    """(heading, text) in order; those without text are left out."""
    yield "Targets", targets.table(session.everything(), session.regions)
    yield from program_sections(session)
    if PYPERFORMANCE in session.results:
        yield "pyperformance, time", session.results[PYPERFORMANCE].table("wall")
        yield "pyperformance, peak memory", session.results[PYPERFORMANCE].table("rss")
    if THREADS in session.results:
        yield f"{MANY} threads of malloc and free", session.results[THREADS].threads_table()
    sizes, times = recordings.tables(session.recordings, WORKLOADS, session.tracers)
    yield "Size of what each tool writes", sizes
    yield "Opening a report of it", times
    if session.regions:
        yield "Large programs", session.regions.table()
    yield "In the place of other tools", dropins.table(session.dropins)
    yield "What memtrace recorded", recorded_table(session.recorded)
    yield "Instructions in user space", counts_table(session)
    yield "Left out", "\n".join("- " + failure for failure in session.failures)
    yield "Tools", "\n".join(f"- {tracer.title}: {tracer.what}" for tracer in session.tracers)


def merged(existing, session):
    """The existing document with the sections that were measured now in their places.

    Sections that speak of the whole session stay as they are; a new one goes before them.
    """
    whole = ("Targets", "What memtrace recorded", "Left out", "Tools")
    head, *parts = existing.split("\n## ")
    old = {part.split("\n", 1)[0]: part.split("\n", 1)[1].strip() for part in parts}
    machine_line = (
        f"Measured apart from the rest: {machine(session.options)}; runs: {session.options.runs}."
    )
    for heading, text in sections(session):
        if not text or not heading or heading in whole:
            continue
        if heading not in old:
            old = _before(old, whole[1], heading)
        old[heading] = machine_line + "\n\n" + text.strip()
    return (
        "\n\n".join([head.strip(), *(f"## {name}\n\n{text}" for name, text in old.items())]) + "\n"
    )


def _before(sections, successor, heading):
    """A copy of the dictionary with an empty section before another."""
    copy = {}
    for name, text in sections.items():
        if name == successor:
            copy[heading] = ""
        copy[name] = text
    copy.setdefault(heading, "")
    return copy


def write(session):
    options = session.options
    parts = [
        "# What tracing costs",
        "Written by `scripts/bench`; [README.md](README.md) says how to read it. Whole processes, "
        f"start and end included; medians of {options.runs} runs taken in turn; ratios to the same "
        "program run alone.",
        f"Machine: {machine(options)}.  \nPackages: {versions(session)}.",
    ]
    for heading, text in sections(session):
        if text and heading:
            parts.append("## " + heading)
        if text:
            parts.append(text)
    return "\n\n".join(parts) + "\n"
