"""What memtrace keeps of a process: nothing of its environment; with --no-args no arguments either."""

import gzip
import secrets
import subprocess
import sys

import pytest
from harness import clean_environment, content, program

# Starts others in every way: fork, exec of the same image, a shell, Python code, a module.
STARTING = """
import os, subprocess, sys
secret = sys.argv[1]
child = os.fork()
if child == 0:
    kept = [bytes(1000) for _ in range(100)]
    os._exit(0)
os.waitpid(child, 0)
subprocess.run(["/bin/sh", "-c", ": " + secret], check=True)
subprocess.run([sys.executable, "-c", "secret = '%s'" % secret], check=True)
subprocess.run([sys.executable, "-m", "this", secret], check=True, stdout=subprocess.DEVNULL)
if len(sys.argv) == 3:
    os.execv(sys.executable, [sys.executable, sys.argv[0], secret, "again", secret])
print("READY {}", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def starting(session):
    path = session.work_dir / "starting.py"
    path.write_text(STARTING)
    return path


@pytest.fixture
def secret():
    """Held by an argument, and by a variable of the environment."""
    return secrets.token_hex(16), secrets.token_hex(16)


def kept(session, *more):
    """All bytes of the regions of the session, and of snapshots made of them."""
    data = b""
    assert session.regions()
    for region in session.regions():
        data += content(region) + gzip.decompress(session.snapshot(region).read_bytes())
    return data + b"".join(gzip.decompress(path.read_bytes()) for path in more)


def holds(data, text):
    return text.encode() in data


@pytest.mark.parametrize("no_args", [False, True])
def test_preloaded(session, starting, secret, no_args):
    argument, variable = secret
    env = session.env(DATABASE_PASSWORD=variable, MEMTRACE_NO_ARGS=int(no_args))
    traced = session.start([sys.executable, starting, argument, "once"], env)
    traced.ready()
    data = kept(session)
    assert len(session.regions()) >= 9, "a forked child, three programs, twice; the program twice"
    assert not holds(data, variable)
    assert holds(data, argument) != no_args
    assert holds(data, str(starting)) and holds(data, sys.executable)
    assert traced.finish() == 0


def test_run(session, starting, secret):
    argument, variable = secret
    out = session.work_dir / "a.mtr"
    tracer = subprocess.Popen(
        [session.memtrace, "run", "--no-args", "-o", out, sys.executable, starting, argument, "x"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **clean_environment(),
            "MEMTRACE_DIR": str(session.regions_dir),
            "DATABASE_PASSWORD": variable,
        },
    )
    assert tracer.stdout.readline().startswith("READY"), tracer.stderr.read()
    data = kept(session)
    listed = session.tool("list", "--json").stdout
    named = session.snapshot("starting")  # the program's name is known
    output, errors = tracer.communicate(timeout=60)
    assert tracer.returncode == 0
    data += gzip.decompress(out.read_bytes()) + gzip.decompress(named.read_bytes())
    for text in (data, listed.encode(), errors.encode(), output.encode()):
        assert not holds(text, argument) and not holds(text, variable)
    commands = [p["command"] for p in session.report(out)["processes"]]
    assert [sys.executable, str(starting)] in commands
    assert [sys.executable, "-m", "this"] in commands
    assert [sys.executable] in commands and ["/bin/sh"] in commands


def test_default_name(session, secret):
    script = session.work_dir / "by_name.py"
    script.write_text("kept = bytes(1000)\n")
    argv = ["run", "--no-args", sys.executable, script, secret[0]]
    done = session.tool(*argv, cwd=session.work_dir)
    (made,) = session.work_dir.glob("memtrace-by_name.*.mtr")
    assert made.name in done.stderr and not holds(done.stderr.encode(), secret[0])


@pytest.mark.parametrize("no_args", [False, True])
def test_title(session, secret, no_args):
    """A child whose parent has put its arguments into its title."""
    env = session.env(MEMTRACE_NO_ARGS=int(no_args))
    traced = session.start([program("titled"), "--password", secret[0]], env)
    assert traced.line() == "READY"
    (region,) = [r for r in session.regions() if not r.name.startswith(f"{traced.pid}-")]
    data = content(region)
    assert holds(data, secret[0]) != no_args
    command = session.report(region)["process"]["command"]
    assert command == ([program("titled")] if no_args else command)
    assert traced.finish() == 0
