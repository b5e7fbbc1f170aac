"""`memtrace run` as a user meets it: statuses, streams, signals, terminals, files, exec chains."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import harness
import pytest

SHELL = "/bin/sh"


def run(session, *args, check=False, **options):
    return session.tool("run", *args, check=check, cwd=session.work_dir, **options)


def leftovers(session):
    return [str(p) for p in session.regions_dir.rglob("*")]


@pytest.mark.parametrize(
    "script, status",
    [("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("kill -9 $$", 137), ("kill -15 $$", 143)],
)
def test_status_is_the_programs_own(session, script, status):
    done = run(session, "-o", "a.mtr", SHELL, "-c", script)
    assert done.returncode == status, done.stderr
    assert (session.work_dir / "a.mtr").exists()
    assert leftovers(session) == []
    if status == 137:
        assert "SIGKILL" in done.stderr or "signal 9" in done.stderr


def test_not_found_and_not_executable(session):
    done = run(session, "no-such-program-here")
    assert (done.returncode, done.stdout) == (127, "")
    assert done.stderr == "memtrace: no-such-program-here: not found on PATH\n"
    plain = session.work_dir / "plain.txt"
    plain.write_text("text")
    done = run(session, plain)
    assert done.returncode == 126 and "cannot be executed" in done.stderr
    done = run(session, session.work_dir)
    assert done.returncode == 126
    missing = session.work_dir / "script"
    missing.write_text("#!/no/such/interpreter\n")
    missing.chmod(0o755)
    done = run(session, missing)
    assert done.returncode == 127 and "its interpreter is missing" in done.stderr
    assert leftovers(session) == []


def test_usage_errors(session):
    for arguments in ([], ["--bogus", "true"], ["--stack-depth", "x", "true"], ["--"]):
        done = run(session, *arguments)
        assert done.returncode == 2, (arguments, done.stderr)
        assert done.stdout == "" and "memtrace run --help" in done.stderr


def test_separator_and_arguments_are_passed_on(session):
    show = "import sys; print(sys.argv[1:])"
    for before in ([], ["--"], ["-o", "b.mtr", "-f", "--"]):
        done = run(
            session,
            *before,
            sys.executable,
            "-c",
            show,
            "-o",
            "--",
            "--help",
            "",
            "a b",
            check=True,
        )
        assert done.stdout == "['-o', '--', '--help', '', 'a b']\n"


def test_streams_are_the_programs_own(session):
    data = bytes(range(256)) * 1000
    done = subprocess.run(
        [session.memtrace, "run", "-q", "-o", "a.mtr", SHELL, "-c", "cat; echo error >&2"],
        input=data,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=session.work_dir,
        env={**harness.clean_environment(), "MEMTRACE_DIR": str(session.regions_dir)},
        timeout=60,
    )
    assert done.stdout == data
    assert done.stderr == b"error\n"


def test_summary_on_stderr_names_the_next_command(session):
    done = run(session, SHELL, "-c", "echo out", check=True)
    assert done.stdout == "out\n"
    saved = re.search(r"next: memtrace report (\S+)", done.stderr).group(1)
    assert re.fullmatch(r"memtrace-sh\.\d+\.mtr", saved)
    assert "\x1b" not in done.stderr  # no colour, no status line on a pipe
    session.tool("report", session.work_dir / saved)
    done = run(session, "--no-summary", SHELL, "-c", "true", check=True)
    assert done.stderr == ""


def test_existing_file_is_refused_before_the_program_starts(session):
    kept = session.work_dir / "a.mtr"
    kept.write_text("precious")
    done = run(session, "-o", kept, SHELL, "-c", "echo started")
    assert (done.returncode, done.stdout) == (125, "")
    assert "exists already; -f replaces it" in done.stderr
    assert kept.read_text() == "precious"
    run(session, "-f", "-o", kept, SHELL, "-c", "true", check=True)
    assert kept.read_bytes()[:2] == b"\x1f\x8b"


def test_unwritable_places(session):
    done = run(session, "-o", session.work_dir / "no/such/folder/a.mtr", SHELL, "-c", "echo x")
    assert (done.returncode, done.stdout) == (125, "")
    assert "no/such/folder" in done.stderr
    env = {**harness.clean_environment(), "MEMTRACE_DIR": "/proc/no-such-place"}
    done = harness.run(
        [session.memtrace, "run", SHELL, "-c", "echo x"], check=False, env=env, cwd=session.work_dir
    )
    assert (done.returncode, done.stdout) == (125, "")
    assert "MEMTRACE_DIR" in done.stderr or "/proc/no-such-place" in done.stderr


def test_folder_that_takes_no_files(session):
    env = {
        **harness.clean_environment(),
        "MEMTRACE_DIR": str(session.regions_dir),
        "TMPDIR": str(session.work_dir),
    }
    done = harness.run(
        [session.memtrace, "run", SHELL, "-c", "exit 6"], check=False, env=env, cwd="/proc"
    )
    assert done.returncode == 6
    saved = re.search(r"next: memtrace report (\S+)", done.stderr).group(1)
    assert saved.startswith(str(session.work_dir)) and os.path.exists(saved)


def test_library_missing(session):
    env = {**harness.clean_environment(), "MEMTRACE_LIBRARY": "/no/libmemtrace.so"}
    done = harness.run([session.memtrace, "run", "true"], check=False, env=env)
    assert done.returncode == 125 and "/no/libmemtrace.so" in done.stderr


def test_preload_of_others_stays_first(session):
    other = harness.program("liballocator.so")
    env = {
        **harness.clean_environment(),
        "LD_PRELOAD": other,
        "MEMTRACE_DIR": str(session.regions_dir),
    }
    done = harness.run(
        [session.memtrace, "run", "-q", "-o", "-", "env"],
        env=env,
        check=True,
        cwd=session.work_dir,
        stdin=subprocess.DEVNULL,
        errors="replace",
    )
    assert f"LD_PRELOAD={other}:{session.library}" in done.stdout


def test_static_program_runs_and_is_explained(session):
    source = session.work_dir / "s.c"
    source.write_text('#include <stdio.h>\nint main(void) { puts("static"); return 5; }\n')
    static = session.work_dir / "s"
    if subprocess.run(["cc", "-static", "-o", static, source]).returncode != 0:
        pytest.skip("no static C library")
    done = run(session, static)
    assert (done.returncode, done.stdout) == (5, "static\n")
    assert "statically linked" in done.stderr and "nothing was recorded" in done.stderr


def test_exec_chain_ends_in_one_snapshot(session):
    shim = session.work_dir / "shim"
    shim.write_text('#!/usr/bin/env bash\nname="$(basename "$1")"\nexec "$@"\n')
    shim.chmod(0o755)
    done = run(
        session,
        "-o",
        "a.mtr",
        shim,
        sys.executable,
        "-c",
        "keep = bytearray(3_000_000)",
        check=True,
    )
    report = session.report(session.work_dir / "a.mtr", "--at", "peak")
    assert report["process"]["python"].startswith(f"{sys.version_info[0]}.{sys.version_info[1]}.")
    assert report["totals"]["peak_bytes"] >= 3_000_000
    assert len(report["processes"]) >= 2
    assert leftovers(session) == []
    assert "exited 0" in done.stderr


def test_children_are_collected(session):
    code = (
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', 'keep = bytearray(5_000_000)'], check=True)\n"
    )
    run(session, "-o", "a.mtr", sys.executable, "-c", code, check=True)
    report = session.report(session.work_dir / "a.mtr")
    commands = [" ".join(p["command"]) for p in report["processes"]]
    assert any("5_000_000" in c and "subprocess" not in c for c in commands), commands


def test_process_that_lives_on_keeps_its_region(session):
    code = (
        "import glob, os, subprocess, time\n"
        "null = subprocess.DEVNULL\n"
        "pid = subprocess.Popen(['sleep', '60'], stdout=null, stderr=null).pid\n"
        # Popen returns when the kernel has the program, some time before its first instruction.
        "while not glob.glob('%s/%d-*.region' % (os.environ['MEMTRACE_DIR'], pid)):\n"
        "    time.sleep(0.01)\n"
        "time.sleep(0.2)\n"
        "print(pid)\n"
    )
    done = run(session, "-o", "a.mtr", sys.executable, "-c", code, check=True)
    pid = int(done.stdout)
    try:
        assert "still run" in done.stderr
        listed = json.loads(session.tool("list", "--json").stdout)["processes"]
        assert [p["state"] for p in listed if p["pid"] == pid] == ["running"]
    finally:
        os.kill(pid, signal.SIGKILL)


# -------------------------------------------------------------------------------------------------
# Signals and terminals


WAITING = """
import signal, sys, time
count = 0
def note(number, frame):
    global count
    count += 1
signal.signal(signal.SIG{name}, note)
print("READY", flush=True)
end = time.monotonic() + 20
while count == 0 and time.monotonic() < end:
    time.sleep(0.02)
time.sleep(0.5)
print("count", count, flush=True)
sys.exit(4)
"""


@pytest.mark.parametrize("name", ["TERM", "HUP", "INT", "USR1"])
def test_signals_sent_to_memtrace_reach_the_program(session, name):
    env = {**harness.clean_environment(), "MEMTRACE_DIR": str(session.regions_dir)}
    process = subprocess.Popen(
        [session.memtrace, "run", "-o", "a.mtr", sys.executable, "-c", WAITING.format(name=name)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
        cwd=session.work_dir,
    )
    try:
        assert process.stdout.readline() == "READY\n"
        process.send_signal(getattr(signal, "SIG" + name))
        out, err = process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert (out, process.returncode) == ("count 1\n", 4), err
    assert "next: memtrace report a.mtr" in err


class Terminal:
    """A command with a terminal of its own."""

    def __init__(self, argv, env, cwd):
        self.output = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execvpe(argv[0], [str(a) for a in argv], env)

    def read_until(self, text, timeout=30):
        end = time.monotonic() + timeout
        while text not in self.output:
            left = end - time.monotonic()
            assert left > 0, self.output
            if select.select([self.fd], [], [], left)[0]:
                try:
                    piece = os.read(self.fd, 65536)
                except OSError:  # the other side is gone
                    piece = b""
                if not piece:
                    break
                self.output += piece
        assert text in self.output, self.output

    def type(self, text):
        os.write(self.fd, text)

    def status(self, timeout=30):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    self.output += os.read(self.fd, 65536)
                except OSError:
                    pass
        raise AssertionError(f"still running\n{self.output}")

    def close(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


@pytest.fixture
def terminal(session):
    opened = []

    def start(*arguments, **variables):
        env = {
            **harness.clean_environment(),
            "MEMTRACE_DIR": str(session.regions_dir),
            "TERM": "xterm",
            **variables,
        }
        for name in ("CI", "NO_COLOR", "COLUMNS"):
            if name not in variables:
                env.pop(name, None)
        opened.append(Terminal([session.memtrace, *arguments], env, session.work_dir))
        return opened[-1]

    yield start
    for item in opened:
        item.close()


def test_ctrl_c_reaches_the_program_once_and_gives_a_report(terminal):
    t = terminal("run", "-o", "a.mtr", sys.executable, "-c", WAITING.format(name="INT"))
    t.read_until(b"READY")
    t.type(b"\x03")
    t.read_until(b"next: memtrace report a.mtr")
    assert t.status() == 4
    assert b"count 1\r\n" in t.output


def test_ctrl_c_ends_a_program_that_does_not_care(terminal, session):
    t = terminal("run", "-o", "a.mtr", "sleep", "60")
    deadline = time.monotonic() + 20
    while not session.regions() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.2)
    t.type(b"\x03")
    t.read_until(b"next: memtrace report a.mtr")
    assert t.status() == 130


def set_size(t, rows, columns):
    import fcntl
    import struct
    import termios

    fcntl.ioctl(t.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def test_status_line_on_a_terminal_only(terminal):
    code = "import time; keep = bytearray(2_000_000); time.sleep(2.5); print('end')"
    t = terminal("run", "-o", "a.mtr", sys.executable, "-c", code)
    set_size(t, 24, 100)
    assert t.status() == 0
    text = t.output.decode()
    assert re.search(
        r"memtrace  [\d.]+ m?s   now [\d.]+ [KM]iB   peak [\d.]+ [KM]iB   "
        r"[\d,]+ allocations",
        text,
    ), text
    assert text.rindex("\x1b[r") > text.rindex("\x1b[1;23r")  # the whole screen is given back


@pytest.mark.parametrize("variables", [{"CI": "true"}, {"TERM": "dumb"}])
def test_no_status_line_in_ci_or_on_a_dumb_terminal(terminal, variables):
    t = terminal(
        "run", "-o", "a.mtr", sys.executable, "-c", "import time; time.sleep(2)", **variables
    )
    set_size(t, 24, 100)
    assert t.status() == 0
    assert b"\x1b7" not in t.output


def test_stop_and_go_on(session):
    env = {**harness.clean_environment(), "MEMTRACE_DIR": str(session.regions_dir)}
    process = subprocess.Popen(
        [
            session.memtrace,
            "run",
            "-q",
            "-o",
            "a.mtr",
            SHELL,
            "-c",
            "echo READY; kill -STOP $$; echo went on",
        ],
        stdout=subprocess.PIPE,
        text=True,
        env=env,
        cwd=session.work_dir,
    )
    try:
        assert process.stdout.readline() == "READY\n"
        pid, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)  # the shell that started us sees the stop
        process.send_signal(signal.SIGCONT)
        assert process.stdout.readline() == "went on\n"
        assert process.wait(timeout=20) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
