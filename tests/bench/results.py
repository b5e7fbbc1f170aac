"""From runs to figures: medians, ratios to the bare program, geometric means, Markdown."""

import math
import re
import statistics

from tracers import BARE, TRACERS
from workloads import MANY

_TITLES = {tracer.name: tracer.title for tracer in (BARE, *TRACERS)}


class Results:
    """All runs of one session, or of one part of it. `runs` is a list of measure.Run, `workloads`
    says what was to be run; `cores` is how many the machine has."""

    def __init__(self, runs, workloads, cores):
        self.runs = runs
        self.cores = cores
        self.workloads = [w for w in workloads if any(r.workload == w.name for r in runs)]
        self.tracers = [t.name for t in TRACERS if any(r.tracer == t.name for r in runs)]

    def median(self, workload, tracer, figure):
        """Median over the runs of a figure ("wall", "rss", …), None when there are none."""
        values = [
            getattr(run, figure)
            for run in self.runs
            if run.workload == workload and run.tracer == tracer
        ]
        return statistics.median(values) if values else None

    def ratio(self, workload, tracer, figure):
        """Median under the tool over the median of the program alone."""
        mine = self.median(workload, tracer, figure)
        bare = self.median(workload, BARE.name, figure)
        return mine / bare if mine and bare else None

    def mean(self, tracer, figure):
        """Geometric mean over the programs that stand for what users run; None unless all that were
        run have a figure."""
        ratios = [self.ratio(w.name, tracer, figure) for w in self.workloads if w.in_mean]
        if not ratios or None in ratios:
            return None
        return math.exp(sum(math.log(ratio) for ratio in ratios) / len(ratios))

    def waiting(self):
        """How much longer than its processor time a program with one thread took, alone: 0.05 on a
        quiet machine. More means that other work ran at the same time and times are unreliable."""
        single = [w.name for w in self.workloads if not w.threaded and w.name != "empty"]
        ratios = [
            self.median(name, BARE.name, "wall") / self.median(name, BARE.name, "cpu") - 1
            for name in single
        ]
        return statistics.median(ratios) if ratios else 0.0

    def table(self, figure):
        """Ratios of one figure, a row per workload."""
        rows = [["program", "alone", *(_TITLES[name] for name in self.tracers)]]
        for workload in self.workloads:
            bare = self.median(workload.name, BARE.name, figure)
            ratios = [self.ratio(workload.name, name, figure) for name in self.tracers]
            cells = [_times(ratio) for ratio in ratios]
            if workload.name == "empty" and figure != "rss":
                cells = [self._added(workload.name, name, figure) for name in self.tracers]
            rows.append([f"{workload.name} ({workload.what})", _amount(bare, figure), *cells])
        averaged = [w for w in self.workloads if w.in_mean]
        if len(averaged) > 1:
            means = [self.mean(name, figure) for name in self.tracers]
            title = f"**geometric mean of {len(averaged)}**"
            rows.append([title, "", *(f"**{_times(m)}**" if m else "–" for m in means)])
        return markdown_table(rows)

    def added(self, workload, tracer, figure):
        """Median under the tool less the median of the program alone."""
        mine = self.median(workload, tracer, figure)
        bare = self.median(workload, BARE.name, figure)
        return mine - bare if mine is not None and bare is not None else None

    def _added(self, workload, tracer, figure):
        """The start of an empty program is short: milliseconds say more than a ratio."""
        added = self.added(workload, tracer, figure)
        return f"{added * 1e3:+.0f} ms" if added is not None else "–"

    def throughput(self, tracer, threads):
        """Median of the pairs per second that workloads/threads.c prints; None when not run."""
        outputs = [
            run.output
            for run in self.runs
            if run.workload == f"threads-{threads}" and run.tracer == tracer
        ]
        figures = [re.search(r"([\d.]+) pairs/s", output) for output in outputs]
        figures = [float(match.group(1)) for match in figures if match]
        return statistics.median(figures) if figures else None

    def scaling(self, tracer):
        """Throughput of many threads as a share of one thread's times the cores."""
        one, many = self.throughput(tracer, 1), self.throughput(tracer, MANY)
        return many / (one * min(self.cores, MANY)) if one and many else None

    def threads_table(self):
        rows = [["", "one thread", f"{MANY} threads", f"share of {min(self.cores, MANY)} cores"]]
        for name in (BARE.name, *self.tracers):
            share = self.scaling(name)
            if share is not None:
                pairs = [self.throughput(name, count) / 1e6 for count in (1, MANY)]
                rows.append([_TITLES[name], *(f"{p:.1f} M/s" for p in pairs), f"{share:.0%}"])
        return markdown_table(rows) if len(rows) > 1 else ""

    def pair(self, tracer):
        """What micro.c prints, medians: nanoseconds per malloc and free, tight and over many live
        blocks; None when it was not run."""
        outputs = [r.output for r in self.runs if r.workload == "micro" and r.tracer == tracer]
        figures = [[float(x) for x in re.findall(r"([\d.]+) ns/pair", o)] for o in outputs]
        figures = [pair for pair in figures if len(pair) == 2]
        return [statistics.median(column) for column in zip(*figures)] or None

    def pairs_table(self):
        """ "" when micro.c was not run."""
        rows = [["one malloc and free", "tight", "100,000 live blocks"]]
        for name in (BARE.name, *self.tracers):
            pair = self.pair(name)
            if pair:
                rows.append([_TITLES[name], *(f"{value:.1f} ns" for value in pair)])
        return markdown_table(rows) if len(rows) > 1 else ""


def _times(ratio):
    if ratio is None:
        return "–"
    return f"{ratio:.2f}×" if ratio < 10 else f"{ratio:.1f}×"


def _amount(value, figure):
    if value is None:
        return "–"
    return f"{value / 1024:.0f} MiB" if figure == "rss" else f"{value:.2f} s"


def markdown_table(rows, left=(0,)):
    """Rows of cells, the first one the heading; the columns in `left` are set to the left."""
    marks = ["---" if column in left else "---:" for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "|".join(marks) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows[1:]]
    return "\n".join(lines)
