"""Every Python: counts and bytes by line and by stack equal tracemalloc's, in the same run.

No tolerance anywhere. Where the two count different things by design, the difference is a test of
its own (freelists) or the witness is told to leave it out (programs/observed.py).
"""

from harness import differences
from witness import Witnessed, check_known, check_own_lines, marked_lines, only


def test_own_stacks(session, python):
    run = Witnessed(session, python, "exact.py")
    expected = only(["exact.py"], run.tracemalloc_stacks())
    assert max(len(stack) for stack in expected) > 10, "the recursion is missing"
    assert differences(expected, only(["exact.py"], run.memtrace_stacks())) == {}


def test_leaf_line_only(session, python):
    run = Witnessed(session, python, "exact.py", MEMTRACE_STACK_DEPTH=1)
    check_known(run)
    check_own_lines(run)
    assert {len(stack) for stack in run.memtrace_stacks()} <= {0, 1}


def test_threads(session, python):
    run = Witnessed(session, python, "threaded.py", mode="events")
    check_known(run)
    check_own_lines(run)


def test_code_at_a_reused_address(session, python):
    """No block is told by the name of code that lay at the same address before."""
    run = Witnessed(session, python, "regenerated.py", mode="events")
    generations = {f"generation_{n}.py" for n in range(300)}
    expected = only(generations, run.tracemalloc_lines())
    made = {(f"generation_{n}.py", n % 40 + 2): (1, 1000 + n + 33) for n in range(300)}
    assert {key: expected.get(key) for key in made} == made, "the witness itself"
    assert differences(expected, only(generations, run.memtrace_lines())) == {}


def test_freelists(session, python):
    """The one difference: memtrace counts events of the allocator, so a block stays with the line
    that allocated it; tracemalloc moves it to the line whose object took it over."""
    run = Witnessed(session, python, "freelists.py")
    ours, theirs = run.memtrace_lines(), run.tracemalloc_lines()
    first = marked_lines("freelists.py", "first")
    second = marked_lines("freelists.py", "second")
    assert sorted(first) == sorted(second) == ["dict", "float", "list", "tuple"]
    for kind in first:
        at_first, at_second = ("freelists.py", first[kind]), ("freelists.py", second[kind])
        moved = theirs.get(at_second)
        assert moved and moved[0] == 40 and at_first not in theirs, (kind, "the witness itself")
        assert ours.get(at_first) == moved and at_second not in ours, kind


def test_totals_agree_with_the_rows(session, python):
    run = Witnessed(session, python, "threaded.py")
    for at, size, count in (
        ("now", "now_bytes", "now_blocks"),
        ("total", "alloc_bytes", "alloc_blocks"),
    ):
        report = session.report(run.after, "--by", "lineno", "--at", at)
        assert sum(row["size"] for row in report["rows"]) == report["totals"][size]
        assert sum(row["count"] for row in report["rows"]) == report["totals"][count]
    report = session.report(run.after, "--by", "traceback", "--at", "peak")
    assert report["totals"]["peak_bytes"] >= report["totals"]["now_bytes"] > 0
