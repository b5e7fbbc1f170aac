"""The orders article: the lines that tracemalloc names, memtrace names too.

The article's program runs twice: with tracemalloc, as it is printed, and without, under memtrace.
Needs pandas, in build/demo/venv (scripts/demo makes it) or a folder made here.
"""

import json
import os
import subprocess
import sys

import harness
import pytest

PROGRAM = """\
import sys
import pandas as pd


def load_data(file_path):
    return pd.read_csv(file_path)


def process_data(df):
    df["DiscountedAmount"] = df["OrderAmount"] * 0.9
    df["OrderYear"] = pd.to_datetime(df["OrderDate"]).dt.year
    return df


def main(moment=lambda name: None):
    df = load_data("order_data.csv")
    moment("old")
    df = process_data(df)
    moment("new")
    return df


def pause(name):
    print("READY", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main(pause)
"""

# The article's way: all of tracemalloc's, in a run of its own.
WITNESS = """\
import json, tracemalloc
import main
taken = {}
tracemalloc.start()
df = main.main(lambda name: taken.__setitem__(name, tracemalloc.take_snapshot()))
stats = taken["new"].compare_to(taken["old"], "lineno")
print(json.dumps([[s.traceback[0].filename, s.traceback[0].lineno, s.size_diff, s.count_diff]
                  for s in stats[:10]]))
"""

DATA = """\
import numpy as np, pandas as pd
n = 100000
rng = np.random.default_rng(1)
pd.DataFrame({"OrderID": np.arange(1, n + 1), "CustomerID": rng.integers(1000, 5000, n),
              "OrderAmount": rng.uniform(10.0, 1000.0, n).round(2),
              "OrderDate": pd.date_range(start="2023-01-01", periods=n, freq="min"),
              }).to_csv("order_data.csv", index=False)
"""


@pytest.fixture(scope="module")
def pandas_python():
    places = [
        harness.SOURCE_DIR / "build" / "demo" / "venv",
        harness.BUILD_DIR.parent / "demo" / "venv",
        harness.BUILD_DIR / "tests" / "e2e" / "venv",
    ]
    for place in places:
        python = place / "bin" / "python"
        if (
            python.exists()
            and harness.run([python, "-c", "import pandas"], check=False).returncode == 0
        ):
            return python
    try:
        harness.run([sys.executable, "-m", "venv", places[-1]], timeout=60)
        python = places[-1] / "bin" / "python"
        harness.run(
            [python, "-m", "pip", "install", "-q", "pandas", "numpy"],
            timeout=100,
            env=dict(os.environ),
        )
    except (AssertionError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"pandas cannot be installed: {str(error).strip().splitlines()[-1]}")
    return python


@pytest.fixture(scope="module")
def folder(pandas_python, tmp_path_factory):
    folder = tmp_path_factory.mktemp("orders")
    (folder / "main.py").write_text(PROGRAM)
    (folder / "witness.py").write_text(WITNESS)
    harness.run([pandas_python, "-c", DATA], cwd=folder)
    return folder


@pytest.fixture
def pictures(session, pandas_python, folder):
    """Snapshots after loading and after processing."""
    traced = session.start([pandas_python, "main.py"], cwd=folder)
    traced.ready()
    old = session.snapshot(traced.pid, "after_load.mtr")
    traced.go_on()
    traced.ready()
    new = session.snapshot(traced.pid, "after_process.mtr")
    traced.go_on()
    assert traced.finish() == 0, traced.stderr()
    return old, new


def test_same_top_lines_as_tracemalloc(session, pandas_python, folder, pictures):
    """Lines that grew by 100 KiB or more: all of them, and their growth."""
    out = harness.run([pandas_python, "witness.py"], cwd=folder, timeout=100).stdout
    theirs = {
        (os.path.basename(f), line): size
        for f, line, size, _ in json.loads(out)
        if abs(size) > 100000
    }
    assert len(theirs) >= 2, "the article's two lines"
    rows = session.compare(*pictures, "--by", "lineno")["rows"]
    ours = {}
    for row in rows:
        key = (os.path.basename(row["file"] or ""), row["line"])
        ours[key] = ours.get(key, 0) + row["size_diff"]
    big = {key: size for key, size in ours.items() if abs(size) > 100000}
    assert big == theirs


def test_own_lines(session, pictures):
    rows = session.compare(*pictures, "--by", "lineno", "--own")["rows"]
    grown = {(os.path.basename(r["file"] or ""), r["line"]): r["size_diff"] for r in rows}
    lines = PROGRAM.splitlines()
    discounted = next(i for i, text in enumerate(lines, 1) if "DiscountedAmount" in text)
    year = next(i for i, text in enumerate(lines, 1) if "OrderYear" in text)
    assert abs(grown[("main.py", discounted)] - 800000) < 20000  # 100,000 floats: 781 KiB
    assert grown[("main.py", year)] >= 390000  # 100,000 32-bit years
    top = [(os.path.basename(r["file"] or ""), r["line"]) for r in rows[:2]]
    assert set(top) == {("main.py", discounted), ("main.py", year)}


def test_current_and_peak_are_printed(session, pictures):
    text = session.tool("compare", *pictures).stdout
    assert "now" in text and "peak" in text and "MiB" in text
    totals = session.report(pictures[1])["totals"]
    assert totals["peak_bytes"] > totals["now_bytes"] > 0 and totals["lost"] == 0
