"""One run of one program under one tool, measured from outside."""

import dataclasses
import os
import shutil
import signal
import subprocess
import tempfile

TIMEOUT_SECONDS = 300


class BenchError(Exception):
    """A run that failed: no figure is made of it."""


@dataclasses.dataclass(frozen=True)
class Run:
    workload: str
    tracer: str
    wall: float  # seconds
    cpu: float  # seconds, user and system
    rss: int  # KiB, peak
    output: str


def compile_c(source, target, *options):
    """Compiles one C or C++ file with -O2, unless the result is newer than the source."""
    if os.path.exists(target) and os.path.getmtime(target) > os.path.getmtime(source):
        return
    compiler = "g++" if source.endswith(".cc") else "gcc"
    subprocess.run([compiler, "-O2", "-pthread", "-o", target, source, *options], check=True)


def scratch_folder():
    """A folder in memory if there is one, so that no tool waits for a disk."""
    shm = "/dev/shm"
    return tempfile.mkdtemp(prefix="memtrace-bench-", dir=shm if os.access(shm, os.W_OK) else None)


def environment(additions):
    """The caller's environment without anything that would change what is measured."""
    env = {
        name: value
        for name, value in os.environ.items()
        if name != "LD_PRELOAD" and not name.startswith(("PYTHON", "MEMTRACE_"))
    }
    env["PYTHONHASHSEED"] = "0"  # the same work every time
    env.update(additions)
    return env


def run_once(workload, tracer, setting, folder, inspect=None, prefix=()):
    """Runs the workload in `folder`; `inspect(scratch)` may look at what the tool has left.

    Raises BenchError unless the program exits with status 0, and in time.
    """
    scratch = scratch_folder()
    try:
        argv, additions = tracer.command(workload, setting, scratch)
        run = run_command(
            [*prefix, *argv], additions, setting, folder, scratch, workload.name, tracer.name
        )
        if inspect:
            inspect(scratch)
        return run
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def run_command(argv, additions, setting, folder, scratch, name, tool):
    """Runs a command line in `folder`, its output kept in `scratch`."""
    figures, text = _launch(
        [os.path.join(setting.binaries, "launch")],
        argv,
        folder,
        environment(additions),
        os.path.join(scratch, "output"),
    )
    if not figures:
        raise BenchError(f"{name} under {tool} did not end within {TIMEOUT_SECONDS} s")
    if figures[4] != 0:
        raise BenchError(
            f"{name} under {tool} failed (wait status {int(figures[4])}): {text[-800:]}"
        )
    wall, user, system, rss = figures[:4]
    return Run(name, tool, wall, user + system, int(rss), text)


def _launch(launcher, argv, folder, env, output_path):
    """(the launcher's figures, what the program printed); no figures when it did not end.

    A tool's helpers that outlive the program do not hold this up: only the launcher has the pipe.
    """
    read_end, write_end = os.pipe()
    with open(output_path, "w+", errors="replace") as output, os.fdopen(read_end) as pipe:
        process = subprocess.Popen(
            [*launcher, str(write_end), *argv],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[write_end],
            start_new_session=True,
        )
        os.close(write_end)
        try:
            process.wait(timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            _end_group(process)
        figures = [float(word) for word in pipe.readline().split()]
        output.seek(0)
        return (figures if len(figures) == 5 else []), output.read()


def _end_group(process):
    """Ends what is left of the command, the launcher's own process group, and nothing else."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def instructions(workload, tracer, setting, folder):
    """User-space instructions of one run by `perf stat`, or None where it cannot count them."""
    if not shutil.which("perf"):
        return None
    with tempfile.NamedTemporaryFile("r") as file:
        perf = ("perf", "stat", "-x,", "-e", "instructions:u", "-o", file.name, "--")
        try:
            run_once(workload, tracer, setting, folder, prefix=perf)
        except BenchError:
            return None
        for line in file.read().splitlines():
            count = line.split(",")[0]
            if "instructions" in line and count.isdigit():
                return int(count)
    return None
