"""The targets, each beside what was measured; the reason where one is missed is in reasons.txt."""

import dataclasses
import os

from regions import LARGE, MB, WIDE
from results import markdown_table
from workloads import MANY, WORKLOADS

REASONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "reasons.txt")


@dataclasses.dataclass(frozen=True)
class Target:
    key: str  # in reasons.txt
    what: str
    form: str  # of a figure
    bound: float
    measured: object  # function of (results, regions) -> float or None
    at_least: bool = False

    def met(self, value):
        return value >= self.bound if self.at_least else value <= self.bound


def _ratio(workload, figure, tracer="memtrace"):
    return lambda results, _: results.ratio(workload, tracer, figure)


def _tight(results, _):
    pair = results.pair("memtrace-native")
    return pair[0] if pair else None


def _mean(tracer, figure):
    """Over all the programs that stand for what users run, or none."""
    whole = sum(workload.in_mean for workload in WORKLOADS)

    def of(results, _):
        ran = sum(workload.in_mean for workload in results.workloads)
        return results.mean(tracer, figure) if ran == whole else None

    return of


def _added(figure, unit):
    def of(results, _):
        added = results.added("empty", "memtrace", figure)
        return added * unit if added is not None else None

    return of


def _threads(results, _):
    return results.scaling("memtrace")


def _region(name, unit):
    return lambda _, regions: getattr(regions, name) / unit if regions else None


TARGETS = (
    Target(
        "time-leaf",
        "time, leaf line only, geometric mean",
        "{:.2f}×",
        1.10,
        _mean("memtrace-1", "wall"),
    ),
    Target(
        "rss-leaf",
        "peak RSS, leaf line only, geometric mean",
        "{:.2f}×",
        1.20,
        _mean("memtrace-1", "rss"),
    ),
    Target(
        "time-full",
        "time, full Python stacks, geometric mean",
        "{:.2f}×",
        1.20,
        _mean("memtrace", "wall"),
    ),
    Target(
        "rss-full",
        "peak RSS, full Python stacks, geometric mean",
        "{:.2f}×",
        1.25,
        _mean("memtrace", "rss"),
    ),
    Target(
        "time-native",
        "time, `native` (immediate caller)",
        "{:.2f}×",
        1.35,
        _ratio("native", "wall"),
    ),
    Target("rss-native", "peak RSS, `native`", "{:.2f}×", 1.25, _ratio("native", "rss")),
    Target(
        "time-stacks",
        "time, native and Python stacks, geometric mean",
        "{:.2f}×",
        1.60,
        _mean("memtrace-native", "wall"),
    ),
    Target(
        "rss-stacks",
        "peak RSS, native and Python stacks, geometric mean",
        "{:.2f}×",
        1.50,
        _mean("memtrace-native", "rss"),
    ),
    Target(
        "time-native-stacks",
        "time, `native`, native stacks",
        "{:.2f}×",
        2.50,
        _ratio("native", "wall", "memtrace-native"),
    ),
    Target("tight", "`micro`, native stacks, a pair of calls", "{:.1f} ns", 45, _tight),
    Target("start-time", "start of an empty program", "+{:.1f} ms", 3, _added("wall", 1e3)),
    Target("start-rss", "memory of an empty program", "+{:.1f} MB", 4, _added("rss", 1024 / MB)),
    Target(
        "threads",
        f"{MANY} native threads: throughput, as a share of one thread's × cores",
        "{:.0%}",
        0.85,
        _threads,
        at_least=True,
    ),
    Target(
        "region",
        f"region of {WIDE[0]} threads × {WIDE[1]:,} sites each",
        "{:.0f} MB",
        300,
        _region("wide_bytes", MB),
    ),
    Target(
        "snapshot",
        f"snapshot of {LARGE[0] * LARGE[1]:,} sites in {LARGE[0]} threads",
        "{:.2f} s",
        1.0,
        _region("snapshot_seconds", 1),
    ),
    Target("compare", "comparison of two such", "{:.2f} s", 1.5, _region("compare_seconds", 1)),
    Target(
        "tool-memory", "memory of the tool meanwhile", "{:.0f} MB", 500, _region("tool_bytes", MB)
    ),
)


def read_reasons():
    """{key: sentence}; raises ValueError for a key that no target has."""
    reasons = {}
    with open(REASONS) as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                key, _, sentence = line.strip().partition(": ")
                reasons[key] = sentence
    unknown = set(reasons) - {target.key for target in TARGETS}
    if unknown:
        raise ValueError(f"reasons.txt: no such target: {', '.join(sorted(unknown))}")
    return reasons


def table(results, regions):
    """Markdown; "" when nothing was measured that has a target."""
    reasons = read_reasons()
    rows = [["what", "target", "measured", "", "why"]]
    for target in TARGETS:
        value = target.measured(results, regions)
        if value is None:
            continue
        met = target.met(value)
        why = "" if met else reasons.get(target.key, "not known yet")
        bound = ("≥ " if target.at_least else "≤ ") + target.form.format(target.bound)
        rows.append(
            [target.what, bound, target.form.format(value), "met" if met else "**missed**", why]
        )
    return markdown_table(rows, left=(0, 3, 4)) if len(rows) > 1 else ""
