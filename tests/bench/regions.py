"""Regions of large programs: how much memory they take, and how fast the tool reads them.

memtrace_wide (micro/wide.cc) makes them: many threads, each with many sites of 12 Python frames.
"""

import dataclasses
import os
import shutil
import subprocess

import measure
from results import markdown_table
from tracers import largest_region

MB = 1000 * 1000
WIDE = (200, 20000)  # threads, sites of each
LARGE = (64, 4688)  # 300,000 sites in all


@dataclasses.dataclass(frozen=True)
class Regions:
    """Figures of the targets; bytes and seconds."""

    wide_bytes: int
    snapshot_seconds: float
    compare_seconds: float
    tool_bytes: int  # the most that snapshot or compare took

    def table(self):
        threads, sites = WIDE
        many, each = LARGE
        return markdown_table(
            [
                ["", "measured"],
                [
                    f"region of {threads} threads × {sites:,} sites",
                    f"{self.wide_bytes / MB:.0f} MB",
                ],
                [
                    f"snapshot, {many * each:,} sites in {many} threads",
                    f"{self.snapshot_seconds:.2f} s",
                ],
                ["comparison of two such snapshots", f"{self.compare_seconds:.2f} s"],
                ["memory of the tool meanwhile", f"{self.tool_bytes / MB:.0f} MB"],
            ]
        )


def make(setting, scratch, shape):
    """Path of the region that memtrace_wide leaves."""
    program = os.path.join(setting.build, "memtrace_wide")
    try:
        done = subprocess.run(
            [program, *(str(n) for n in shape)],
            env=measure.environment({"MEMTRACE_DIR": scratch}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=measure.TIMEOUT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise measure.BenchError(f"memtrace_wide: {error}") from None
    if done.returncode:
        raise measure.BenchError(f"memtrace_wide failed: {done.stdout}{done.stderr}")
    return largest_region(scratch)


def measure_regions(setting, runs):
    """The best of `runs` for the times: they are bounds of what the tool needs."""
    scratch = measure.scratch_folder()
    try:
        wide = make(setting, scratch, WIDE)
        wide_bytes = os.stat(wide).st_blocks * 512
        os.remove(wide)
        region = make(setting, scratch, LARGE)
        first, second = os.path.join(scratch, "first.mtr"), os.path.join(scratch, "second.mtr")

        def run(*argv):
            return measure.run_command(
                [setting.tool, *argv], {}, setting, scratch, scratch, "large region", argv[0]
            )

        snapshots = [
            run("snapshot", region, "-f", "-o", path)
            for _ in range(runs)
            for path in (first, second)
        ]
        compares = [run("compare", first, second) for _ in range(runs)]
        return Regions(
            wide_bytes,
            min(one.wall for one in snapshots),
            min(one.wall for one in compares),
            1024 * max(one.rss for one in [*snapshots, *compares]),
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
