"""The real pprof reads our snapshots and agrees with us, difference included."""

import os
import re
import shutil
import subprocess

import harness
import pytest
from harness import program

MODULE = "github.com/google/pprof@latest"
TYPES = {
    "inuse_space": "now_bytes",
    "inuse_objects": "now_blocks",
    "alloc_space": "alloc_bytes",
    "alloc_objects": "alloc_blocks",
    "peak_space": "peak_bytes",
}


@pytest.fixture(scope="module")
def pprof():
    """pprof, built once from its Go module into the build tree."""
    folder = harness.BUILD_DIR / "tests" / "e2e" / "go"
    path = folder / "pprof"
    if path.exists():
        return str(path)
    go = shutil.which("go")
    if not go:
        pytest.skip("Go is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    env = dict(os.environ, GOBIN=str(folder))
    try:
        done = harness.run([go, "install", MODULE], env=env, check=False, timeout=100)
    except subprocess.TimeoutExpired:
        pytest.skip("pprof could not be fetched in time")
    if done.returncode != 0:
        pytest.skip("pprof could not be built: " + done.stderr.strip().splitlines()[-1])
    return str(path)


def total(pprof, kind, *args):
    """The total that pprof prints above its table, in bytes or blocks."""
    unit = "b" if kind.endswith("space") else ""
    argv = [pprof, "-top", "-nodecount=5", "-symbolize=none", f"-sample_index={kind}"]
    argv += [f"-unit={unit}"] if unit else []
    out = harness.run([*argv, *args], timeout=60).stdout
    found = re.search(r"of (-?\d+)B? total", out)
    assert found, out
    return int(found.group(1))


def flat(pprof, kind, *args):
    """{function: flat figure} of pprof's whole table."""
    argv = [
        pprof,
        "-top",
        "-nodecount=0",
        "-nodefraction=0",
        "-symbolize=none",
        f"-sample_index={kind}",
    ]
    argv += ["-unit=b"] if kind.endswith("space") else []
    out = harness.run([*argv, *args], timeout=60).stdout
    rows = re.findall(r"^\s*(-?\d+)B?\s+\S+%\s+\S+%\s+-?\d+B?\s+\S+%\s+(.+?)$", out, re.MULTILINE)
    assert rows, out
    return {harness.plain_name(name): int(value) for value, name in rows}


@pytest.fixture
def pictures(session):
    """Snapshots of one process at two moments."""
    traced = session.start([program("many_threads"), "400"])
    traced.ready()
    old = session.snapshot(traced.pid)
    traced.go_on()
    traced.ready()
    return old, session.snapshot(traced.pid)


@pytest.mark.parametrize("kind", TYPES)
def test_totals(session, pprof, kind):
    traced = session.start([program("alloc_family")])
    known = traced.ready()
    path = session.snapshot(traced.pid)
    ours = session.report(path)["totals"][TYPES[kind]]
    assert ours > 0
    assert total(pprof, kind, path) == ours
    if kind == "alloc_space":
        assert flat(pprof, kind, path)["site_malloc"] == known["sites"]["site_malloc"]["bytes"]


@pytest.mark.parametrize("kind", ["alloc_space", "alloc_objects"])
def test_difference(session, pprof, pictures, kind):
    old, new = pictures
    before, after = (session.report(p)["totals"][TYPES[kind]] for p in (old, new))
    assert after > before
    # pprof's total of a difference is its base's; the rows sum to the change.
    assert total(pprof, kind, "-diff_base", old, new) == before
    ours = flat(pprof, kind, "-diff_base", old, new)
    assert sum(ours.values()) == after - before
    theirs = {path: flat(pprof, kind, path).get("site_in_thread") for path in (old, new)}
    assert ours["site_in_thread"] == theirs[new] - theirs[old] > 0


def test_python_lines(session, pprof, pythons):
    """Functions of a Python program are there by name."""
    code = "def maker():\n    return [bytes(5000) for _ in range(100)]\nkept = maker()\ninput()\n"
    script = session.work_dir / "small.py"
    script.write_text(code + "")
    traced = session.start(
        [
            pythons[-1],
            "-c",
            f"exec(compile(open({str(script)!r}).read()"
            ".replace('input()', 'print(\"READY\", flush=True); input()'),"
            f"{str(script)!r}, 'exec'))",
        ]
    )
    traced.ready()
    path = session.snapshot(traced.pid)
    out = harness.run(
        [
            pprof,
            "-top",
            "-cum",
            "-nodecount=0",
            "-nodefraction=0",
            "-unit=b",
            "-symbolize=none",
            "-sample_index=inuse_space",
            path,
        ]
    ).stdout
    found = re.search(r"(\d+)B\s+\S+%\s+maker\b", out)
    assert found and int(found.group(1)) >= 100 * 5033, out[:2000]
