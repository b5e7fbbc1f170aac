"""What each tool leaves behind, and how long its users wait for a report.

Apart from the runs that are timed: a run whose recording is kept, then its report, opened several
times.
"""

import dataclasses
import os
import shutil
import statistics

import measure
from results import markdown_table

OPENINGS = 3
ENOUGH_SECONDS = 10  # no further opening after these


@dataclasses.dataclass(frozen=True)
class Recording:
    workload: str
    tracer: str
    bytes: int
    seconds: float  # to open a report of it, median
    rss: int  # KiB, peak of that


def take(workload, tracer, setting, folder):
    """Runs the workload and opens its recording. Raises measure.BenchError."""
    scratch = measure.scratch_folder()
    try:

        def run(argv, env=None):
            return measure.run_command(
                argv, env or {}, setting, folder, scratch, workload.name, tracer.reads
            )

        run(*tracer.record(workload, setting, scratch))
        finish = tracer.finish(setting, scratch)
        if finish:
            run(finish)
        path = tracer.file(scratch)
        if not os.path.exists(path):
            raise measure.BenchError(f"{workload.name}: {tracer.name} left no recording")
        opened = []
        while len(opened) < OPENINGS and sum(one.wall for one in opened) < ENOUGH_SECONDS:
            opened.append(run(tracer.opening(setting, scratch)))
        return Recording(
            workload.name,
            tracer.name,
            os.path.getsize(path),
            statistics.median(one.wall for one in opened),
            int(statistics.median(one.rss for one in opened)),
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def tables(recordings, workloads, tracers):
    """(table of sizes, table of times), Markdown; "" when there is nothing."""
    shown = [t for t in tracers if any(r.tracer == t.name for r in recordings)]
    found = {(r.workload, r.tracer): r for r in recordings}
    heading = ["program", *(f"{t.title} ({t.reads})" for t in shown)]
    sizes, times = [["program", *(t.title for t in shown)]], [heading]
    for workload in workloads:
        row = [found.get((workload.name, t.name)) for t in shown]
        if any(row):
            sizes.append([workload.name, *(size(one.bytes) if one else "–" for one in row)])
            times.append([workload.name, *(f"{one.seconds:.2f} s" if one else "–" for one in row)])
    return tuple(markdown_table(rows) if len(rows) > 1 else "" for rows in (sizes, times))


def size(count):
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1000 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.3g} {unit}"
        count /= 1024
    return ""
