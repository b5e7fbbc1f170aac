"""What memtrace's stand-ins for other tools cost, beside those tools, in the same session.

Each dropin_*.py measures one of them: measure(python, runs) gives rows of "what", "theirs" and
"ours" (seconds), "ratio" (ours / theirs) and "target", which the ratio is to keep, or, where
"absolute" is set, the seconds. Programs run in turn, each in a process of its own.
"""

import importlib
import os

from results import markdown_table

MODULES = ("tracemalloc", "memory_profiler", "objects")


def measure(setting, runs):
    """Rows of all of them."""
    os.environ["MEMTRACE_BUILD_DIR"] = os.path.abspath(setting.build)
    rows = []
    for name in MODULES:
        rows += importlib.import_module("dropin_" + name).measure(setting.python, runs)
    return rows


def table(rows):
    if not rows:
        return ""
    lines = [["what", "the other tool", "memtrace", "ratio", "target", ""]]
    for row in rows:
        absolute = row.get("absolute")
        met = (row["ours"] if absolute else row["ratio"]) <= row["target"]
        lines.append(
            [
                row["what"],
                f"{row['theirs']:.3g} s",
                f"{row['ours']:.3g} s",
                f"{row['ratio']:.3f}",
                f"≤ {row['target']:.3g}" + (" s" if absolute else ""),
                "met" if met else "**missed**",
            ]
        )
    return markdown_table(lines)
