"""Interpreters with GILs of their own allocate at the same time: CPython 3.12 and later."""

import pytest
from harness import by_line, differences, source_text
from witness import PYTHON_DOMAINS, known_lines, only, source, sums_by_key

NAME = "in_interpreter.py"
ROUNDS = 3


def line_of(text):
    lines = source_text(NAME).splitlines()
    (at,) = [n for n, line in enumerate(lines, 1) if line.strip().startswith(text)]
    return at


def check_stack(session, spec):
    """inner() was called by outer() alone, and that by the interpreter's own first frames."""
    report = session.report(spec, "--by", "traceback", "--domain", "python.obj")
    stacks = sums_by_key(
        (tuple(frame["line"] for frame in row["frames"][:3]), row["count"], row["size"])
        for row in report["rows"]
        if row["frames"] and row["frames"][0]["file"].endswith(NAME)
        if row["frames"][0]["function"].endswith("inner")
    )
    expected = (line_of("kept[i] ="), line_of("inner(i)"), line_of("outer()"))
    assert stacks == {expected: (200, 200 * 1033)}


@pytest.mark.parametrize("allocator", ["default", "debug"])
def test_lines_and_stacks(session, python, allocator):
    if python.version < (3, 12):
        pytest.skip("interpreters share their GIL to 3.11")
    if python.version < (3, 13) and allocator == "debug":
        pytest.skip("CPython 3.12's own: alone, one run in five ends with a damaged heap")
    env = {} if allocator == "default" else {"PYTHONMALLOC": allocator}
    argv = [python, source("interpreters_at_once.py")]
    traced = session.start(argv, session.env(**env))
    known = known_lines(NAME)
    for done in range(1, ROUNDS + 1):
        traced.ready()
        spec = session.snapshot(traced.pid)
        rows = by_line(session.report(spec, "--by", "lineno", *PYTHON_DOMAINS))
        assert differences(known, only([NAME], {key: rows.get(key) for key in known})) == {}
        check_stack(session, spec)
        ever = session.report(spec, "--by", "lineno", "--at", "total", *PYTHON_DOMAINS)
        assert ever["totals"]["lost"] == 0
        at = (NAME, line_of("kept[i] ="))
        assert by_line(ever)[at] == tuple(done * figure for figure in known[at])
        traced.go_on()
    traced.ready()
    rows = by_line(session.report(traced.pid, "--by", "lineno", *PYTHON_DOMAINS))
    assert only([NAME], {key: rows[key] for key in known if key in rows}) == {}
    assert traced.finish() == 0
    assert traced.stderr() == ""
