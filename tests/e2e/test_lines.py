"""`python -m memtrace.lines`: lines of a program's own functions, without decorators, to the byte."""

import re
import textwrap

import harness
import pytest

PACKAGE_ROOT = str(harness.BUILD_DIR / "python")
MIB = 1 << 20

MAIN = """
import json, sys, threading
import own.part

class Parser:
    def feed(self, size):
        self.buffer = bytes(size)
        scratch = bytearray(5000)
        del scratch
        return size

def in_thread():
    kept = bytes(7000000)
    return len(kept)

def never():
    return 1

def main():
    parser = Parser()
    parser.feed(1)
    for _ in range(3):
        parser.feed(1000000)
    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    own.part.work(2000000)
    json.dumps([1])
    print("said", sys.argv[1:], __name__)
    END

main()
"""


@pytest.fixture
def lines(session):
    """lines(python, *arguments, end=…) -> what `memtrace lines` did with the program."""

    def run(python, *arguments, end="return", check=False):
        (session.work_dir / "main.py").write_text(textwrap.dedent(MAIN).replace("END", end))
        (session.work_dir / "own").mkdir(exist_ok=True)
        (session.work_dir / "own" / "__init__.py").write_text("")
        (session.work_dir / "own" / "part.py").write_text(
            "def work(n):\n    kept = bytes(n)\n    return kept[:1]\n"
        )
        env = session.env(PYTHONPATH=PACKAGE_ROOT)
        argv = [python, "-m", "memtrace.lines", *arguments]
        return harness.run(argv, env=env, cwd=session.work_dir, check=check)

    return run


def timed_rows(text):
    """{source: (hits, alloc, net, peak)} of a table with --time."""
    number = r" +(-?\d+)"
    pattern = rf"^ +\d+ +(\d+) +[\d.]+ +[\d.]+ +[\d.]+{number}{number}{number}  +(.*)$"
    return {
        match[-1].strip(): tuple(map(int, match[:4])) for match in re.findall(pattern, text, re.M)
    }


def test_all_functions_of_ones_own(lines, python):
    done = lines(python, "main.py", "--its", "own", end="sys.exit(5)")
    assert done.returncode == 5, done.stderr
    assert done.stdout.startswith("said ['--its', 'own'] __main__\nFilename: ")
    sources = re.findall(r"^ +\d+ .* (def \w+)\(", done.stdout, re.M)
    assert sorted(set(sources)) == ["def feed", "def in_thread", "def main", "def work"]
    assert len(done.stdout.split("Filename: ")) == 5
    assert re.search(r" 6\.676 MiB           1       kept = bytes\(7000000\)", done.stdout)
    assert re.search(r" 1\.907 MiB           1       kept = bytes\(n\)", done.stdout)


def test_time_and_bytes_of_one_function(lines, python):
    done = lines(python, "--time", "main.py:Parser.feed")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Filename: ") == 1
    rows = timed_rows(done.stdout)
    assert rows["self.buffer = bytes(size)"][0] == 4
    hits, alloc, net, peak = rows["self.buffer = bytes(size)"]
    # The first call stores the attribute, whose dictionary may be made then.
    assert alloc - (34 + 3 * 1000033) in range(0, 512)
    assert abs(net - 1000033) < 512
    assert peak == 1000033  # the old buffer is there while the new one is made
    assert rows["scratch = bytearray(5000)"] == (4, 4 * 5057, 4 * 5057, 5057)
    assert rows["del scratch"] == (4, 0, -4 * 5057, 0)
    assert rows["return size"] == (4, 0, 0, 0)


def test_module(lines, session, python):
    done = lines(python, "-o", "tables.txt", "-m", "main:main", "x")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "said ['x'] __main__\n"
    tables = (session.work_dir / "tables.txt").read_text()
    assert tables.count("Filename: ") == 1
    sources = re.findall(r"MiB +(\d+)   (.*)$", tables, re.M)
    assert sources[0] == ("1", "def main():")
    assert ("3", "        parser.feed(1000000)") in sources
    assert ("1", "    own.part.work(2000000)") in sources
    assert ("1", "    return") in sources


def test_tables_in_spite_of_an_exception(lines, python):
    done = lines(python, "--precision", "6", "main.py:in_thread", end="raise KeyError('mine')")
    assert done.returncode == 1
    assert round(7000033 / MIB, 6) == 6.675752
    assert " 6.675752 MiB" in done.stdout
    assert done.stderr.startswith('Traceback (most recent call last):\n  File "main.py", line')
    assert done.stderr.endswith("KeyError: 'mine'\n")


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "name a script"),
        (["nothing.py"], "there is no script nothing.py"),
        (["--precision", "-1", "main.py"], "--precision is a number from 0 to 20"),
    ],
)
def test_mistakes(lines, pythons, arguments, words):
    done = lines(pythons[-1], *arguments)
    assert done.returncode == 2
    assert words in done.stderr and "usage: memtrace lines" in done.stderr


def test_a_function_that_was_not_called(lines, pythons):
    done = lines(pythons[-1], "main.py:never")
    assert done.returncode == 0
    assert done.stderr == "memtrace: never was not called\n"
