"""Native programs: every call is accounted for, by site, to the byte.

The programs know their own truth (programs/known.h). A site is a function that calls the allocator
once, so rows by function name it; allocations of the C library's own have other names and are not
looked at there. What they come to is checked by libcount, which counts every call of a process in
front of memtrace.
"""

import os
import signal
import struct

import harness
import pytest
from harness import by_function, by_line, differences, program

FIGURES = {
    "total": ("calls", "bytes"),
    "now": ("live_blocks", "live_bytes"),
    "peak": ("peak_blocks", "peak_bytes"),
}


def check_sites(session, spec, known, at=("total", "now", "peak"), source=None):
    """Every site of the program, and no other function named like one, has exactly its figures."""
    assert known["sites"], "the program tells of no site"
    for metric in at:
        blocks, size = FIGURES[metric]
        report = session.report(spec, "--by", "function", "--domain", "malloc", "--at", metric)
        assert report["totals"]["lost"] == 0
        rows = {
            name: sums
            for name, sums in by_function(report).items()
            if name in known["sites"] or name.startswith("site_")
        }
        expected = {name: (site[blocks], site[size]) for name, site in known["sites"].items()}
        assert differences(expected, rows) == {}, f"--at {metric}"
    if source:
        check_lines(session, spec, known, source)


def check_lines(session, spec, known, source):
    """The program has debugging information: its sites are known by file and line as well."""
    rows = by_line(session.report(spec, "--by", "lineno", "--domain", "malloc", "--at", "total"))
    expected = {
        (source, site["line"]): (site["calls"], site["bytes"])
        for site in known["sites"].values()
        if site["line"]
    }
    assert differences(expected, {key: rows[key] for key in rows if key in expected}) == {}


def run_to_pause(session, *argv):
    traced = session.start(argv)
    return traced, traced.ready()


@pytest.mark.parametrize(
    "name, source",
    [
        ("alloc_family", "alloc_family.c"),
        ("new_family", "new_family.cc"),
        ("next_allocator", "next_allocator.c"),
        ("early_late", "early_late.cc"),
    ],
)
def test_one_thread(session, name, source):
    traced, known = run_to_pause(session, program(name))
    at = ("total", "now", "peak") if name != "early_late" else ("total", "now")  # it has threads
    check_sites(session, traced.pid, known, at, source)
    assert traced.finish() == 0, traced.stderr()


def test_threads_free_each_others_blocks(session):
    traced, known = run_to_pause(session, program("threads"))
    path = session.snapshot(traced.pid)
    check_sites(session, path, known, ("total", "now"), "threads.c")
    whole = session.report(path)["totals"]
    threads = session.report(path, "--by", "thread")["rows"]
    assert sum(row["size"] for row in threads) == whole["now_bytes"]
    assert sum(row["count"] for row in threads) == whole["now_blocks"]
    assert len(threads) >= 8


def test_peak_of_threads_is_within_its_bound(session):
    """Live bytes at the peak: what the program knows, give or take 32 KiB a thread."""
    traced, known = run_to_pause(session, program("threads"))
    report = session.report(traced.pid, "--by", "function", "--domain", "malloc", "--at", "peak")
    sites = {n: s for n, s in by_function(report).items() if n in known["sites"]}
    peak = sum(size for _, size in sites.values())
    assert abs(peak - known["peak"]) <= 9 * 32 * 1024, (peak, known["peak"])


def test_signal_handlers(session):
    traced, known = run_to_pause(session, program("signals"))
    check_sites(session, traced.pid, known, ("total", "now"), "signals.c")
    assert traced.finish() == 0, traced.stderr()


def test_plugin_is_known_after_dlclose(session):
    traced, known = run_to_pause(session, program("plugin_host"), program("libplugin.so"))
    check_sites(session, traced.pid, known, source="plugin_host.c")
    assert traced.finish() == 0, traced.stderr()


def test_fork_in_the_middle(session):
    traced, child = run_to_pause(session, program("fork_middle"))
    child_report = session.snapshot(child["pid"])
    traced.process.stdin.close()
    parent = traced.ready()
    assert traced.process.wait(timeout=30) == 0
    assert child["pid"] != parent["pid"]
    check_sites(session, session.last_region(parent["pid"]), parent, ("total", "now"))
    own = {"sites": {n: s for n, s in child["sites"].items() if n != "site_before_fork"}}
    rows = by_function(
        session.report(child_report, "--by", "function", "--domain", "malloc", "--at", "total")
    )
    expected = {n: (s["calls"], s["bytes"]) for n, s in own["sites"].items()}
    got = {n: s for n, s in rows.items() if n.startswith("site_")}
    assert differences(expected, got) == {}, "a child's figures are of its own work alone"
    totals = session.report(child_report, "--at", "now")["totals"]
    assert totals["lost"] == 0 and totals["now_bytes"] >= 0


@pytest.mark.parametrize(
    "how, status",
    [
        ("exit", 7),
        ("_exit", 7),
        ("quick_exit", 7),
        ("abort", -signal.SIGABRT),
        ("kill", -signal.SIGKILL),
        ("segv", -signal.SIGSEGV),
    ],
)
def test_endings(session, how, status):
    traced, known = run_to_pause(session, program("endings"), how)
    assert traced.process.wait(timeout=30) == status, traced.stderr()
    check_sites(session, session.last_region(traced.pid), known)


# ------------------------------------------------------------------------------------------------
# Many threads, one after the other


def region_bytes(session, pid):
    """Memory that the region really takes: the file is sparse."""
    return sum(os.stat(path).st_blocks * 512 for path in session.regions(pid))


def resident_bytes(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))


def grown(traced, measure):
    """Figures at the first tenth of many_threads, at its end, and what it knows then."""
    traced.ready()
    before = measure(traced.pid)
    traced.go_on()
    known = traced.ready(timeout=110)
    return before, measure(traced.pid), known


def test_memory_is_bounded_by_threads_alive(session):
    """20,000 threads, four at a time; MEMTRACE_E2E_THREADS=1000000 for a long run. What the program
    itself takes is known from a run without memtrace."""
    argv = [program("many_threads"), os.environ.get("MEMTRACE_E2E_THREADS", "20000")]
    low, high, _ = grown(session.start(argv, harness.clean_environment()), resident_bytes)
    bare = high - low
    traced = session.start(argv)
    before, after, known = grown(
        traced, lambda pid: (resident_bytes(pid), region_bytes(session, pid))
    )
    assert before[1] > 0
    assert after[1] - before[1] <= 64 * 1024, "the region"
    # One block of eight threads lives on; the live table takes a quarter of what the heap grows.
    assert after[0] - before[0] <= bare * 1.25 + 512 * 1024, "all memory of the process"
    check_sites(session, traced.pid, known, ("total", "now"))
    assert traced.finish() == 0, traced.stderr()


def test_many_threads_at_once(session):
    traced, _ = run_to_pause(session, program("many_threads"), "6400", "64")
    traced.go_on()
    check_sites(session, traced.pid, traced.ready(), ("total", "now"))
    assert traced.finish() == 0, traced.stderr()


# ------------------------------------------------------------------------------------------------
# Totals against the second witness


def counted(path):
    calls, size, frees, _ = struct.unpack("<4Q", path.read_bytes())
    return {"alloc_blocks": calls, "alloc_bytes": size, "now_blocks": calls - frees}


def totals_of(session, spec, keys):
    report = session.report(spec, "--domain", "malloc")
    assert report["totals"]["lost"] == 0
    return {key: report["totals"][key] for key in keys}


@pytest.fixture
def own_noise(session, tmp_path):
    """What memtrace's start makes libcount count: dlsym allocates when a name is not there. Known
    from a program that allocates nothing; memtrace must not count it as the program's."""
    count, bare = tmp_path / "count-nothing", tmp_path / "count-bare"
    env = harness.clean_environment()
    env.update(LD_PRELOAD=program("libcount.so"), COUNT_FILE=str(bare))
    alone = session.start([program("nothing")], env)
    alone.ready()
    assert set(counted(bare).values()) == {0}, "the program allocates by itself"
    env = session.env(preload_first=[program("libcount.so")], COUNT_FILE=count)
    traced = session.start([program("nothing")], env)
    traced.ready()
    noise = counted(count)
    assert set(totals_of(session, traced.pid, noise).values()) == {0}
    assert traced.finish() == 0
    for path in session.regions(traced.pid):
        path.unlink()
    return noise


def check_totals(session, spec, count, noise, leave_out=()):
    seen = counted(count)
    expected = {key: seen[key] - noise[key] for key in seen if key not in leave_out}
    assert expected["alloc_blocks"] > 15
    assert totals_of(session, spec, expected) == expected


@pytest.mark.parametrize(
    "name", ["alloc_family", "c_library_allocs", "threads", "signals", "early_late", "new_family"]
)
def test_totals_of_known_programs(session, own_noise, tmp_path, name):
    env = session.env(preload_first=[program("libcount.so")], COUNT_FILE=tmp_path / "count")
    traced = session.start([program(name)], env)
    traced.ready()
    # libstdc++ rounds the sizes of aligned blocks up before it asks malloc.
    leave_out = ["alloc_bytes"] if name == "new_family" else []
    check_totals(session, traced.pid, tmp_path / "count", own_noise, leave_out)


@pytest.mark.parametrize(
    "argv",
    [
        [
            "/usr/bin/perl",
            "-e",
            "my %h; $h{$_ % 977} .= 'x' x $_ for 1..3000; print length join ',', %h",
        ],
        ["/usr/bin/sort", "--parallel=2", harness.__file__],
        ["/bin/bash", "-c", "for i in {1..300}; do a+=($i); done; echo ${#a[@]}"],
        ["/bin/ls", "-lR", "/usr/share/doc/bash", "/usr/bin"],
    ],
    ids=["perl", "sort", "bash", "ls"],
)
def test_totals_of_programs_of_others(session, own_noise, tmp_path, argv):
    if not os.path.exists(argv[0]):
        pytest.skip(f"{argv[0]} is not installed")
    plain = harness.run(argv).stdout
    env = session.env(preload_first=[program("libcount.so")], COUNT_FILE=tmp_path / "count")
    traced = harness.run(argv, env=env)
    assert traced.stdout == plain and traced.stderr == ""
    regions = session.regions()
    assert len(regions) == 1, regions
    check_totals(session, regions[0], tmp_path / "count", own_noise)


def test_c_library_allocates_for_the_caller(session):
    """strdup and its like: the site is the C library's function, under any of its names."""
    traced, known = run_to_pause(session, program("c_library_allocs"))
    flags = ("--by", "function", "--domain", "malloc")
    total = by_function(session.report(traced.pid, *flags, "--at", "total"))
    now = by_function(session.report(traced.pid, *flags))

    def of(rows, name):
        names = [prefix + name for prefix in ("", "__", "_IO_", "__GI_", "__GI___")]
        return [sum(rows.get(n, (0, 0))[i] for n in names) for i in (0, 1)]

    assert of(total, "strdup") == known["strdup"][:2]
    assert of(now, "strdup")[0] == known["strdup"][2]
    assert of(total, "strndup") == known["strndup"][:2]
    assert of(now, "getdelim") == [1, known["getline"]]


def test_dlerror_is_clean(session):
    """memtrace looks for functions that may not be there; the program must not hear of it."""
    assert harness.run([program("dlerror")], env=session.env()).stdout == "clean\n"
