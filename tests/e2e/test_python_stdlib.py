"""Every Python: a walk through the standard library, every line of every module exact."""

from harness import differences
from witness import Witnessed


def test_every_line_of_the_standard_library(session, python):
    """Lines that were not run before the witness started, in all modules: some 700 of them."""
    run = Witnessed(session, python, "stdlib_tour.py", mode="events", depth=1)
    earlier = set(run.memtrace_lines(run.before))

    def comparable(rows):
        return {
            key: sums
            for key, sums in rows.items()
            if key not in earlier and key[0] not in ("observed.py", "<unknown>") and key[1] > 0
        }

    expected = comparable(run.tracemalloc_lines())
    assert len(expected) > 300
    assert differences(expected, comparable(run.memtrace_lines())) == {}
