"""The ledger of resident memory: programs that know what they have touched.

The parts must sum to what the kernel says to the byte; each is compared with the program's own
account, within what the C library, the interpreter and the loader take for themselves.
"""

import json
import os
import pathlib
import re

import harness
import pytest

MIB = 1 << 20
# Resident before main: libc's own blocks, the loader's data, the program's static arrays.
OWN = 2 * MIB


def parts_of(ledger):
    """{kind: size}; the sum is checked here for every ledger."""
    assert ledger is not None and ledger["why"] is None, ledger
    sizes = {part["kind"]: part["size"] for part in ledger["parts"]}
    assert len(sizes) == len(ledger["parts"])
    assert sum(sizes.values()) == ledger["rss_bytes"]
    assert all(size >= 0 for size in sizes.values()), sizes
    assert "unexplained" in sizes
    for part in ledger["parts"]:
        assert sum(item["size"] for item in part["items"]) <= part["size"], part
    return sizes


def near(got, expected, share=0.02, beyond=OWN):
    """At most the share less, and at most the share and `beyond` more."""
    return expected * (1 - share) <= got <= expected * (1 + share) + beyond


def kernel_rss(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Rss:\s+(\d+) kB", text, re.M).group(1)) * 1024


def big_file(folder):
    path = folder / "read-me"
    with open(path, "wb") as f:
        f.write(os.urandom(MIB) * 64)
    return path


def check_all_sorts(report, truth, path):
    sizes = parts_of(report["process"]["ledger"])
    parts = {part["kind"]: part for part in report["process"]["ledger"]["parts"]}
    assert near(sizes["live_blocks"], truth["live"], 0.005, MIB), (sizes, truth)
    assert near(sizes["allocator_slack"], truth["slack"], 0.01), (sizes, truth)
    assert near(sizes["anonymous_mappings"], truth["anonymous"], 0.001, 256 * 1024), sizes
    assert near(sizes["stacks"], truth["stacks"], 0.001, MIB), sizes
    files = {item["name"]: item["size"] for item in parts["files"]["items"]}
    assert files[str(path)] == truth["file"]
    assert near(sizes["files"], truth["file"] + harness_static(), 0.001, 12 * MIB), sizes
    assert sizes["unexplained"] < 0.03 * report["process"]["ledger"]["rss_bytes"], sizes
    return parts


def harness_static():
    """The program's array of small blocks: static, so it is the program file's .bss."""
    return 8 * (200 * MIB // 208)


@pytest.mark.parametrize("native", ["0", "1"], ids=["plain", "native"])
def test_every_sort_of_memory(session, tmp_path, native):
    """Blocks that keep a heap from shrinking, a large one half touched, a mapping, a file, stacks."""
    path = big_file(tmp_path)
    traced = session.start(
        [harness.program("ledger"), path], env=session.env(MEMTRACE_NATIVE=native)
    )
    truth = traced.ready()
    taken = session.snapshot(traced.pid)
    rss = kernel_rss(traced.pid)
    report = session.report(taken)
    ledger = report["process"]["ledger"]
    assert abs(ledger["rss_bytes"] - rss) < MIB
    parts = check_all_sorts(report, truth, path)
    # Of the large block five MiB were never touched: live, and not in memory.
    assert near(ledger["live_bytes"], truth["live"] + truth["untouched"], 0.005, MIB)
    untouched = ledger["live_bytes"] - parts["live_blocks"]["size"]
    assert abs(untouched - truth["untouched"]) <= 4096, (untouched, truth)  # whole pages
    names = [item["name"] for item in parts["anonymous_mappings"]["items"]]
    assert any("ledger.c:" in name for name in names), names
    text = session.tool("report", taken).stdout
    assert "resident memory" in text and "malloc, beyond its live blocks" in text, text
    assert path.name in text
    markdown = session.tool("report", taken, "--format", "markdown").stdout
    assert "| anonymous mappings |" in markdown
    # The same from the living process, without a file between.
    check_all_sorts(session.report(traced.pid), truth, path)
    traced.finish()


@pytest.mark.parametrize("which", [0, -1], ids=["oldest", "newest"])
def test_arenas_that_one_block_keeps(session, pythons, which):
    """One object in each arena: the rest is slack, and the line that keeps them is named.

    Arenas are of 256 KiB up to 3.9 and of 1 MiB from then on: two versions tell all.
    """
    python = pythons[which]
    program = harness.PROGRAMS / "pinned_arenas.py"
    traced = session.start([python, program])
    truth = traced.ready()
    ledger = session.report(traced.pid)["process"]["ledger"]
    sizes = parts_of(ledger)
    assert near(sizes["python_arena_slack"], truth["made"] - truth["kept"], 0.06, 8 * MIB), (
        sizes,
        truth,
    )
    assert sizes["unexplained"] < 0.03 * ledger["rss_bytes"], sizes
    arenas = ledger["python_arenas"]
    assert arenas["pinned"] * 256 * 1024 >= 0.2 * truth["made"], arenas
    assert arenas["pinned_free_size"] >= 0.85 * truth["made"], arenas
    line = (
        program.read_text()
        .splitlines()
        .index("    return bytes(SIZE) if i else bytes(SIZE)  # kept: this line")
    )
    place = f"{program.name}:{line + 1}"
    found = [pin for pin in arenas["pinned_by"] if pin["place"].endswith(place)]
    assert found and found[0]["arenas"] >= 0.9 * arenas["pinned"], arenas
    assert near(found[0]["size"], truth["kept"], 0.1, 64 * 1024), (found, truth)
    text = session.tool("report", traced.pid).stdout
    assert "arenas are less than a quarter full" in text and place in text, text
    traced.finish()


MAPS_ONCE = """
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

int main(void) {
  char* memory = mmap(NULL, 8 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  memset(memory, 1, 8 << 20);
  puts("READY");
  fflush(stdout);
  return getchar() != EOF;
}
"""


def test_another_build_gives_no_names(session, tmp_path):
    """The program's file is replaced while it runs: its lines would be another program's."""
    program = tmp_path / "program"
    source = tmp_path / "maps.c"
    source.write_text(MAPS_ONCE)
    harness.run(["gcc", "-O1", "-g", "-o", program, source])
    traced = session.start([program])
    traced.ready()

    def names():
        parts = session.report(traced.pid)["process"]["ledger"]["parts"]
        (mapped,) = [part for part in parts if part["kind"] == "anonymous_mappings"]
        assert mapped["size"] >= 8 * MIB
        return [item["name"] for item in mapped["items"]]

    line = MAPS_ONCE.splitlines().index(next(s for s in MAPS_ONCE.splitlines() if "mmap(" in s)) + 1
    assert names()[0].endswith(f"maps.c:{line}"), names()
    harness.run(["gcc", "-O0", "-g", "-o", tmp_path / "rebuilt", source])
    (tmp_path / "rebuilt").rename(program)
    assert re.fullmatch(r"program\+0x[0-9a-f]+", names()[0]), names()
    traced.finish()


def test_run_keeps_the_last_ledger_and_the_highest(session, tmp_path):
    """The process has ended when the report is made: its ledgers were taken while it ran."""
    program = tmp_path / "climb.py"
    program.write_text(
        # Held for longer than a ledger is waited for, also where one is taken while memory is filled.
        "import time\nhold = bytearray(80 << 20)\ntime.sleep(5)\ndel hold\ntime.sleep(4)\n"
    )
    taken = tmp_path / "run.mtr"
    session.tool("run", "-q", "-o", taken, "--", "/usr/bin/python3", program)
    process = session.report(taken)["process"]
    assert process["end"] == "exited"
    last, highest = process["ledger"], process["highest_ledger"]
    assert parts_of(highest)["live_blocks"] >= 80 * MIB
    assert highest["rss_bytes"] >= 80 * MIB
    assert parts_of(last)["live_blocks"] < 40 * MIB
    assert last["taken_unix_ns"] > highest["taken_unix_ns"]
    assert "resident memory" in session.tool("report", taken).stdout


def test_compare_shows_the_parts_that_grew(session, tmp_path):
    """Two moments of one process: only what it took in between."""
    program = tmp_path / "grow.py"
    program.write_text(
        "import sys\n"
        "print('READY', flush=True)\n"
        "sys.stdin.readline()\n"
        "hold = bytearray(30 << 20)\n"
        "print('READY', flush=True)\n"
        "sys.stdin.read()\n"
    )
    traced = session.start(["/usr/bin/python3", program])
    traced.ready()
    old = session.snapshot(traced.pid)
    traced.go_on()
    traced.ready()
    new = session.snapshot(traced.pid)
    compared = session.compare(old, new)
    before = parts_of(compared["old"]["process"]["ledger"])
    after = parts_of(compared["process"]["ledger"])
    # What the interpreter frees meanwhile is less.
    assert 29.9 * MIB <= after["live_blocks"] - before["live_blocks"] < 31 * MIB
    text = session.tool("compare", old, new).stdout
    assert re.search(r"^ +\S+ MiB +\+(29\.9|30\.\d) MiB +live blocks$", text, re.M), text
    traced.finish()


def test_no_ledger_of_the_dead(session):
    """A region of a process that has ended has none, and nothing is made up."""
    taken = session.run_traced(["/usr/bin/python3", "-S", "-c", "pass"])
    assert session.report(taken)["process"]["ledger"] is None
    assert "resident memory" not in session.tool("report", taken).stdout


def test_blocks_that_cannot_be_located(session):
    """With little address space the live table is a tree: the sum is right, the slack is not split."""
    code = "import sys; hold = bytearray(40 << 20); print('READY', flush=True); sys.stdin.read()"
    traced = session.start(["prlimit", "--as=1500000000", "/usr/bin/python3", "-c", code])
    traced.ready()
    process = session.report(traced.pid)["process"]
    ledger = process["ledger"]
    assert "address space is limited" in ledger["why"]
    sizes = {part["kind"]: part["size"] for part in ledger["parts"]}
    assert sum(sizes.values()) == ledger["rss_bytes"]
    assert sizes["live_blocks"] == ledger["live_bytes"] >= 40 * MIB
    assert "python_arena_slack" not in sizes
    text = session.tool("report", traced.pid).stdout
    assert "In whose memory the blocks lie is not known" in text, text
    traced.finish()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take the right from a program")
def test_without_the_right_to_look_inside(session, tmp_path):
    """Another user's eye: the kernel refuses the mappings, and one line says so."""
    # setpriv keeps the program root's, and takes the right to trace from the tool.
    traced = session.start(
        ["/usr/bin/python3", "-c", "import sys; print('READY', flush=True); sys.stdin.read()"]
    )
    traced.ready()
    tool = [
        "setpriv",
        "--bounding-set",
        "-all",
        "--inh-caps",
        "-all",
        "--",
        session.memtrace,
        "report",
        str(traced.pid),
        "--format",
        "json",
    ]
    env = harness.clean_environment()
    env["MEMTRACE_DIR"] = str(session.regions_dir)
    done = harness.run(tool, env=env)
    ledger = json.loads(done.stdout)["process"]["ledger"]
    assert ledger["why"], ledger
    traced.finish()
