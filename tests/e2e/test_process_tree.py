"""Trees of processes: each has its figures, nothing is counted twice, and tmpfs does not fill."""

import os
import signal
import threading

import pytest
from harness import by_function, by_line, clean_environment, program

CHILDREN = int(os.environ.get("MEMTRACE_E2E_CHILDREN", "500"))
MOST_REGIONS = 64  # of ended processes in a session, tools/cli/ended_processes.h
MiB = 1 << 20


class Watch(threading.Thread):
    """The most files and bytes that a folder held."""

    def __init__(self, folder):
        super().__init__()
        self.folder, self.files, self.bytes, self.over = folder, 0, 0, threading.Event()

    def run(self):
        while not self.over.wait(0.02):
            found = [p for p in self.folder.rglob("*") if not p.is_dir()]
            self.files = max(self.files, len(found))
            self.bytes = max(self.bytes, sum(size_of(p) for p in found))


def size_of(path):
    try:
        return path.stat().st_blocks * 512
    except FileNotFoundError:
        return 0


def run_tree(session, argv, out, timeout=60):
    """Runs argv under `memtrace run -o out`; its output, and what its records took meanwhile."""
    watch = Watch(session.regions_dir)
    watch.start()
    try:
        done = session.tool("run", "-q", "-o", out, *argv, timeout=timeout)
    finally:
        watch.over.set()
        watch.join()
    return done.stdout, watch


def blocks(number):
    return number % 50 + 1


@pytest.fixture(scope="module")
def tree(memtrace, library, tmp_path_factory):
    """(session, tree.mtr, {pid: number}, watch) of a program with many children."""
    from harness import Session

    folder = tmp_path_factory.mktemp("tree")
    session = Session(memtrace, library, folder)
    limit = 60 + CHILDREN // 10
    out, watch = run_tree(
        session, [program("process_tree"), CHILDREN], folder / "tree.mtr", timeout=limit
    )
    numbers = {int(pid): int(number) for pid, number in map(str.split, out.splitlines())}
    yield session, folder / "tree.mtr", numbers, watch
    session.close()


def test_every_block_once(tree):
    """The sum over the tree; what forked children inherited is their parent's alone."""
    session, path, numbers, _ = tree
    expected = sum(map(blocks, range(CHILDREN)))
    for moment in ("now", "total", "peak"):
        figures = by_function(session.report(path, "--by", "function", "--at", moment))
        assert figures["leaf_work"] == (expected, 100 * expected), moment
        assert figures["parent_block"] == (1, MiB), moment


def test_every_process_has_its_figures(tree):
    """By process, each child has its own row; a forked one has made its blocks and nothing else."""
    session, path, numbers, _ = tree
    report = session.report(path, "--by", "process", "--at", "total")
    assert len(report["processes"]) >= CHILDREN + 1
    counts = {}
    for row in report["rows"]:
        counts.setdefault(int(row["label"].split()[0]), []).append(row["count"])
    forked = {pid: [blocks(n)] for pid, n in numbers.items() if n % 4 == 0}
    assert {pid: counts.get(pid) for pid in forked} == forked
    # A program's start takes the same few blocks in each.
    started = {pid: max(counts[pid]) - blocks(n) for pid, n in numbers.items() if n % 4 == 2}
    assert len(set(started.values())) == 1, started
    assert sum(sum(c) for c in counts.values()) == report["totals"]["alloc_blocks"]


def test_one_process(tree):
    """--process picks by pid, and by name."""
    session, path, numbers, _ = tree
    pid, number = next((p, n) for p, n in numbers.items() if n == 26)
    figures = by_function(session.report(path, "--process", pid, "--by", "function"))
    assert figures["leaf_work"] == (blocks(26), 100 * blocks(26))
    figures = by_function(session.report(path, "--process", "process_tree", "--by", "function"))
    expected = sum(map(blocks, range(CHILDREN)))
    assert figures["leaf_work"] == (expected, 100 * expected)
    shells = session.report(path, "--process", "sh", "--by", "function", "--at", "total")
    assert "leaf_work" not in by_function(shells)


def test_few_regions_at_any_time(tree):
    """Regions of ended children became snapshots while the program ran."""
    session, _, _, watch = tree
    # Those that ended while the last ones were read come on top.
    assert MOST_REGIONS / 2 < watch.files < MOST_REGIONS + 400, watch.files
    assert watch.bytes < 64 * MiB, watch.bytes
    assert not list(session.regions_dir.rglob("*.*")), "nothing is left at the end"


# On a line of its own: namedtuple's code is "<string>", too.
CODE = "import asyncio" + "\n" * 6 + "kept = [bytearray(1000 + i) for i in range(500)]"


def test_many_processes_of_one_program(session, tmp_path):
    """Children with many lines: those beyond a limit are added up, exactly, each with its totals."""
    python = "/usr/bin/python3"
    one = tmp_path / "one.mtr"
    session.tool("run", "-q", "-o", one, python, "-c", CODE)
    line = ("<string>", 7)
    single = by_line(session.report(one, "--at", "total"))[line]
    assert single[0] >= 1000, single

    many = tmp_path / "many.mtr"
    children = 45
    starter = (
        "import subprocess, sys\n"
        f"for i in range({children}):\n"
        f"    print(i, subprocess.Popen([sys.executable, '-c', {CODE!r}]).wait())\n"
    )
    script = tmp_path / "starter.py"
    script.write_text(starter)
    run_tree(session, [python, script], many, timeout=240)
    report = session.report(many, "--at", "total")
    assert by_line(report)[line] == (children * single[0], children * single[1])

    groups = [p for p in report["processes"] if "processes" in p]
    members = [p for p in report["processes"] if p.get("in_group")]
    own = [p for p in report["processes"] if p not in groups and p not in members]
    assert len(groups) == 1 and groups[0]["processes"] == len(members) >= 10, groups
    assert len(own) + len(members) == children + 1

    by_process = session.report(many, "--by", "process", "--at", "total")
    assert sum(row["count"] for row in by_process["rows"]) == by_process["totals"]["alloc_blocks"]
    rows = {int(row["label"].split()[0]): row["count"] for row in by_process["rows"]}
    assert len(rows) == children + 1 and min(rows.values()) > single[0]

    pid = members[0]["pid"]
    alone = session.report(many, "--process", pid, "--by", "process", "--at", "total")
    assert [row["count"] for row in alone["rows"]] == [rows[pid]]
    refused = session.tool("report", many, "--process", pid, check=False)
    assert refused.returncode == 1
    assert "added up with those of its program (python3 -c, " in refused.stderr
    named = session.report(many, "--process", "python3", "--at", "total")
    assert by_line(named)[line] == (children * single[0], children * single[1])


def test_nothing_lost_when_memtrace_run_is_killed(session, tmp_path):
    """What had ended before is in files beside the regions; `list` says where, `clean` forgets."""
    children = 400
    tool = session.start(
        [
            session.memtrace,
            "run",
            "-q",
            "-o",
            tmp_path / "no.mtr",
            program("process_tree"),
            children,
        ],
        env={**clean_environment(), "MEMTRACE_DIR": str(session.regions_dir)},
    )
    read = []
    while not list(session.regions_dir.rglob("ended-*.mtr")):
        read.append(tool.line())
        assert read[-1], "it ended, and nothing had been put aside"
    os.kill(tool.pid, signal.SIGKILL)
    # The program goes on, to its end.
    lines = []
    while line := tool.line():
        lines.append(line)
    assert lines[-1].endswith(f" {children - 1}"), lines[-1:]
    ended = list(session.regions_dir.rglob("ended-*.mtr"))
    report = session.report(ended[0], *ended[1:], "--by", "process", "--at", "total")
    found = {int(row["label"].split()[0]): row["count"] for row in report["rows"]}
    numbers = {int(pid): int(number) for pid, number in map(str.split, lines + read)}
    forked = {pid: blocks(n) for pid, n in numbers.items() if n % 4 == 0 and pid in found}
    assert len(forked) > 10
    assert {pid: found[pid] for pid in forked} == forked
    said = session.tool("list")
    assert f"memtrace report {ended[0].parent}/ended-*.mtr" in said.stderr
    session.tool("clean")
    assert not list(session.regions_dir.iterdir())
