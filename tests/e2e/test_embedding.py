"""Programs that are not Python's: they open libpython while they run, more than once, or two of them.

programs/embed_python.c does what it is told to. Each interpreter runs exact.py, whose lines are known
by arithmetic, and pauses.
"""

import json
import os
import re

import pytest
from harness import by_line, program, run
from test_interpreters import check_exact
from witness import PYTHON_DOMAINS, known_lines, source

WHERE = (
    "import json, sys, sysconfig as s; print(json.dumps([sys.base_prefix, *map(s.get_config_var,"
    "('LIBDIR', 'MULTIARCH', 'INSTSONAME'))]))"
)
# To 3.10 the name `__bytes__` is made, and kept, where it is used first.
RUN_EXACT = f"""
import os
bytes(1)
name = {source("exact.py")!r}
kept = {{"__name__": "exact"}}
exec(compile(open(name).read(), name, "exec"), kept)
"""
PAUSE = "os.write(1, b'READY\\n'); os.read(0, 1)\n"
EXACT = RUN_EXACT + PAUSE
PURE = "yield bytes(2000)"  # nothing else is allocated on its line: ever, there were as many


class Library:
    """The shared library of an interpreter."""

    def __init__(self, python):
        prefix, folder, multiarch, name = json.loads(
            run([python, "-S", "-c", WHERE]).stdout.replace("null", '""')
        )
        self.prefix = prefix
        places = [os.path.join(folder, name), os.path.join(folder, multiarch, name)]
        self.path = next((p for p in places if ".so" in name and os.path.exists(p)), None)
        self.version = "%d.%d" % python.version[:2]


def libraries(pythons):
    return [library for library in map(Library, pythons) if library.path]


@pytest.fixture
def libpython(python):
    found = Library(python)
    if not found.path:
        pytest.skip(f"CPython {python.name} has no shared library")
    return found


def test_there_is_one(pythons):
    assert libraries(pythons), "no libpython: scripts/test installs libpython3-dev"


def start(session, libpython, *commands, preload_first=(), **env):
    env = session.env(preload_first=preload_first, PYTHONHOME=libpython.prefix, **env)
    return session.start([program("embed_python"), *commands], env)


def check_now(session, traced):
    spec = session.snapshot(traced.pid)
    report = session.report(spec, "--by", "lineno", *PYTHON_DOMAINS)
    assert report["totals"]["lost"] == 0
    check_exact(by_line(report))
    return spec


def check_ever(session, spec, rounds):
    """Each of the rounds has allocated on its line, and nowhere else."""
    with open(source("exact.py")) as text:
        (at,) = [n for n, line in enumerate(text, 1) if line.strip().startswith(PURE)]
    rows = by_line(session.report(spec, "--by", "lineno", "--at", "total", *PYTHON_DOMAINS))
    count, size = known_lines("exact.py")["exact.py", at]
    assert rows.get(("exact.py", at)) == (count * rounds, size * rounds)


def finish(traced):
    assert traced.finish() == 0, traced.stderr()
    assert traced.stderr() == ""


ROUNDS = 3


def check_rounds(session, libpython, traced):
    """Each round's figures are right, of that round alone and of all so far."""
    for done in range(1, ROUNDS + 1):
        traced.ready()
        spec = check_now(session, traced)
        check_ever(session, spec, done)
        traced.go_on()
    text = session.report(spec)["process"]["python"]
    assert re.match(libpython.version.replace(".", r"\.") + r"\.\d+", text), text
    finish(traced)


ROUND = ["init", "run", EXACT, "finalize"]


@pytest.mark.parametrize("how", ["local", "global"])
def test_opened_and_initialized_again(session, libpython, how):
    traced = start(session, libpython, how, libpython.path, *ROUND * ROUNDS)
    check_rounds(session, libpython, traced)


def test_linked_and_initialized_again(session, libpython):
    """As in a program that is linked with it: it is there from the start."""
    first = [libpython.path]
    traced = start(session, libpython, "global", *first, *ROUND * ROUNDS, preload_first=first)
    check_rounds(session, libpython, traced)


@pytest.mark.parametrize("allocator", ["debug", "malloc", "pymalloc"])
def test_initialized_again_with_other_allocators(session, pythons, allocator):
    """Each start puts the allocators in place anew, in 3.12 and later from nothing."""
    for libpython in (libraries(pythons)[0], libraries(pythons)[-1]):
        commands = ["local", libpython.path, *ROUND * ROUNDS]
        traced = start(session, libpython, *commands, PYTHONMALLOC=allocator)
        check_rounds(session, libpython, traced)


def test_another_thread_initializes(session, pythons):
    """It was there before, and is not the one that made the library allocate first or finalised it."""
    worker = ["worker", "init", "worker", "run", EXACT, "worker", "finalize"]
    for libpython in (libraries(pythons)[0], libraries(pythons)[-1]):
        commands = ["threads", "1", "local", libpython.path, "touch", *worker, *ROUND, *worker]
        traced = start(session, libpython, *commands, PYTHONMALLOC="debug")
        check_rounds(session, libpython, traced)


def test_thread_states_outlive_their_threads_interpreter(session, pythons):
    """A thread allocates on when the interpreter that it has a state of is no more. The C library
    overwrites memory that is freed, so that who reads it is found out."""
    for libpython in (libraries(pythons)[0], libraries(pythons)[-1]):
        again = ["init", "attached", "run", EXACT, "finalize"] * ROUNDS
        traced = start(session, libpython, "local", libpython.path, *again, MALLOC_PERTURB_=85)
        check_rounds(session, libpython, traced)


def test_closed_and_opened_again(session, pythons):
    """Other threads allocate meanwhile: what they look at must not go away."""
    for libpython in (libraries(pythons)[0], libraries(pythons)[-1]):
        commands = ["local", libpython.path, *ROUND, "close"] * ROUNDS
        traced = start(session, libpython, "threads", "1", *commands)
        check_rounds(session, libpython, traced)


def test_two_versions(session, pythons):
    """The first one is followed; one line says so; the second one runs as well."""
    first, second = libraries(pythons)[0], libraries(pythons)[-1]
    if first.version == second.version:
        pytest.skip("two versions are needed")
    hello = "import os, sys; x = [bytearray(30000) for _ in range(100)]; os.write(2, b'hello\\n')"
    env = session.env(PYTHONHOME=first.prefix)
    second_home = f"setenv PYTHONHOME {second.prefix}".split(" ")
    commands = ["local", first.path, "init", *second_home, "local", second.path, "init", "run"]
    commands += [hello, "finalize", "local", first.path, "run", EXACT, "finalize"]
    traced = session.start([program("embed_python"), *commands], env)
    traced.ready()
    check_now(session, traced)
    assert traced.finish() == 0, traced.stderr()
    said, greeting = traced.stderr().splitlines()
    assert said.startswith("memtrace: a second CPython") and second.path in said
    assert greeting == "hello"


def test_opened_around_the_hooks(session, pythons):
    """RTLD_DEEPBIND: its mallocs are not seen, so it is not found. It runs, and what is counted of the
    rest is whole."""
    libpython = libraries(pythons)[-1]
    traced = start(session, libpython, "deep", libpython.path, *ROUND, *ROUND)
    for _ in range(2):
        traced.ready()
        report = session.report(traced.pid)
        assert report["totals"]["lost"] == 0
        assert [row for row in report["rows"] if row["domain"] != "malloc"] == []
        traced.go_on()
    finish(traced)
