"""Labels: `with memtrace.label(...)`, by which reports divide what was allocated.

The sizes are known beforehand and exact: of what programs/labelled_blocks.py allocates, each label
has the blocks of this table and not a byte more.
"""

import os
import sys

import harness
import pytest

PACKAGE_ROOT = str(harness.BUILD_DIR / "python")
PROGRAM = harness.PROGRAMS / "labelled.py"

# Sizes of the blocks that each label has.
TABLE = {
    "plain": [1003, 1007],
    "outer": [2001, 2009, 2011],
    "outer/deep": [2003],
    "outer/inner": [2007],
    "fails": [3001],
    "recursive": [3007] * 41,
    "thread one": [4001] * 20,
    "thread two": [4001] * 20,
    "task one": [5001, 5003, 5007, 5007, 5007] * 2,
    "task two": [5001, 5003, 5007, 5007, 5007],
    "generator": [6001, 6001],
    "consumer": [6011],
    "consumer/generator": [6003],
    "switched": [1013, 1013],
    "moves": [7001],
    "travels": [7003, 7007, 7009],
    "named_by_itself": [8001],
    "decorated": [8003],
    "coroutine": [8007] * 2,
    "decorated generator": [8009],
    "async generator": [8011] * 6,
    "method": [8013],
    "static": [8017],
    "contextlib": [9001],
    "stack": [9007],
    "stack/contextlib": [9009],
    "by hand": [9013],
    "crowd": [997] * 5000,
}
TABLE.update(("many {:04}".format(n), [999]) for n in range(2000))


def start(session, python, **extra):
    """The program with all its blocks alive, and what it says."""
    traced = session.start([python, PROGRAM], env=session.env(PYTHONPATH=PACKAGE_ROOT, **extra))
    return traced, traced.ready()


def expected(told):
    """Of each label: blocks and bytes."""
    return {
        label: (len(sizes), sum(sizes) + told["object"] * len(sizes))
        for label, sizes in TABLE.items()
    }


def by_label(report):
    return {row["label"]: (row["count"], row["size"]) for row in report["rows"]}


def check_table(session, spec, told):
    found = by_label(session.report(spec, "--by", "label", "--include", "*/labelled_blocks.py"))
    found.pop("(no label)")
    wanted = expected(told)
    wrong = {
        k: (found.get(k), wanted.get(k)) for k in {*found, *wanted} if found.get(k) != wanted.get(k)
    }
    assert wrong == {}


def test_each_label_has_its_blocks(session, python):
    traced, told = start(session, python)
    check_table(session, traced.pid, told)
    assert traced.finish() == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"MEMTRACE_STACK_DEPTH": 1},
        {"MEMTRACE_STACK_DEPTH": 3},
        {"MEMTRACE_EXACT_PEAK": 1},
        {"MEMTRACE_NATIVE": 1},
    ],
    ids=lambda settings: next(iter(settings)).lower() + str(next(iter(settings.values()))),
)
def test_each_label_has_its_blocks_however_stacks_are_taken(session, pythons, settings):
    """The oldest, which frames of generators are told from others in, and the newest."""
    for python in (pythons[0], pythons[-1]):
        traced, told = start(session, python, **settings)
        check_table(session, traced.pid, told)
        assert traced.finish() == 0


def test_a_snapshot_keeps_labels(session, pythons):
    traced, told = start(session, pythons[-1])
    path = session.snapshot(traced.pid)
    check_table(session, path, told)
    # Labels divide the blocks; they take nothing away, and are no frames.
    whole = session.report(path, "--by", "label")
    assert sum(row["size"] for row in whole["rows"]) == whole["totals"]["now_bytes"]
    assert whole["totals"] == session.report(path)["totals"]
    stacks = session.report(path, "--by", "traceback", "--label", "recursive")["rows"]
    assert max(len(row["frames"]) for row in stacks) == 41 + 3  # the module, main, keep
    compared = session.compare(path, path, "--by", "label")
    assert compared["rows"] == []
    assert traced.finish() == 0


def test_the_lines_of_the_block_itself(session, python):
    traced, told = start(session, python)
    rows = session.report(traced.pid, "--label", "plain", "--include", "*/labelled.py")["rows"]
    line = 1 + PROGRAM.read_text().split("\n").index(
        '        kept[13] = b"x" * LARGE  # by a line of the function that has the block'
    )
    sizes = {row["line"]: (row["count"], row["size"]) for row in rows}
    assert sizes[line] == (1, 100003 + told["object"])
    assert traced.finish() == 0


def test_only_what_has_a_label(session, pythons):
    traced, told = start(session, pythons[-1])
    path = session.snapshot(traced.pid)
    table = expected(told)
    only = ["--include", "*/labelled_blocks.py", "--by", "label", "--label"]

    def sizes(pattern):
        return by_label(session.report(path, *only, pattern))

    assert sizes("outer") == {k: table[k] for k in ("outer", "outer/deep", "outer/inner")}
    assert sizes("outer/*") == {k: table[k] for k in ("outer/deep", "outer/inner")}
    assert sizes("nobody's") == {}
    assert list(sizes("(no label)")) == ["(no label)"]
    assert traced.finish() == 0


GROWS = """
import memtrace, sys
from labelled_blocks import keep
print("READY {}", flush=True)
sys.stdin.readline()
with memtrace.label("grows"):
    for n in range(5):
        keep(n, 10007)
print("READY {}", flush=True)
sys.stdin.read()
"""

FORKS = """
import memtrace, os, sys
from labelled_blocks import keep
with memtrace.label("before"):
    keep(0, 20011)
    child = os.fork()
    keep(1, 30011)
    if child == 0:
        with memtrace.label("child"):
            keep(2, 40009)
        print("READY {}", flush=True)
        sys.stdin.read()
        os._exit(0)
os.waitpid(child, 0)
"""

OBJECT = sys.getsizeof(b"")  # the same in all versions
BLOCKS = ["--by", "label", "--include", "*/labelled_blocks.py"]


def start_text(session, python, text):
    path = session.work_dir / "program.py"
    path.write_text(text)
    folders = os.pathsep.join([PACKAGE_ROOT, str(harness.PROGRAMS)])
    traced = session.start([python, path], env=session.env(PYTHONPATH=folders))
    traced.ready()
    return traced


def test_what_grew_by_label(session, pythons):
    traced = start_text(session, pythons[-1], GROWS)
    before = session.snapshot(traced.pid)
    traced.go_on()
    traced.ready()
    rows = session.compare(before, session.snapshot(traced.pid), *BLOCKS)["rows"]
    grown = {row["label"]: (row["count_diff"], row["size_diff"]) for row in rows}
    assert grown == {"grows": (5, 5 * (10007 + OBJECT))}
    assert traced.finish() == 0


def test_a_forked_child_goes_on_in_its_label(session, python):
    traced = start_text(session, python, FORKS)
    children = [r for r in session.regions() if r not in session.regions(traced.pid)]
    assert len(children) == 1
    found = by_label(session.report(children[0], *BLOCKS))
    assert found == {"before": (1, 30011 + OBJECT), "before/child": (1, 40009 + OBJECT)}
    assert traced.finish() == 0


def test_without_memtrace_labels_do_nothing(session, python):
    env = dict(harness.clean_environment(), PYTHONPATH=PACKAGE_ROOT)
    traced = session.start([python, PROGRAM], env=env)
    told = traced.ready()
    assert traced.finish() == 0
    assert not told["ctypes"], "labels loaded ctypes for nothing"
    assert told["blocks"] > 7000


def test_a_library_that_is_switched_off(session, pythons):
    traced, _ = start(session, pythons[-1], MEMTRACE_DISABLE=1)
    assert traced.finish() == 0
    assert session.regions() == []
