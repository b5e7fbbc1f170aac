"""mprof's files and commands beside the original's: each reads the other's files, and list, rm, clean
and peak print the same; plots."""

import os
import shutil
import struct

import harness
import mprof_files as files
import pytest
import venvs
from mprof_files import mprof

STEPS = harness.PROGRAMS / "mprof_steps.py"


@pytest.fixture
def original(pythons):
    """Path of an interpreter with memory_profiler 0.61 and Matplotlib."""
    python = next(p for p in reversed(pythons) if p.version[:2] <= (3, 12))
    return venvs.python_with(python, ["memory_profiler==0.61", "matplotlib", "setuptools"])


def theirs(session, original, *arguments, check=True):
    env = dict(harness.clean_environment(), MPLBACKEND="Agg")
    return harness.run(
        [original, "-m", "mprof", *arguments], env=env, cwd=session.work_dir, check=check
    )


def png_size(path):
    with open(path, "rb") as file:
        head = file.read(24)
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", head[16:])


OURS = """\
CMDLINE python main.py
MEM 6.2910156 1700000000.5000
FUNC __main__.outer 6.2910156 1700000000.6000 9.5000000 1700000002.1000 0
FUNC __main__.inner 6.2910156 1700000000.7000 9.5000000 1700000001.1000 1
MEM 10.2500000 1700000001.0000
CHLD 77 3.2500000 1700000001.0100
MEM 9.5000000 1700000002.0000
CHLD 77 4.1250000 1700000002.0100
"""


def write_two(session):
    """Two files, the older one with functions and a child."""
    (session.work_dir / "mprofile_20240101120000.dat").write_text(OURS)
    text = OURS.replace("10.25", "20.125").replace("CHLD", "NOTE")
    (session.work_dir / "mprofile_20240203112233.dat").write_text(text)


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["peak"],
        ["peak", "0"],
        ["peak", "0", "-1"],
        ["peak", "mprofile_20240101120000.dat"],
        ["peak", "--func", "__main__.nobody", "0"],
        ["rm", "--dry-run", "0"],
        ["rm", "--dry-run", "1", "mprofile_20240203112233.dat"],
        ["rm"],
        ["clean", "--dry-run"],
    ],
    ids=" ".join,
)
def test_prints_what_the_original_prints(session, original, arguments):
    write_two(session)
    expected = theirs(session, original, *arguments, check=False)
    got = mprof(session, original, *arguments, check=False)
    assert got.stdout == expected.stdout
    assert got.returncode == expected.returncode
    assert expected.stdout.strip()


def test_removes_what_the_original_removes(session, original):
    write_two(session)
    (session.work_dir / "mprofile_20240101120000_ts.dat").write_text("")
    (session.work_dir / "other.dat").write_text("")
    copy = session.work_dir / "copy"
    copy.mkdir()
    for name in os.listdir(session.work_dir):
        if name.endswith(".dat"):
            shutil.copy(session.work_dir / name, copy)
    for arguments in (["rm", "0"], ["clean"]):
        mprof(session, original, *arguments)
        harness.run([original, "-m", "mprof", *arguments], cwd=copy)
        left = {name for name in os.listdir(session.work_dir) if name.endswith(".dat")}
        assert left == set(os.listdir(copy))
    assert left == {"other.dat"}


def test_original_reads_ours_and_we_read_theirs(session, original):
    mprof(session, original, "run", "-T", "0.05", "-o", "ours.dat", STEPS)
    theirs(session, original, "run", "-T", "0.05", "-o", "theirs.dat", STEPS)
    for name in ("ours.dat", "theirs.dat"):
        for arguments in (["peak", name], ["peak", "--func", "__main__.nobody", name]):
            expected = theirs(session, original, *arguments).stdout
            assert mprof(session, original, *arguments).stdout == expected
        for flags in ([], ["--flame"], ["--slope", "-w", "0,1"]):
            theirs(session, original, "plot", *flags, "-o", "theirs.png", name)
            mprof(session, original, "plot", *flags, "-o", "ours.png", name)
            size = png_size(session.work_dir / "theirs.png")
            assert png_size(session.work_dir / "ours.png") == size
    functions = {line.split()[1] for line in _lines(session, "ours.dat", "FUNC")}
    assert functions == {line.split()[1] for line in _lines(session, "theirs.dat", "FUNC")}
    # In figures: the peak is the list, and the array of three MiB.
    assert files.data(session, "ours.dat").peak() >= 8 * 10**6 + (3 << 20)


def _lines(session, name, kind):
    text = (session.work_dir / name).read_text()
    return [line for line in text.splitlines() if line.startswith(kind + " ")]


# -------------------------------------------------------------------------------------------------
# Plots


def test_plots_with_matplotlib(session, original):
    write_two(session)
    done = mprof(session, original, "plot", "-o", "output.png")
    assert done.stdout == "Using last profile data.\n"
    assert png_size(session.work_dir / "output.png") == (1260, 540)
    mprof(session, original, "plot", "-t", "A title", "-n", "-o", "two.svg", "0", "-1")
    drawn = (session.work_dir / "two.svg").read_text()
    assert "<!-- A title -->" in drawn
    mprof(session, original, "plot", "-o", "one.svg", "0")
    drawn = (session.work_dir / "one.svg").read_text()
    for words in ("python main.py", "outer 1.500s", "inner 0.400s", "child 77"):
        assert f"<!-- {words} -->" in drawn or f"<!--  {words} -->" in drawn, words
    bad = mprof(session, original, "plot", "-o", "no/such/x.png", check=False)
    assert bad.returncode == 1 and "no/such/x.png: cannot be written" in bad.stderr


def test_plots_on_the_terminal_without_matplotlib(session, pythons):
    write_two(session)
    python = pythons[0]
    assert harness.run([python, "-c", "import matplotlib"], check=False).returncode != 0
    done = mprof(session, python, "plot", "0", COLUMNS="72")
    assert "pip install 'memtrace-profiler[plot]'" in done.stdout
    lines = done.stdout.splitlines()
    assert lines[0] == "python main.py"
    assert lines[1] == "mprofile_20240101120000.dat: highest 10.250 MiB"
    bars = [line.split("|")[1].ljust(60) for line in lines if "|" in line]
    # From the middle on the highest figure, then the last one; to the left of it 6.29 of 10.25.
    heights = [sum(row[column] == "#" for row in bars) for column in (0, 45, 59)]
    assert heights == [10, 16, 15]
    refused = mprof(session, python, "plot", "-o", "x.png", check=False)
    assert refused.returncode == 1 and "Matplotlib is needed" in refused.stderr


@pytest.mark.parametrize(
    "text, words",
    [
        ("MEM x y\n", "line 1: not a line of mprof's"),
        ("FUNC f 1 2\n", "line 1: not a line of mprof's"),
        ("CMDLINE python x.py\n", "no memory usage values have been found"),
    ],
)
def test_broken_files_are_named(session, pythons, text, words):
    (session.work_dir / "bad.dat").write_text(text)
    done = mprof(session, pythons[0], "plot", "bad.dat", check=False)
    assert done.returncode == 1
    assert "bad.dat" in done.stderr and words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_line_that_was_cut_short_is_left_out(session, pythons):
    (session.work_dir / "cut.dat").write_text("MEM 1.5000000 1.0000\nMEM 7.")
    assert mprof(session, pythons[0], "peak", "cut.dat").stdout == "cut.dat\t1.500 MiB\n"


@pytest.mark.parametrize(
    "arguments, status, words",
    [
        ([], 1, "Available commands:"),
        (["nonsense"], 1, "Available commands:"),
        (["rm", "5"], 1, "Invalid index (non-existing file): 5"),
        (["peak"], 1, "No input file found."),
        (["peak", "nothing.dat"], 1, "File nothing.dat not found"),
        (["run"], 1, "A program to run must be provided"),
        (["run", "/no/such/program"], 1, "/no/such/program: cannot be run"),
        (["run", "-T", "0", "true"], 1, "the interval must be above 0"),
        (["run", "--backend", "tracemalloc", "true"], 2, "says nothing of another process"),
        (["run", "--help"], 0, "--multiprocess"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_is_answered_in_words(session, pythons, arguments, status, words):
    done = mprof(session, pythons[-1], *arguments, check=False)
    assert done.returncode == status
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert list(session.work_dir.iterdir()) == []
