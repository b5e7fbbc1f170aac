"""Temporary allocations and churn by line: --at temporary, and what --at total adds.

The truth is arithmetic: programs/temporary.py says at each line how many blocks of which size it
makes, and what becomes of them. The sizes occur nowhere else.
"""

import csv
import io
import re

from harness import PROGRAMS

SOURCE = PROGRAMS / "temporary.py"


def told():
    """{line: (kind, blocks, size)} from the program's own comments."""
    found = {}
    for number, text in enumerate(SOURCE.read_text().splitlines(), 1):
        match = re.search(r"# (temporary|kept|later): (\d+) x (\d+)$", text)
        if match:
            found[number] = (match[1], int(match[2]), int(match[3]))
    assert len(found) == 3
    return found


def rows_of(session, spec, at):
    flags = ("--include", "*temporary.py", "--domain", "python.obj", "--at", at)
    return {row["line"]: row for row in session.report(spec, *flags)["rows"]}


def test_lines_that_throw_away(session, python):
    traced = session.start([python, SOURCE])
    traced.ready()
    path = session.snapshot(traced.pid)
    total, temporary = rows_of(session, path, "total"), rows_of(session, path, "temporary")
    for line, (kind, blocks, size) in told().items():
        row = total[line]
        assert (row["count"], row["size"]) == (blocks, blocks * size), kind
        live = blocks if kind == "kept" else 0
        gone = blocks if kind == "temporary" else 0
        assert (row["live_count"], row["live_size"]) == (live, live * size), kind
        assert (row["temporary_count"], row["temporary_size"]) == (gone, gone * size), kind
        if kind == "temporary":
            assert (temporary[line]["count"], temporary[line]["size"]) == (blocks, blocks * size)
        else:
            assert line not in temporary, kind


def test_every_form_shows_them(session, pythons):
    traced = session.start([pythons[-1], SOURCE])
    traced.ready()
    path = session.snapshot(traced.pid)
    (line,) = [number for number, (kind, _, _) in told().items() if kind == "temporary"]
    flags = ("--at", "temporary", "--include", "*temporary.py", "--domain", "python.obj")
    text = session.tool("report", path, *flags).stdout
    assert re.search(rf"100\.0 %  +temporary\.py:{line} ", text), text
    rows = csv.DictReader(
        io.StringIO(session.tool("report", path, *flags, "--format", "csv").stdout)
    )
    row = next(row for row in rows if row["line"] == str(line))
    assert row["alloc_count"] == row["temporary_count"] == str(told()[line][1])
    assert row["live_count"] == "0"
    markdown = session.tool("report", path, *flags, "--format", "markdown").stdout
    assert f"| 100.0 % | temporary.py:{line} |" in markdown
    nothing = session.compare(path, path, "--at", "temporary")
    assert nothing["rows"] == []
