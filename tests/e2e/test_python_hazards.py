"""What Python programs do and a tracer may trip over (programs/python_hazards.py), in each version."""

import re

import pytest
from harness import clean_environment, program, run, source_text
from witness import source

HAZARDS = re.findall(r"^def (\w+)\(\):", source_text("python_hazards.py"), re.M)


@pytest.mark.parametrize("name", HAZARDS)
def test_goes_on_as_alone(session, python, name):
    argv = [python, "-W", "ignore", source("python_hazards.py"), name]
    alone = run(argv, env=clean_environment(), check=False)
    traced = run(argv, env=session.env(), check=False)
    assert (alone.returncode, alone.stderr) == (0, "")
    assert (traced.returncode, traced.stdout, traced.stderr) == (0, alone.stdout, "")
    assert session.regions()
    for region in session.regions():
        assert session.report(region, "--at", "total", "--by", "domain")["totals"]["lost"] == 0


def test_deep_stacks_are_whole(session, python):
    """The largest block is under 10,000 frames of one function, and the report shows them all."""
    path = session.run_traced([python, source("python_hazards.py"), "deep_recursion"])
    report = session.report(path, "--by", "traceback", "--at", "total", "--top", "1")
    (row,) = report["rows"]
    assert row["size"] == (1 << 24) + 33
    functions = [frame["function"] for frame in row["frames"]]
    assert sum(f.endswith("deep") for f in functions) == 10001
    assert report["totals"]["lost"] == 0


AWAY = """
import asyncio, ctypes, decimal, email.mime.text, json, threading, time, unittest.mock
library = ctypes.CDLL({library!r})
def away(depth):
    if depth: away(depth - 1)
    else: library.allocates_for_ever()
for depth in (0, 5, 50): threading.Thread(target=away, args=(depth,), daemon=True).start()
time.sleep(0.1)
kept = [[str(i), bytearray(i)] for i in range(20000)]
print(len(kept))
"""


def test_threads_allocate_in_c_while_python_ends(session, python):
    """Daemon threads whose states are freed under them. The C library overwrites what is freed."""
    argv = [python, "-c", AWAY.format(library=program("liballocating.so"))]
    for _ in range(2):
        done = run(argv, env=session.env(MALLOC_PERTURB_=85), check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "20000\n", "")
