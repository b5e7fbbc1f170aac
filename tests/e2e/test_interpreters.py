"""Interpreters that cannot be read, and interpreters behind shell scripts."""

import json
import os
import re
import stat

import harness
import pytest
from harness import by_line
from witness import known_lines, only, source

DEBUG_PYTHONS = [
    p for p in ("/usr/bin/python3-dbg", "/usr/bin/python3.11-dbg") if os.path.exists(p)
]
PYTHON_DOMAINS = ("--domain", "python.obj", "--domain", "python.mem")

# Runs a program to its end, and pauses.
PAUSED = (
    "import runpy, os, sys; kept = runpy.run_path(sys.argv[1]);"
    "print('READY{\"pid\": %d}' % os.getpid(), flush=True); os.read(0, 1)"
)
# Its own process: allocates in C on behalf of no line that can be read.
ALLOCATING = "import os; blocks = [bytearray(100000) for _ in range(50)]; print(len(blocks))"


@pytest.fixture
def shim_folder(tmp_path, pythons):
    """python and python3 as shell scripts that find the real one in two steps, as pyenv's do."""
    folder = tmp_path / "shims"
    folder.mkdir()
    inner = folder / "version-exec"
    inner.write_text(
        f'#!/usr/bin/env bash\nset -e\nname="$(basename "$1")"; shift\n'
        f'found=$(echo "$name" | sed s/x/x/)\nexec "{pythons[-1]}" "$@"\n'
    )
    for name in ("python", "python3"):
        shim = folder / name
        shim.write_text(
            f'#!/usr/bin/env bash\nset -e\nprogram="${{0##*/}}"\nexec "{inner}" "$program" "$@"\n'
        )
        shim.chmod(0o755)
    inner.chmod(inner.stat().st_mode | stat.S_IXUSR)
    return folder


@pytest.mark.skipif(not DEBUG_PYTHONS, reason="python3-dbg is not installed")
def test_debug_interpreter(session):
    """One line on stderr; the program runs; native tracing goes on; no Python names."""
    traced = session.start([DEBUG_PYTHONS[0], "-c", ALLOCATING])
    assert traced.line() == "50"
    assert traced.finish() == 0
    words = [line for line in traced.stderr().splitlines() if line.strip()]
    assert len(words) == 1 and words[0].startswith("memtrace"), words
    assert "debug" in words[0].lower() or "python" in words[0].lower(), words
    region = session.last_region(traced.pid)
    native = session.report(region, "--domain", "malloc", "--at", "total")
    assert native["totals"]["alloc_bytes"] >= 50 * 100000, "the blocks reach malloc"
    assert not [row for row in native["rows"] if row["file"].endswith(".py")]
    assert native["totals"]["lost"] == 0


@pytest.mark.skipif(not DEBUG_PYTHONS, reason="python3-dbg is not installed")
def test_debug_interpreter_quietly(session):
    traced = session.start([DEBUG_PYTHONS[0], "-c", ALLOCATING], session.env(MEMTRACE_QUIET=1))
    assert traced.line() == "50"
    assert traced.finish() == 0 and traced.stderr() == ""


def check_exact(rows):
    known = known_lines("exact.py")
    assert only(["exact.py"], {key: rows.get(key) for key in known}) == known


def test_preloaded_through_shims(session, shim_folder):
    env = session.env()
    env["PATH"] = f"{shim_folder}:{env['PATH']}"
    traced = session.start([shim_folder / "python", "-c", PAUSED, source("exact.py")], env)
    pid = traced.ready()["pid"]
    assert pid == traced.pid, "the shims replace themselves"
    rows = by_line(session.report(pid, "--by", "lineno", *PYTHON_DOMAINS))
    check_exact(rows)


def test_run_through_shims(session, shim_folder, tmp_path):
    """`memtrace run python main.py` where python is a shim: one file, the real one's lines in it."""
    env = harness.clean_environment()
    env["PATH"] = f"{shim_folder}:{env['PATH']}"
    out = tmp_path / "x.mtr"
    session.tool("run", "-o", out, "--", "python", source("exact.py"), env=env, cwd=tmp_path)
    report = session.report(out, "--by", "lineno", "--at", "total", *PYTHON_DOMAINS)
    rows = by_line(report)
    # Lines on which nothing but the block itself is allocated, so "ever" is what was kept.
    with open(source("exact.py")) as text:
        pure = {
            ("exact.py", number)
            for number, line in enumerate(text, 1)
            if line.strip().startswith(("keep[i] = bytes(1000)", "yield bytes(2000)"))
        }
    known = {key: sums for key, sums in known_lines("exact.py").items() if key in pure}
    assert len(known) == 2
    assert {key: rows.get(key) for key in known} == known
    assert re.match(r"3\.\d+\.\d+", report["process"]["python"]), json.dumps(report["process"])


def test_disabled(session):
    traced = session.start(["/bin/ls", "/"], session.env(MEMTRACE_DISABLE=1))
    while traced.line() or traced.pending:
        pass
    assert traced.finish() == 0 and traced.stderr() == ""
    assert session.regions() == []


def test_quiet_when_all_is_well(session, python):
    """A traced program's stderr is its own."""
    traced = session.start([python, "-c", "import sys; sys.stderr.write('mine')"])
    assert traced.finish() == 0
    assert traced.stderr() == "mine"
