"""Everything at once, for long: programs/soak/, in C and in Python beside each other.

MEMTRACE_E2E_SOAK=1800 for half an hour of work. At each rest every figure is compared with the
programs' own, and children that have ended with what they counted; and what memtrace takes for
itself has stopped growing after the first quarter, however long it goes on.
"""

import os
import random
import re
import struct
from typing import NamedTuple

from harness import by_function, by_line, clean_environment, differences, program
from witness import PYTHON_DOMAINS, source

SECONDS = float(os.environ.get("MEMTRACE_E2E_SOAK", "110"))
ROUNDS = 8  # and a rest after each
PATIENCE = SECONDS / ROUNDS + 60
MOST_REGIONS = 1000 + 20  # core/places.h; one start of twenty looks
KIB = 1 << 10
# Since the first quarter. How many threads live at once is chance: a slot of theirs that is first
# taken later is some 128 KiB of region and 1.2 MiB of tables. Three may be.
REGION_GROWTH, PRIVATE_GROWTH = 512 * KIB, 4096 * KIB
LATEST = 24
EXITS, KILLED, EXECS, FORKS = 1, 2, 3, 4
CHILD_BYTES = 40
PLUGINS = [program(f"soak_plugin_{n}.so") for n in range(4)]


# ------------------------------------------------------------------------------------------------
# What memtrace takes


class Mapping(NamedTuple):
    name: str
    flags: list
    private: int


def mappings(pid):
    name, private = "", 0
    with open(f"/proc/{pid}/smaps") as lines:
        for line in lines:
            field, *rest = line.split()
            if re.fullmatch(r"[0-9a-f]+-[0-9a-f]+", field):
                name, private = " ".join(rest[4:]), 0
            elif field in ("Private_Dirty:", "Private_Clean:", "Swap:"):
                private += int(rest[0]) * KIB
            elif field == "VmFlags:":
                yield Mapping(name, rest, private)


def reserved(pid):
    """Private memory kept out of core dumps: all that memtrace reserves, and nobody else does."""
    return sum(m.private for m in mappings(pid) if m.name == "" and "dd" in m.flags)


def own_data(pid):
    return sum(m.private for m in mappings(pid) if m.name.endswith("/libmemtrace.so"))


def region_bytes(session, pid):
    return sum(os.stat(path).st_blocks * 512 for path in session.regions(pid))


class Taken(NamedTuple):
    region: int
    private: int


def taken(session, pid):
    return Taken(region_bytes(session, pid), reserved(pid) + own_data(pid))


def check_flat(name, at_rests):
    quarter, end = at_rests[ROUNDS // 4 - 1], at_rests[-1]
    print(f"{name}: at each rest, in KiB,", [tuple(n // KIB for n in t) for t in at_rests])
    assert quarter.region > 0 and quarter.private > 0
    assert end.region - quarter.region <= REGION_GROWTH, (name, at_rests)
    assert end.private - quarter.private <= PRIVATE_GROWTH, (name, at_rests)


# ------------------------------------------------------------------------------------------------
# Figures


def native_rows(session, spec, at):
    report = session.report(spec, "--by", "function", "--domain", "malloc", "--at", at)
    assert report["totals"]["lost"] == 0, report["losses"]
    return {n: sums for n, sums in by_function(report).items() if n.startswith("site_")}


def check_native(session, known):
    path = session.snapshot(known["pid"])
    for at, blocks, size in ("total", "calls", "bytes"), ("now", "live_blocks", "live_bytes"):
        expected = {name: (site[blocks], site[size]) for name, site in known["sites"].items()}
        assert len(expected) == 14
        assert differences(expected, native_rows(session, path, at)) == {}, at
    path.unlink()


def python_sites():
    with open(source("soak/soak.py")) as text:
        found = [(n, re.search(r"# site: (\w+)", line)) for n, line in enumerate(text, 1)]
    sites = {match.group(1): ("soak.py", n) for n, match in found if match}
    return {**sites, "generated": ("<generated>", 3)}


def check_python(session, known):
    path = session.snapshot(known["pid"])
    sites = python_sites()
    for at in ("total", "now"):
        report = session.report(path, "--by", "lineno", "--at", at, *PYTHON_DOMAINS)
        assert report["totals"]["lost"] == 0, report["losses"]
        rows = by_line(report)
        got = {name: rows.get(line, (0, 0)) for name, line in sites.items()}
        assert differences(known[at], got) == {}, at
    path.unlink()


# ------------------------------------------------------------------------------------------------
# Children


class Child(NamedTuple):
    pid: int
    kind: int
    begun: int
    done: int
    free_begun: int
    free_done: int


def children_of(records):
    """Of the last round, the oldest first."""
    every = map(Child._make, struct.iter_unpack("<iiqqqq", records.read_bytes()))
    return [child for child in every if child.pid]


def some_of_each(children, chosen):
    """Of the latest: in a full folder, older ones' regions have made room."""
    for kind, most in (KILLED, 5), (EXITS, 1), (EXECS, 1), (FORKS, 1):
        of_kind = [child for child in children[-LATEST:] if child.kind == kind]
        yield from chosen.sample(of_kind, min(most, len(of_kind)))


def whole_region(session, child):
    """None: killed before it had one, or while it was made."""
    if not session.regions(child.pid):
        return None
    region = session.last_region(child.pid)
    return region if is_complete(session, region) else None


def is_complete(session, region):
    done = session.tool("report", region, check=False)
    if done.returncode == 1 and "not complete yet" in done.stderr:
        return False
    assert done.returncode == 0, done.stderr
    return True


def check_child(session, child):
    """Its figures are its own alone, and lie between what it counted before and after each call."""
    if child.kind != KILLED:
        assert (child.begun, child.free_begun) == (child.done, child.free_done)
    region = whole_region(session, child)
    if region is None:
        assert child.kind == KILLED and child.done == 0, f"{child} left no region"
        return False
    total, now = (native_rows(session, region, at) for at in ("total", "now"))
    assert {*total, *now} <= {"site_in_child"}, "what is inherited is the parent's"
    (made, size), (live, held) = (rows.get("site_in_child", (0, 0)) for rows in (total, now))
    assert child.done <= made <= child.begun, (child, made)
    assert child.done - child.free_begun <= live <= child.begun - child.free_done, (child, live)
    assert (size, held) == (CHILD_BYTES * made, CHILD_BYTES * live)
    return True


def check_other_regions(session, pids):
    """Children of the Python program, killed at work, too: sound, and nothing was lost."""
    others = [p for p in session.regions() if int(p.name.split("-")[0]) not in pids]
    for region in filter(lambda path: is_complete(session, path), others[-3:]):
        assert session.report(region, "--by", "domain", "--at", "total")["totals"]["lost"] == 0
    return len(others)


def check_children(session, records, living, chosen):
    children = children_of(records)
    files = len(session.regions())
    assert files <= MOST_REGIONS, files
    whole = [check_child(session, child) for child in some_of_each(children, chosen)]
    assert any(whole), "each was killed before it had a region"
    others = check_other_regions(session, {c.pid for c in children} | living)
    said = session.tool("clean").stderr
    assert {int(p.name.split("-")[0]) for p in session.regions()} == living, said
    return [c.kind for c in children], others


# ------------------------------------------------------------------------------------------------


def check_nobody_else_reserves(session, argv):
    """What is taken for memtrace's memory is not the program's: alone it has none of the kind."""
    alone = session.start(argv, clean_environment())
    alone.ready()
    assert reserved(alone.pid) == 0
    assert alone.finish() == 0


def test_soak(session, pythons, tmp_path):
    records = tmp_path / "records"
    native = [program("soak"), records]
    python = [pythons[-1].path, "-W", "ignore", source("soak/soak.py")]
    for argv in native, python:
        check_nobody_else_reserves(session, [*argv, "0.5", "1", *PLUGINS])
    length = [str(SECONDS / ROUNDS), str(ROUNDS), *PLUGINS]
    running = [session.start([*argv, *length]) for argv in (native, python)]
    memory = [[], []]
    kinds, others, chosen = [], 0, random.Random(1)
    for number in range(ROUNDS):
        known = [traced.ready(PATIENCE) for traced in running]
        check_native(session, known[0])
        check_python(session, known[1])
        for traced, figures in zip(running, memory):
            figures.append(taken(session, traced.pid))
        more = check_children(session, records, {t.pid for t in running}, chosen)
        kinds, others = kinds + more[0], others + more[1]
        for traced in running:
            if number + 1 < ROUNDS:
                traced.go_on()
    for traced in running:
        assert traced.finish() == 0, traced.stderr()
        assert traced.stderr() == ""
    assert all(kinds.count(kind) >= ROUNDS for kind in (EXITS, KILLED, EXECS, FORKS)), kinds
    assert others >= ROUNDS
    for name, figures in zip(("native", "python"), memory):
        check_flat(name, figures)
