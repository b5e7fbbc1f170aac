"""Real programs with tracemalloc as the judge: every line and every whole stack, in the same run.

tracemalloc is started before the program is and is told to be a plain record of the allocator's
events (programs/observed.py), so it leaves out by itself what it counts otherwise: blocks that
objects take over from freelists, and the raw domain. What was allocated before it started has
another stack than anything after: the outermost frame of all that follows is the line of observed.py
that runs the program, or belongs to a thread that was started later. So nothing need be allowed for:
of these stacks the counts and bytes are equal, every one. numpy's and pandas' own memory is in
domains of their own in tracemalloc and in `malloc` here, and is left to test_orders.py.

The pure Python programs run under every interpreter, those that need compiled packages under the
system's own and the newest; MEMTRACE_E2E_EVERYWHERE=1 runs all under each.
"""

import os

import pytest
from harness import differences
from snapshot_file import PYTHON_MEM, PYTHON_OBJ, SnapshotFile
from venvs import python_with
from witness import PYTHON_DOMAINS, Witnessed, by_innermost, source, sums_by_key

PURE = ("sqlglot", "Django")
COMPILED = ("pandas", "scikit-learn")
PROGRAMS = {
    "json_records": (),
    "compile_all": (),
    "sqlglot_transpile": PURE,
    "django_render": PURE,
    "pandas_orders": COMPILED,
    "forest": COMPILED,
}
# Fewest stacks and lines that make a run worth comparing: a program that did nothing agrees, too.
FEWEST = {"json_records": (40, 30), "compile_all": (100, 60)}
# All of its imports under tracemalloc take minutes: it looks each line of deep stacks up each time.
IMPORTED_BEFORE = {"forest": "numpy pandas scipy.optimize scipy.sparse scipy.stats joblib"}
TIME_LIMIT = 250


def line_that_runs_the_program():
    with open(source("observed.py")) as text:
        return next(n for n, line in enumerate(text, 1) if "exec(code" in line)


def of_the_program(stacks):
    """The stacks that began after tracemalloc did: in the line that runs the program, or in a
    thread of the program's."""
    first = (source("observed.py"), line_that_runs_the_program())
    return {
        stack: sums
        for stack, sums in stacks.items()
        if stack and (stack[-1] == first or os.path.basename(stack[-1][0]) == "threading.py")
    }


def check_what_is_left(theirs, compared):
    """tracemalloc knows of nothing else but the witness itself and blocks without a Python frame."""
    left = {stack[-1][0] for stack in theirs if stack not in compared}
    assert left <= {source("observed.py"), "<unknown>"}


def is_chosen(python, pythons):
    """Whether the programs that need compiled packages run under this interpreter."""
    default = os.path.realpath("/usr/bin/python3")
    of_the_system = [p for p in pythons if str(p) == default] or pythons[:1]
    everywhere = os.environ.get("MEMTRACE_E2E_EVERYWHERE")
    return everywhere or python in (of_the_system[0], pythons[-1])


def first_of(rows, count=20):
    return dict(list(rows.items())[:count])


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_stack_and_line(session, python, pythons, name):
    packages = PROGRAMS[name]
    if packages == COMPILED and not is_chosen(python, pythons):
        pytest.skip("the default and the newest interpreter do; MEMTRACE_E2E_EVERYWHERE=1 for all")
    interpreter = python_with(python, packages) if packages else python
    imported = {"IMPORTED_BEFORE": IMPORTED_BEFORE.get(name, "")}
    program = f"apps/{name}.py"
    run = Witnessed(session, interpreter, program, "events", limit=TIME_LIMIT, **imported)

    file = SnapshotFile(run.after)
    assert file.lost == 0
    every = file.stacks({PYTHON_MEM, PYTHON_OBJ})
    ours, theirs = of_the_program(every), of_the_program(run.judged())
    check_what_is_left(run.judged(), theirs)
    stacks, lines = FEWEST.get(name, (1000, 500))
    assert len(theirs) >= stacks and len(by_innermost(theirs)) >= lines
    assert first_of(differences(theirs, ours)) == {}

    # The tool's own lines are the sums of these stacks.
    report = session.report(run.after, "--by", "lineno", *PYTHON_DOMAINS)
    rows = sums_by_key(
        ((row["path"] or row["file"], row["line"]), row["count"], row["size"])
        for row in report["rows"]
        if row["file"]
    )
    assert first_of(differences(by_innermost(every), rows)) == {}
