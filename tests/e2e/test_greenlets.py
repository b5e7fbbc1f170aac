"""Greenlets swap the frames of a thread's state: lines by arithmetic, stacks against tracemalloc."""

import os

import pytest
from harness import differences
from snapshot_file import PYTHON_MEM, PYTHON_OBJ, SnapshotFile
from test_oracle import check_what_is_left, first_of, is_chosen, of_the_program
from venvs import python_with
from witness import Witnessed, known_lines, only

# Fewest stacks that make a run worth comparing.
PROGRAMS = {"greenlets.py": 100, "gevent_server.py": 400}


def of_greenlets(stacks):
    """A greenlet's stack begins in the function that it runs, or in gevent's own."""
    begun = {
        stack: sums
        for stack, sums in stacks.items()
        if stack and (os.path.basename(stack[-1][0]) in PROGRAMS or "/gevent/" in stack[-1][0])
    }
    assert len(begun) >= 10, "no greenlet has allocated"
    return begun


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_stack_and_line(session, python, pythons, name):
    if not is_chosen(python, pythons):
        pytest.skip("the default and the newest interpreter do; MEMTRACE_E2E_EVERYWHERE=1 for all")
    run = Witnessed(session, python_with(python, ("gevent",)), name, mode="events", limit=120)

    file = SnapshotFile(run.after)
    assert file.lost == 0
    every, judged = file.stacks({PYTHON_MEM, PYTHON_OBJ}), run.judged()
    ours = {**of_the_program(every), **of_greenlets(every)}
    theirs = {**of_the_program(judged), **of_greenlets(judged)}
    check_what_is_left(judged, theirs)
    assert len(theirs) >= PROGRAMS[name], len(theirs)
    assert first_of(differences(theirs, ours)) == {}

    known = known_lines(name)
    assert differences(known, only([name], {k: run.memtrace_lines().get(k) for k in known})) == {}
