"""One run of one program under one tool, measured from outside."""

import dataclasses
import os
import shutil
import signal
import subprocess
import tempfile

TIMEOUT_SECONDS = 900


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
    subprocess.run([compiler, "-O2", "-o", target, source, *options], check=True)


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

    Raises BenchError unless the program exits with status 0.
    """
    scratch = scratch_folder()
    try:
        argv, additions = tracer.command(workload, setting, scratch)
        figures, text = _launch(
            [os.path.join(setting.binaries, "launch")],
            [*prefix, *argv],
            folder,
            environment(additions),
            os.path.join(scratch, "output"),
        )
        if len(figures) != 5 or figures[4] != 0:
            status = int(figures[4]) if len(figures) == 5 else "unknown"
            raise BenchError(
                f"{workload.name} under {tracer.name} failed (wait status {status}): {text[-800:]}"
            )
        if inspect:
            inspect(scratch)
        wall, user, system, rss = figures[:4]
        return Run(workload.name, tracer.name, wall, user + system, int(rss), text)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _launch(launcher, argv, folder, env, output_path):
    """(the launcher's figures, what the program printed); no figures when it did not end."""
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
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        figures = [float(word) for word in pipe.readline().split()]
        output.seek(0)
        return figures, output.read()


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
