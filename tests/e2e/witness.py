"""Runs a Python program under memtrace with tracemalloc as the witness; see programs/observed.py."""

import json
import os
import re

import harness

PYTHON_DOMAINS = ("--domain", "python.obj", "--domain", "python.mem")


def source(name):
    return str(harness.PROGRAMS / name)


class Witnessed:
    """One run: memtrace's snapshots before and after, and what tracemalloc says of the end."""

    def __init__(self, session, python, name, mode="plain", depth=25, options=(), limit=60, **env):
        self.session = session
        self.name = name
        result = session.work_dir / f"{os.path.basename(name)}.{session.taken}.json"
        argv = [python, *options, source("observed.py"), mode, depth, source(name), result]
        self.traced = session.start(argv, session.env(**env))
        self.traced.ready()
        self.before = session.snapshot(self.traced.pid) if mode == "events" else None
        self.traced.go_on()
        self.traced.ready(limit)
        self.after = session.snapshot(self.traced.pid)
        self.traced.go_on()
        status = self.traced.finish(limit)
        self.stderr = self.traced.stderr()
        assert status == 0, self.stderr
        self.result = json.loads(result.read_text())
        self.frames = [tuple(frame) for frame in self.result["frames"]]

    def memtrace_lines(self, spec=None):
        """{(base name, line): (count, bytes)} live in Python's domains, all files."""
        report = self.session.report(spec or self.after, "--by", "lineno", *PYTHON_DOMAINS)
        assert report["totals"]["lost"] == 0
        return harness.by_line(report)

    def judged(self, python_domains=True):
        """tracemalloc's {((file, line), ... innermost first): (count, bytes)} with names as the
        interpreter has them, of Python's domains or of all others."""
        return sums_by_key(
            (tuple(self.frames[i] for i in stack), count, size)
            for domain, count, size, stack in self.result["stacks"]
            if (domain == 0) == python_domains
        )

    def tracemalloc_lines(self):
        return by_innermost(self.tracemalloc_stacks())

    def memtrace_stacks(self):
        """{((base name, line), ... innermost first): (count, bytes)}"""
        report = self.session.report(self.after, "--by", "traceback", *PYTHON_DOMAINS)
        return sums_by_key(
            (
                tuple((os.path.basename(f["file"]), f["line"]) for f in row["frames"]),
                row["count"],
                row["size"],
            )
            for row in report["rows"]
        )

    def tracemalloc_stacks(self):
        return sums_by_key(
            (tuple((os.path.basename(file), line) for file, line in stack), *sums)
            for stack, sums in self.judged().items()
        )


def sums_by_key(rows):
    """{key: (count, bytes)} of (key, count, bytes)."""
    sums = {}
    for key, count, size in rows:
        old = sums.get(key, (0, 0))
        sums[key] = (old[0] + count, old[1] + size)
    return sums


def by_innermost(stacks):
    """{(file, line): (count, bytes)} of figures by stack; blocks without a stack are left out."""
    return sums_by_key((stack[0], *sums) for stack, sums in stacks.items() if stack)


def only(files, rows):
    """The rows of some files, by base name; a row is keyed by its line or by its whole stack."""
    kept = {}
    for key, sums in rows.items():
        if not key:
            continue  # no stack at all
        innermost = key if isinstance(key[0], str) else key[0]
        if innermost[0] in files:
            kept[key] = sums
    return kept


def known_lines(name):
    """{(base name, line): (count, bytes)} from the `# known: N x BYTES + ...` remarks of a program."""
    known = {}
    with open(source(name)) as text:
        for number, line in enumerate(text, 1):
            remark = re.search(r"# known: (\d.*)", line)
            if remark:
                parts = [
                    tuple(map(int, part.split(" x "))) for part in remark.group(1).split(" + ")
                ]
                known[(name, number)] = (sum(n for n, _ in parts), sum(n * b for n, b in parts))
    return known


def marked_lines(name, mark):
    """{what: line} of the remarks `# mark: what`."""
    found = {}
    with open(source(name)) as text:
        for number, line in enumerate(text, 1):
            remark = re.search(rf"# {mark}: (\w+)", line)
            if remark:
                found[remark.group(1)] = number
    return found


def check_known(run):
    """By arithmetic alone, of both."""
    known = known_lines(run.name)
    assert known
    for lines in (run.memtrace_lines(), run.tracemalloc_lines()):
        assert harness.differences(known, {key: lines.get(key, (0, 0)) for key in known}) == {}


def check_own_lines(run):
    """All lines of the program, against tracemalloc as it is."""
    expected = only([run.name], run.tracemalloc_lines())
    assert len(expected) >= 5
    assert harness.differences(expected, only([run.name], run.memtrace_lines())) == {}
