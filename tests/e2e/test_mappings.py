"""What programs map themselves: by place, to the page, and apart from memory."""

import glob
import os
import re
import signal

import harness
import pytest
from harness import by_function, by_line, differences, program
from venvs import python_with
from witness import source

DOMAINS = ("--domain", "mmap,mmap.file")
FIGURES = {"total": ("calls", "bytes"), "now": ("live_blocks", "live_bytes")}


def check_sites(session, spec, known, at=FIGURES):
    """Every site of the program has its figures, and nobody else has any."""
    assert known["sites"]
    for metric in at:
        blocks, size = FIGURES[metric]
        report = session.report(spec, "--by", "function", *DOMAINS, "--at", metric)
        assert report["totals"]["lost"] == 0, report["losses"]
        expected = {name: (site[blocks], site[size]) for name, site in known["sites"].items()}
        assert differences(expected, by_function(report)) == {}, f"--at {metric}"


def domains_of(report):
    return {row["label"]: row for row in report["rows"]}


def files_known(known):
    """(blocks, bytes) of the sites that map files."""
    sites = [s for name, s in known["sites"].items() if name.startswith("site_file")]
    return sum(s["live_blocks"] for s in sites), sum(s["live_bytes"] for s in sites)


def test_every_way_to_map_and_unmap(session):
    traced = session.start([program("mappings")])
    known = traced.ready()
    check_sites(session, traced.pid, known)
    by_domain = domains_of(session.report(traced.pid, "--by", "domain", "--at", "now"))
    count, size = files_known(known)
    assert (by_domain["mmap.file"]["count"], by_domain["mmap.file"]["size"]) == (count, size)
    assert by_domain["mmap"]["address_space"] and by_domain["mmap"]["share"] is None
    assert traced.finish() == 0, traced.stderr()


def test_address_space_is_no_memory(session):
    """A reservation of a GiB is in no total, no default report and not in the peak."""
    traced = session.start([program("mappings")])
    known = traced.ready()["sites"]
    assert known["site_reservation"]["live_bytes"] == (1 << 30) - 3 * 4096
    snapshot = session.snapshot(traced.pid)
    report = session.report(snapshot, "--by", "function")
    totals = report["totals"]
    assert max(totals["now_bytes"], totals["peak_bytes"], totals["alloc_bytes"]) < 10 << 20
    assert not set(by_function(report)) & set(known)
    assert sum(row["size"] for row in report["rows"]) == totals["now_bytes"]
    mapped = sum(site["live_bytes"] for site in known.values())
    assert totals["mapped_bytes"] + totals["mapped_file_bytes"] == mapped
    text = session.tool("report", snapshot).stdout
    assert re.search(r"mapped: 10\d\d MiB anonymous, 20\.0 KiB of files", text), text
    assert "mmap (address space" in session.tool("report", snapshot, "--by", "domain").stdout
    # Neither in a comparison with itself, nor in one with a process that maps nothing.
    assert session.compare(snapshot, snapshot, *DOMAINS)["rows"] == []
    other = session.run_traced([program("nothing")])
    grown = session.compare(other, snapshot, "--by", "function", *DOMAINS)["rows"]
    assert sum(row["size_diff"] for row in grown) == mapped
    assert traced.finish() == 0, traced.stderr()


def test_threads_that_unmap_each_others_end_at_zero(session):
    traced = session.start([program("mappings"), "threads"])
    known = traced.ready()
    assert all(site["live_bytes"] == 0 for site in known["sites"].values())
    check_sites(session, traced.pid, known)
    assert traced.finish() == 0, traced.stderr()


def test_a_forked_child_inherits(session):
    """What the child inherited is the parent's, whoever unmaps it there."""
    traced = session.start([program("mappings"), "fork"])
    first, second = traced.ready(), traced.ready()
    for known in (first, second):
        check_sites(session, known["pid"], known)
    child = first if first["pid"] != traced.pid else second
    assert session.report(child["pid"])["totals"]["now_bytes"] < 1 << 20
    assert traced.finish() == 0, traced.stderr()


def test_a_killed_program(session):
    traced = session.start([program("mappings")])
    known = traced.ready()
    traced.kill(signal.SIGKILL)
    check_sites(session, session.last_region(traced.pid), known)


@pytest.mark.parametrize("name", ["jemalloc.so.2", "mimalloc.so.2*"])
def test_an_allocators_heap_is_not_the_programs(session, name):
    found = glob.glob(f"/usr/lib/*/lib{name}")
    assert found, f"{name} is not installed: scripts/test installs it"
    env = session.env()
    env["LD_PRELOAD"] += ":" + found[0]
    traced = session.start([program("mappings")], env)
    known = traced.ready()
    assert os.path.basename(os.path.realpath(found[0])) in open(f"/proc/{traced.pid}/maps").read()
    check_sites(session, traced.pid, known)
    assert traced.finish() == 0, traced.stderr()


def test_what_an_allocator_maps_in_free_is_not_the_programs(session):
    env = session.env()
    env["LD_PRELOAD"] += ":" + program("libmapping_free.so")
    traced = session.start([program("mappings")], env)
    check_sites(session, traced.pid, traced.ready())
    assert traced.finish() == 0, traced.stderr()


# ------------------------------------------------------------------------------------------------
# Python


def known_lines(domain, numpy):
    """{(file, line): (count, bytes)} as the comments have it."""
    known = {}
    for number, line in enumerate(harness.source_text("mapped.py").splitlines(), 1):
        found = re.search(r"# maps: (\d+) x (\d+) (\S+)$", line)
        if found and found[3] == domain and (numpy or "numpy" not in line):
            known["mapped.py", number] = (int(found[1]), int(found[2]))
    assert known
    return known


def check_lines(session, python, tmp_path, *options, numpy=(), **env):
    argv = [python, *options, source("mapped.py"), tmp_path, *numpy]
    traced = session.start(argv, session.env(**env))
    traced.ready()
    for domain in ("mmap", "mmap.file"):
        report = session.report(traced.pid, "--by", "lineno", "--own", "--domain", domain)
        assert report["totals"]["lost"] == 0
        got = by_line(report)
        if numpy:  # its libraries map their buffers while they are loaded
            line = harness.source_text("mapped.py").splitlines().index("    import numpy") + 1
            got.pop(("mapped.py", line), None)
        assert differences(known_lines(domain, numpy), got) == {}, domain
    assert traced.finish() == 0, traced.stderr()


def test_python_lines(session, python, tmp_path):
    check_lines(session, python, tmp_path)


@pytest.mark.parametrize("allocator", ["debug", "malloc"])
def test_python_with_other_allocators(session, pythons, allocator, tmp_path):
    check_lines(session, pythons[-1], tmp_path, PYTHONMALLOC=allocator)


def test_numpy_memmap(session, pythons, tmp_path):
    check_lines(session, python_with(pythons[-1], ["numpy"]), tmp_path, numpy=["numpy"])
