"""The sample programs of five articles on Python's memory run under memtrace, and its tables are right.

Here: the programs of the page on memory_profiler, in programs/articles. Each runs as it is, under
`memtrace run --memory-profiler` or `memtrace mprof`, and again with its one import changed to
memtrace.compat.memory_profiler, garbage collected beforehand, and its figures printed with all
places: those are whole bytes.
Which lines and calls the tables show is compared with memory_profiler's own tables.

The other articles' programs:
  process_strs, its log file, memory_usage by 0.1 and 0.01   test_compat_memory_profiler.py
  process_strs under mprof                                   test_mprof.py
  orders: create_data.py and main.py with tracemalloc        test_compat_tracemalloc.py,
                                                             test_orders.py
  my_func with %mprun in a notebook                          test_ipython.py
  memory_intensive, asizeof, arrays, slots, mapped files     test_structures.py, test_objects.py

Packages of one interpreter only: what differs between versions is tested elsewhere.
"""

import glob
import os
import pathlib
import re
import struct
import subprocess

import harness
import mprof_files
import pytest
import venvs
from article_programs import (
    ARTICLES,
    HEADER,
    MIB,
    both,
    collected,
    exact,
    put,
    same,
    table_of,
    tables,
    traced,
    whole,
)

PACKAGES = ["numpy", "pandas", "scikit-learn", "matplotlib", "line_profiler"]
LIST = 56  # a list's object; it may be one that was freed before, and then it is nothing new
OBJECT = 96  # an array's, beside its items
# With its dimensions, which numpy may have kept; and a small block or two that are let go meanwhile.
ARRAY = range(OBJECT - 224, OBJECT + 161)
SMALL = 8192  # what Python and its packages keep of first calls
BLAS = 1 << 18  # what OpenBLAS sets up for its first product of matrices


def the_one(pythons):
    """3.12, or the newest that there is: what differs between versions is tested elsewhere."""
    return max(pythons, key=lambda python: (python.version[:2] == (3, 12), python.version))


@pytest.fixture(scope="module")
def version(pythons):
    return the_one(pythons).version[:2]


@pytest.fixture(scope="module")
def interpreter(pythons):
    """Path of an interpreter with the articles' packages, and without memory_profiler."""
    return venvs.python_with(the_one(pythons), PACKAGES)


def capacity(count):
    """Items that a list has room for that was appended to so often."""
    room = 0
    for size in range(1, count + 1):
        if size > room:
            room = (size + (size >> 3) + 6) & ~3
    return room


# -------------------------------------------------------------------------------------------------
# @profile


def check_my_func(told):
    assert told["a = [1] * (1000 * 1000)"].bytes - 8 * 10**6 in (0, LIST)
    assert told["b = [2] * (2000 * 1000)"].bytes - 16 * 10**6 in (0, LIST)
    assert told["del a"].bytes + 8 * 10**6 in (0, -LIST)
    assert told["return b"].bytes == 0
    assert {row.hits for row in told.values()} == {1}
    first, *_, last = told.values()
    assert first.memory == first.bytes > 0
    grown = sum(row.bytes for row in told.values()) - first.bytes
    assert last.memory - first.memory == grown


def test_my_func(session, interpreter):
    """`python -m memory_profiler`, by both names."""
    source = put(session, "example.py")
    module = ["-m", "memory_profiler"]
    (plain,) = tables(
        traced(session, interpreter, *module, "example.py", flags=["--memory-profiler"]), source
    )
    module = ["-m", "memtrace.compat.memory_profiler", "--precision", "20"]
    (full,) = tables(traced(session, interpreter, *module, "example.py"), source)
    check_my_func(full)
    same(plain, full)
    assert [row.shown for row in plain.values()][1:] == ["7.629", "15.259", "-7.629", "0.000"]


def test_my_func_by_lines(session, interpreter):
    """`memtrace lines`: the program's @profile is a builtin there, too."""
    source = put(session, "example.py")
    env = dict(harness.clean_environment(), MEMTRACE_PYTHON=interpreter)
    said = session.tool("lines", "--precision", "20", "example.py", env=env, cwd=session.work_dir)
    check_my_func(tables(said.stdout, source)[0])


def table_of_lines(python, version, comprehension):
    """Bytes that CPython 3.11 keeps for each function that it traces, a comprehension's among them:
    two for each instruction, in a table of their lines."""
    if version != (3, 11):
        return 0
    code = f"compile({comprehension!r}, '', 'exec').co_consts[0].co_code"
    return int(subprocess.check_output([python, "-c", f"print(len({code}))"]))


def test_memory_intensive_function(session, interpreter, version):
    told, _ = table_of(session, interpreter, "memory_intensive.py")
    rows = told["data.append([0] * 100)"]
    assert rows.hits == 100000 and told["for i in range(100000):"].hits == 100001
    assert told["for i in range(100000):"].bytes in range(0, 2 * 32 + 1)  # an integer or two
    # Python keeps up to 80 lists that are done with for the next ones: taken from there, or left there.
    table = 8 * capacity(100000)
    # And 72 bytes for a function with a loop on one line, at the first turn of any loop, in 3.12.
    spare = 100000 * (LIST + 800) + table - rows.bytes
    assert 0 in (spare % LIST, (spare + 72) % LIST) and -72 - LIST <= spare <= 80 * LIST
    comprehension = "processed = [sum(row) for row in data]"
    kept = told[comprehension].bytes - table - table_of_lines(interpreter, version, comprehension)
    assert kept in (0, LIST)
    spare = told["del data"].bytes + 100000 * (LIST + 800) + LIST + table
    assert spare % LIST == 0 and 0 <= spare <= 80 * LIST


def test_create_large_arrays(session, interpreter):
    """The program of the plot, as a table."""
    source = put(session, "memory_plot_example.py", collected)
    module = ["-m", "memtrace.compat.memory_profiler", "--precision", "20"]
    text = traced(
        session, interpreter, *module, "memory_plot_example.py", flags=["--memory-profiler"]
    )
    (told,) = tables(text, source)
    made = told["arr1 = np.zeros((1000, 1000))"].bytes
    assert made - 8 * 10**6 in ARRAY
    second = told["arr2 = np.ones((1500, 1500))"].bytes
    assert 18 * 10**6 <= second < 18 * 10**6 + SMALL
    product = told["result = np.dot(arr1[:500, :500], arr2[:500, :500])"].bytes
    assert 2 * 10**6 <= product < 2 * 10**6 + BLAS
    gone = told["del arr1, arr2"].bytes + 26 * 10**6
    assert abs(gone + 2 * OBJECT) <= 224


COPIES = ["df_copy1 = df.copy()", "df_copy2 = df.copy()", "df_copy3 = df.copy()"]


def test_data_processing(session, interpreter, version):
    # What is kept of first calls; in 3.11 with a table of lines for each function of pandas'.
    first_calls = (8 if version == (3, 11) else 2) * SMALL
    source = put(session, "data_processing.py")
    plain, full = both(session, interpreter, "data_processing.py")
    assert plain.startswith("=== With copies ===\nFilename: ")
    assert "\n\n=== Without copies ===\nFilename: " in plain
    told = tables(full, exact(source))
    for rounded, table in zip(tables(plain, source), told):
        same(rounded, table)
        columns = [table[f'"{name}": np.random.randn(1000000),'].bytes for name in "ABC"]
        assert all(size - 8 * 10**6 in ARRAY for size in columns), columns
        assert 0 <= table["df = pd.DataFrame("].bytes < first_calls
    first, second = told
    for line in COPIES:
        assert 0 < first[line].bytes - 24 * 10**6 < SMALL, line
    sums = [
        first['result = df_copy1["A"] + df_copy2["B"] + df_copy3["C"]'],
        second['result = df["A"] + df["B"] + df["C"]'],
    ]
    assert all(0 < row.bytes - 8 * 10**6 < first_calls for row in sums)


def test_train_model(session, interpreter):
    told, plain = table_of(session, interpreter, "train_model.py")
    said = plain.partition("Filename: ")[0].splitlines()
    assert said[:-1] == [
        "Data is made...",
        "The model is made...",
        "Training...",
        "Prediction...",
        "Accuracy...",
    ]
    assert 0.9 < float(said[-1].rpartition(" ")[2]) < 1
    # 20 features and a class for each sample; besides, what is set up.
    assert 0 < told["X, y = make_classification("].bytes - 10000 * 21 * 8 < BLAS
    assert 0 < told["predictions = model.predict(X)"].bytes - 10000 * 8 < 4 * SMALL
    assert 100000 < told["model.fit(X, y)"].bytes < MIB  # five trees of up to 1,024 leaves
    assert told["return model, accuracy"].bytes == 0


def test_with_line_profiler(session, interpreter, version):
    """A second profiler measures the time of the same function; below 3.12 it has no events while the
    first is on, as with memory_profiler."""
    line = r"result = function\(" if version >= (3, 12) else r"end\(profiler\)"
    source = put(session, "comprehensive_analysis.py")
    plain, full = both(session, interpreter, "comprehensive_analysis.py")
    for text in (plain, full):
        assert text.startswith("=== Memory ===\nFilename: ")
        assert "\n=== Time ===\nFilename: " in text
        timed = text.partition("Timer unit: ")[2]
        assert re.search(rf"^ +\d+ +1 +[\d.e+]+ +[\d.e+]+ +\d+\.\d +{line}", timed, re.M)
    rounded = tables(plain.partition("Timer unit")[0], source)
    told = tables(full.partition("Timer unit")[0], exact(source))
    assert len(rounded) == len(told) == 2
    same(rounded[1], told[1])
    # The second time nothing is set up any more.
    second = {line: row.bytes for line, row in told[1].items()}
    matrix = 300 * 300 * 8
    assert abs(second["data = np.random.random((300, 300))"] - matrix) < 1024
    assert second["processed = data * 2 + 1"] - matrix in ARRAY
    # U, S and V; complex numbers.
    assert 0 < second["result1 = np.linalg.svd(data)"] - 2 * matrix - 300 * 8 < SMALL
    assert 0 < second["result2 = np.fft.fft2(processed)"] - 2 * matrix < SMALL


def test_potential_leak(session, interpreter):
    told, plain = table_of(session, interpreter, "potential_leak.py")
    assert plain.endswith("\n\nKept at the end: 149\n")
    made = told["large_data = [0] * 10000"]
    # A list, and the one of which it is the multiple, which is kept for the next one until garbage
    # is collected.
    spare = made.bytes - 1000 * (80000 + LIST)
    assert made.hits == 1000 and spare % LIST == 0 and -80 * LIST <= spare <= 11 * LIST
    cut = told["data_storage = data_storage[-50:]"]
    # 51 go the second time, and 100 each time after that; up to 50 items' room more or less.
    gone = -cut.bytes - 851 * 80000
    assert cut.hits == 10 and 0 <= gone <= 851 * LIST + 10 * 2048
    assert told["gc.collect()"].hits == 10
    assert told["return len(data_storage)"].bytes == 0
    first, *lines = told.values()
    kept = sum(row.bytes for row in lines) - 149 * (80000 + LIST)
    assert abs(kept) < SMALL


def test_optimization_patterns(session, interpreter):
    told, _ = table_of(session, interpreter, "optimization_patterns.py")
    # Integers to 256 are there already; 17 squares are among them.
    numbers = told["yield i**2"]
    assert numbers.hits == 100000 and abs(numbers.bytes - (100000 - 17) * 32) <= 224
    assert abs(told["gen_sum = sum(data_generator(100000))"].bytes) < 1024
    gone = told["del large_array"].bytes
    assert -gone - 8 * 10**6 in ARRAY
    assert told["base_array = np.random.random((2000, 2000))"].bytes - 32 * 10**6 in ARRAY
    assert 0 < told["view_array = base_array[::2, ::2]"].bytes < 512
    assert told["large_data = np.random.random(10000)"].bytes - 80000 in ARRAY
    chunks = told["chunk = data[i : i + chunk_size]"], told["del chunk"]
    assert [row.hits for row in chunks] == [10, 10]
    assert all(abs(abs(row.bytes) - 10 * OBJECT) <= 224 for row in chunks)


def calls_alone(text):
    """A table's text without its figures of memory.

    Nor the calls of `yield`, which memory_profiler counts again when the generator goes on."""
    text = re.sub(r" +\d+( +yield i)", r"#\1", text)
    return re.sub(r" *-?\d+\.\d+ MiB", lambda m: "#" * len(m.group()), text)


@pytest.mark.parametrize(
    "name",
    ["memory_intensive.py", "data_processing.py", "potential_leak.py", "optimization_patterns.py"],
)
def test_tables_are_memory_profilers(session, interpreter, pythons, name):
    """Which lines there are, and how often each was run; memory_profiler takes long for many."""
    put(session, name, lambda text: text.replace("(100000)", "(300)"))
    original = venvs.python_with(the_one(pythons), ["memory_profiler"])
    (packages,) = pathlib.Path(original).parents[1].glob("lib/python*/site-packages")
    env = dict(harness.clean_environment(), PYTHONPATH=str(packages))
    theirs = harness.run([interpreter, name], env=env, cwd=session.work_dir).stdout
    ours = traced(session, interpreter, name, flags=["--memory-profiler"])
    assert HEADER in theirs
    assert calls_alone(ours) == calls_alone(theirs)


# -------------------------------------------------------------------------------------------------
# memory_usage


def samples_of(text):
    """The list that the program prints, in bytes."""
    (printed,) = re.findall(r"\[(.*)\]", text)
    return [float(sample) * MIB for sample in printed.split(", ")]


def test_usage_of_function(session, interpreter):
    plain, full = both(session, interpreter, "usage_of_function.py")
    assert re.fullmatch(
        r"Memory: \[[\d., ]+\]\nHighest: \d+\.\d\d MiB\nLowest: \d+\.\d\d MiB\n", plain
    )
    for text in (plain, full):
        samples = samples_of(text)
        # 17 of the squares are among the integers that are there already.
        grown = 8 * capacity(100000) + LIST + (100000 - 17) * 32
        assert 0 <= max(samples) - samples[0] - grown < SMALL
        assert abs(samples[-1] - samples[0]) < SMALL
    highest, lowest = map(whole, re.findall(r"est: ([\d.]+) MiB", full))
    assert (highest, lowest) == (max(samples), min(samples))


def test_time_series(session, interpreter):
    plain, full = both(session, interpreter, "time_series.py")
    told = re.findall(r"^Time (\d\.\d)s: (\d+\.\d\d) MiB$", plain, re.M)
    assert plain.splitlines()[0] == "Memory over time:" and len(told) + 1 == plain.count("\n")
    assert [float(when) for when, _ in told] == [round(0.1 * i, 1) for i in range(len(told))]
    sizes = [whole(size) for size in re.findall(r": ([\d.]+) MiB", full)]
    small, large = 8 * 10**6 + OBJECT, 32 * 10**6 + OBJECT
    levels = sorted(set(sizes))
    assert 12 <= len(sizes) <= 18
    # With the first array, with both, and with the second: each is there for three samples.
    both_at = max(levels)
    for level in (both_at, both_at - small, both_at - large):
        assert sum(level - 1024 <= size <= level for size in sizes) >= 2, (level, sizes)
    assert sizes.index(both_at) > sizes.index(min(sizes[1:3]))
    # numpy.random is imported by the first array's line.
    assert 0 <= both_at - sizes[0] - small - large < 2 * MIB


def test_multiprocess(session, interpreter):
    name = "multiprocess.py"
    put(session, name)
    plain = traced(session, interpreter, name, flags=["--memory-profiler"])
    assert re.fullmatch(r"Highest with several processes: \d+\.\d\d MiB\n", plain)
    # The workers' data, each in its own process, in the snapshot that holds them all.
    snapshot = session.work_dir / "run.mtr"
    rows = harness.by_line(session.report(snapshot, "--at", "total"))
    line = (ARTICLES / name).read_text().splitlines().index("    data = [0] * data_size") + 1
    count, size = rows[(name, line)]
    # Four lists of up to 400,000 items; the lists that are multiplied, and objects that are new.
    assert 0 <= size - 8 * (1 + 2 + 3 + 4) * 100000 <= 4 * (8 + 2 * LIST), (count, size)
    # The parent's own figure, beside what memtrace says of it.
    main = 'if __name__ == "__main__":\n'
    before = main + "    import memtrace\n    memtrace.current()\n"  # which loads ctypes
    after = "    print(memtrace.current(), memtrace.peak())\n"
    put(session, name, lambda text: exact(text).replace(main, before) + after)
    text = traced(session, interpreter, name)
    highest = whole(re.findall(r"([\d.]+) MiB", text)[0])
    now, peak = map(int, text.splitlines()[-1].split())
    # What is printed comes after it. The peak of several threads (the pool's three, the sampler, the
    # first) may be short by 32 KiB for each and as much again; the highest sample is exact.
    assert now - (1 << 16) <= highest <= peak + (6 << 15)


# -------------------------------------------------------------------------------------------------
# mprof


def mprof(session, python, *arguments):
    env = dict(harness.clean_environment(), MEMTRACE_PYTHON=python)
    env["PATH"] = os.path.dirname(python) + os.pathsep + env["PATH"]
    return session.tool("mprof", *arguments, env=env, cwd=session.work_dir).stdout


def check_my_func_mark(told):
    _, before, _, after, _, level = told.mark("__main__.my_func")
    assert level == 0
    # The call itself takes and gives back a few small blocks.
    assert abs(after - before - 16 * 10**6) < 256
    assert abs(told.peak() - before - 24 * 10**6) < 256


def test_mprof_commands(session, interpreter):
    put(session, "example.py")
    mprof(session, interpreter, "run", "--python", "python", "example.py")
    told = mprof_files.data(session)
    assert told.command == "python example.py"
    check_my_func_mark(told)
    mprof(session, interpreter, "run", "--output", "memory_profile.dat", "example.py")
    check_my_func_mark(mprof_files.data(session, "memory_profile.dat"))
    (made,) = (os.path.basename(f) for f in glob.glob(str(session.work_dir / "mprofile_*.dat")))
    highest = f"highest {told.peak() / MIB:.3f} MiB"
    # No window here: it is drawn as text.
    drawn = mprof(session, interpreter, "plot")
    assert drawn.startswith("Using last profile data.\n") and highest in drawn and made in drawn
    assert "memory_profile.dat: highest " in mprof(
        session, interpreter, "plot", "memory_profile.dat"
    )
    assert mprof(session, interpreter, "list").startswith(f"0 {made} ")
    mprof(session, interpreter, "clean")
    assert mprof(session, interpreter, "list") == ""
    # What has another name is the user's.
    assert {p.name for p in session.work_dir.glob("*.dat")} == {"memory_profile.dat"}


def check_picture(path):
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and data[12:16] == b"IHDR"
    width, height = struct.unpack(">II", data[16:24])
    assert width > 300 and height > 200 and len(data) > 5000


def test_mprof_plot(session, interpreter):
    put(session, "memory_plot_example.py")
    said = mprof(session, interpreter, "run", "memory_plot_example.py")
    assert [line for line in said.splitlines() if not line.startswith("mprof:")] == [
        "Arrays are made...",
        "The first array is there",
        "The second array is there",
        "The product is there",
        "The arrays are gone",
    ]
    told = mprof_files.data(session)
    _, before, start, after, end, _ = told.mark("__main__.create_large_arrays")
    assert 1.2 <= end - start < 20
    assert 2 * 10**6 <= after - before < 2 * 10**6 + BLAS
    # The product is made while both arrays are there.
    assert told.peak() - before >= 28 * 10**6
    # At rest: the first array, and both.
    for size in 8 * 10**6, 26 * 10**6:
        rest = [at for _, at in told.samples if abs(at - before - size) < 1024]
        assert len(rest) >= 2, (size, told.text)
    mprof(session, interpreter, "plot", "--output", "memory_usage.png")
    check_picture(session.work_dir / "memory_usage.png")
