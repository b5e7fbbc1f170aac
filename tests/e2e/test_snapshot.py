"""`memtrace snapshot`, `list`, `clean` and `doctor`: pictures from outside, of the living and dead."""

import json
import os
import signal
import subprocess
import sys

import harness
import pytest

KEEPS = """
import sys
keep = [bytes(1000) for i in range(1000)]
print("READY {}", flush=True)
sys.stdin.readline()
"""


def start(session, code=KEEPS):
    traced = session.start([sys.executable, "-c", code])
    traced.ready()
    return traced


def listed(session):
    return json.loads(session.tool("list", "--json").stdout)["processes"]


def now(report):
    return report["totals"]["now_bytes"]


def test_of_a_living_process(session):
    traced = start(session)
    path = session.snapshot(traced.pid)
    report = session.report(path)
    assert 1_000_000 < now(report) < 3_000_000
    assert report["process"]["pid"] == traced.pid
    assert session.report(traced.pid)["totals"] == report["totals"]
    assert traced.process.poll() is None
    assert traced.finish() == 0


def test_of_a_dead_process(session):
    traced = start(session)
    before = now(session.report(traced.pid))
    traced.kill(signal.SIGKILL)
    assert [p["state"] for p in listed(session)] == ["died"]
    assert now(session.report(session.snapshot(traced.pid, "dead.mtr"))) == before
    [region] = session.regions(traced.pid)
    assert now(session.report(session.snapshot(region, "region.mtr"))) == before


def test_without_argument(session):
    done = session.tool("snapshot", check=False, cwd=session.work_dir)
    assert done.returncode == 1 and "no process is being traced" in done.stderr
    first = start(session)
    done = session.tool("snapshot", cwd=session.work_dir)
    assert f".{first.pid}.mtr" in done.stderr and done.stdout == ""
    second = start(session)
    done = session.tool("snapshot", check=False, cwd=session.work_dir)
    assert done.returncode == 2
    assert str(first.pid) in done.stderr and str(second.pid) in done.stderr
    first.kill()
    done = session.tool("snapshot", "-o", "only.mtr", cwd=session.work_dir)
    assert now(session.report(session.work_dir / "only.mtr")) > 1_000_000


def test_by_name(session):
    script = session.work_dir / "worker.py"
    script.write_text(KEEPS)
    traced = session.start([sys.executable, script])
    traced.ready()
    for name in ("worker", "worker.py"):
        assert session.report(session.snapshot(name))["process"]["pid"] == traced.pid


def test_to_standard_output_and_existing_files(session):
    traced = start(session)
    done = subprocess.run(
        [session.memtrace, "snapshot", str(traced.pid), "-o", "-"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=60,
        env={**harness.clean_environment(), "MEMTRACE_DIR": str(session.regions_dir)},
    )
    assert done.returncode == 0 and done.stdout[:2] == b"\x1f\x8b" and done.stderr == b""
    path = session.work_dir / "a.mtr"
    path.write_text("precious")
    done = session.tool("snapshot", traced.pid, "-o", path, check=False)
    assert done.returncode == 1 and "a.mtr" in done.stderr
    assert path.read_text() == "precious"
    session.tool("snapshot", traced.pid, "-o", path, "-f", "--quiet")
    session.report(path)


def test_errors_name_what_and_where(session, tmp_path):
    done = session.tool("snapshot", "4194305", check=False)
    assert done.returncode == 1 and "process 4194305 is not traced" in done.stderr
    done = session.tool("snapshot", "/no/such/file.mtr", check=False)
    assert done.returncode == 1 and "/no/such/file.mtr" in done.stderr
    noise = tmp_path / "1-1-0.region"
    noise.write_bytes(b"noise" * 10000)
    fifo = tmp_path / "fifo.region"
    os.mkfifo(fifo)
    for path in (noise, fifo, tmp_path):
        done = session.tool("snapshot", path, "-o", tmp_path / "x.mtr", check=False, timeout=10)
        assert done.returncode == 1, path
        assert done.stderr.count("\n") == 1 and str(path) in done.stderr
        assert not (tmp_path / "x.mtr").exists()


def test_another_users_region(session, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    traced = start(session)
    [region] = session.regions(traced.pid)
    os.chown(region, 12345, 12345)
    done = session.tool("snapshot", region, "-o", tmp_path / "x.mtr", check=False)
    assert done.returncode == 1 and "belongs to another user (uid 12345)" in done.stderr


def test_list_and_clean(session):
    assert "no process is traced" in session.tool("list").stderr
    alive, dead, ended = start(session), start(session), start(session)
    dead.kill()
    assert ended.finish() == 0
    states = {p["pid"]: p["state"] for p in listed(session)}
    assert states == {alive.pid: "running", dead.pid: "died", ended.pid: "exited"}
    for process in listed(session):
        assert process["command"][0] == sys.executable
        assert process["peak_bytes"] >= 1_000_000 and process["age_seconds"] < 60
    table = session.tool("list").stdout
    assert len(table.splitlines()) == 4 and str(alive.pid) in table

    done = session.tool("clean", "--dry-run")
    assert "would remove 2 regions" in done.stderr and len(session.regions()) == 3
    done = session.tool("clean")
    assert "removed 2 regions" in done.stderr
    assert session.regions() == session.regions(alive.pid)
    session.snapshot(alive.pid)


def test_clean_spares_what_is_not_ours(session):
    keep = session.regions_dir / "notes.txt"
    keep.write_text("mine")
    (session.regions_dir / "0-0-0.region").write_bytes(b"x" * 100000)
    done = session.tool("clean")
    assert "removed 0 regions" in done.stderr and "left alone" in done.stderr
    assert keep.exists() and (session.regions_dir / "0-0-0.region").exists()


def test_doctor(session):
    done = session.tool("doctor", "--json")
    findings = {f["subject"]: f["verdict"] for f in json.loads(done.stdout)["findings"]}
    assert findings["library"] == "ok" and findings["records"] in ("ok", "warn")
    assert "fail" not in findings.values()
    env = {**harness.clean_environment(), "MEMTRACE_DIR": "/proc/no-such-place"}
    done = session.tool("doctor", check=False, env=env)
    assert done.returncode == 1 and "fail  records" in done.stdout


def test_crash_report(session, tmp_path):
    """memtrace's own failure: a file with the stack, one line, the signal's status."""
    traced = start(session)
    env = {
        **harness.clean_environment(),
        "TMPDIR": str(tmp_path),
        "MEMTRACE_DIR": str(session.regions_dir),
    }
    read, write = os.pipe()  # nobody reads: the tool waits at its output
    tool = subprocess.Popen(
        [session.memtrace, "report", str(traced.pid), "--top", "0", "--by", "traceback"],
        stdout=write,
        stderr=subprocess.PIPE,
        env=env,
    )
    os.close(write)
    try:
        os.read(read, 1)
        tool.send_signal(signal.SIGSEGV)
        message = tool.stderr.read().decode()
        assert tool.wait(timeout=20) == -signal.SIGSEGV
    finally:
        os.close(read)
        if tool.poll() is None:
            tool.kill()
            tool.wait()
    [report] = tmp_path.glob("memtrace-crash-*.txt")
    assert str(report) in message and message.count("\n") == 1
    assert f"signal {int(signal.SIGSEGV)}" in report.read_text()
    assert "memtrace+0x" in report.read_text()
