"""What the end-to-end tests share: starting real programs under memtrace and asking about them.

A traced program of ours pauses when it has done its work: it prints one line, `READY` and a JSON
object of what it knows of itself, and waits for its standard input to end. While it waits the test
takes memtrace's picture from outside, so both sides speak of the same moment.

Every process that is started here has a time limit and is killed by its own pid when it passes it.
Every test has a folder of its own for live regions and removes it.
"""

import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

SOURCE_DIR = pathlib.Path(__file__).resolve().parents[2]
BUILD_DIR = pathlib.Path(os.environ.get("MEMTRACE_BUILD_DIR", SOURCE_DIR / "build" / "release"))
PROGRAMS = pathlib.Path(__file__).resolve().parent / "programs"
TIME_LIMIT = 60
SUPPORTED = [(3, minor) for minor in range(8, 15)]


def program(name):
    """Path of a compiled test program."""
    path = BUILD_DIR / "tests" / "e2e" / "programs" / name
    assert path.exists(), f"{path} is missing: build first (cmake --build {BUILD_DIR})"
    return str(path)


def source_text(name):
    """The source of a test program."""
    return (PROGRAMS / name).read_text()


def clean_environment():
    """This process's environment without what would steer memtrace or Python."""
    kept = {}
    for name, value in os.environ.items():
        if name.startswith(("MEMTRACE_", "PYTHON", "GITHUB_")) or name == "LD_PRELOAD":
            continue
        kept[name] = value
    kept["PYTHONDONTWRITEBYTECODE"] = "1"
    return kept


def run(argv, timeout=TIME_LIMIT, check=True, **options):
    """Runs a command to its end; output is captured as text."""
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("env", clean_environment())
    done = subprocess.run(
        [str(a) for a in argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=timeout,
        **options,
    )
    if check:
        assert done.returncode == 0, (
            f"{' '.join(map(str, argv))}\nexit status {done.returncode}\n"
            f"stdout: {done.stdout[-2000:]}\nstderr: {done.stderr[-4000:]}"
        )
    return done


class Traced:
    """A program under trace that is running, or waiting at its READY line."""

    def __init__(self, argv, env, cwd):
        self.errors = tempfile.TemporaryFile(mode="w+b")
        self.process = subprocess.Popen(
            [str(a) for a in argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=env,
            cwd=cwd,
        )
        self.pid = self.process.pid
        self.pending = b""

    def line(self, timeout=TIME_LIMIT):
        """The next line of the program's output, "" at its end."""
        end = time.monotonic() + timeout
        fd = self.process.stdout.fileno()
        while b"\n" not in self.pending:
            left = end - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                self.stop()
                raise AssertionError(f"no output within {timeout} s\n{self.stderr()}")
            piece = os.read(fd, 1 << 16)
            if not piece:
                rest, self.pending = self.pending, b""
                return rest.decode()
            self.pending += piece
        line, self.pending = self.pending.split(b"\n", 1)
        return line.decode()

    def ready(self, timeout=TIME_LIMIT):
        """Waits for the READY line; returns what the program says of itself."""
        while True:
            line = self.line(timeout)
            if line.startswith("READY"):
                return json.loads(line[len("READY") :] or "{}")
            if not line and not self.pending:
                self.process.wait(timeout=5)
                raise AssertionError(
                    f"ended with {self.process.returncode} before READY\n{self.stderr()}"
                )

    def go_on(self):
        """Lets a waiting program go on by one line of input."""
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def finish(self, timeout=TIME_LIMIT):
        """Ends the pause, waits for the program; returns its exit status as Popen gives it."""
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            return self.process.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.stop()
            raise

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        return self.process.wait(timeout=TIME_LIMIT)

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stderr(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def close(self):
        self.stop()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            try:
                stream.close()
            except OSError:
                pass


class Session:
    """One test's traced programs, their regions, and the tool that reads them."""

    def __init__(self, memtrace, library, work_dir):
        self.memtrace = memtrace
        self.library = library
        self.work_dir = pathlib.Path(work_dir)
        tmpfs = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.regions_dir = pathlib.Path(tempfile.mkdtemp(prefix="memtrace-e2e-", dir=tmpfs))
        self.started = []
        self.taken = 0

    def env(self, preload_first=(), **extra):
        env = clean_environment()
        env["LD_PRELOAD"] = ":".join([*map(str, preload_first), str(self.library)])
        env["MEMTRACE_DIR"] = str(self.regions_dir)
        env.update({k: str(v) for k, v in extra.items()})
        return env

    def start(self, argv, env=None, cwd=None):
        traced = Traced(argv, env or self.env(), cwd or self.work_dir)
        self.started.append(traced)
        return traced

    def tool(self, *args, check=True, timeout=TIME_LIMIT, **options):
        """Runs the memtrace tool, which must see this session's regions."""
        env = options.pop("env", clean_environment())
        env.setdefault("MEMTRACE_DIR", str(self.regions_dir))
        return run([self.memtrace, *args], check=check, timeout=timeout, env=env, **options)

    def regions(self, pid=None):
        """Region files of this session, oldest image of a process first."""
        pattern = f"{pid}-*.region" if pid else "*.region"
        return sorted(self.regions_dir.rglob(pattern))

    def snapshot(self, spec, name=None):
        """A snapshot file of a pid or region; returns its path."""
        self.taken += 1
        path = self.work_dir / (name or f"snapshot-{self.taken}.mtr")
        self.tool("snapshot", spec, "-o", path)
        return path

    def report(self, spec, *flags):
        """`memtrace report` as JSON; all rows unless the flags say otherwise."""
        flags = list(flags)
        if "--top" not in flags:
            flags += ["--top", "0"]
        return json.loads(self.tool("report", spec, *flags, "--format", "json").stdout)

    def compare(self, old, new, *flags):
        flags = list(flags)
        if "--top" not in flags:
            flags += ["--top", "0"]
        return json.loads(self.tool("compare", old, new, *flags, "--format", "json").stdout)

    def run_traced(self, argv, env=None, cwd=None, timeout=TIME_LIMIT, status=0):
        """Runs a program to its end under the preloaded library; returns a snapshot of it."""
        traced = self.start(argv, env, cwd)
        traced.process.stdin.close()
        while traced.line(timeout) or traced.pending:
            pass
        ended = traced.process.wait(timeout=timeout)
        assert ended == status, f"exit status {ended}, not {status}\n{traced.stderr()}"
        return self.snapshot(self.last_region(traced.pid))

    def last_region(self, pid):
        """The region of the last image that the process ran."""
        found = self.regions(pid)
        assert found, (
            f"no region of {pid} in {self.regions_dir}: {list(self.regions_dir.iterdir())}"
        )
        return max(found, key=lambda p: int(re.search(r"-(\d+)\.region$", p.name).group(1)))

    def close(self):
        for traced in self.started:
            traced.close()
        shutil.rmtree(self.regions_dir, ignore_errors=True)


def content(path):
    """The bytes of a sparse file, without its holes."""
    data, pieces, at = os.open(path, os.O_RDONLY), [], 0
    try:
        while True:
            try:
                at = os.lseek(data, at, os.SEEK_DATA)
            except OSError:  # nothing but a hole follows
                return b"".join(pieces)
            end = os.lseek(data, at, os.SEEK_HOLE)
            pieces.append(os.pread(data, end - at, at))
            at = end
    finally:
        os.close(data)


def plain_name(function):
    """A function's bare name: no module in front, no parameters or offset behind."""
    name = function.rsplit("!", 1)[-1]
    return re.split(r"[(+<]", name, maxsplit=1)[0] or name


def sums_by(report, *fields):
    """{field values: (count, size)} over the rows of a report."""
    sums = {}
    for row in report["rows"]:
        key = tuple(row[field] for field in fields)
        key = key[0] if len(fields) == 1 else key
        count, size = sums.get(key, (0, 0))
        sums[key] = (count + row["count"], size + row["size"])
    return sums


def by_function(report):
    """{plain function name: (count, size)} of a report made with --by function."""
    for row in report["rows"]:
        row["plain"] = plain_name(row["function"] or "")
    return sums_by(report, "plain")


def by_line(report):
    """{(file's base name, line): (count, size)} of a report made with --by lineno."""
    for row in report["rows"]:
        row["base"] = os.path.basename(row["file"] or "")
    return sums_by(report, "base", "line")


def differences(expected, got):
    """What does not agree, ready to be printed: {} when all does. (0, 0) is the same as absent."""
    nothing = (0, 0)
    keys = sorted(set(expected) | set(got), key=str)
    return {
        key: {"expected": expected.get(key, nothing), "got": got.get(key, nothing)}
        for key in keys
        if tuple(expected.get(key, nothing)) != tuple(got.get(key, nothing))
    }


# ------------------------------------------------------------------------------------------------
# Interpreters


class Python:
    """A CPython interpreter on this machine."""

    def __init__(self, path, version, debug, shared):
        self.path = str(path)
        self.version = tuple(version)
        self.debug = debug
        self.shared = shared

    @property
    def name(self):
        return "%d.%d.%d-%s" % (*self.version, "shared" if self.shared else "static")

    def __repr__(self):
        return f"Python({self.name})"

    def __str__(self):
        return self.path

    def __fspath__(self):
        return self.path


def _probe(path):
    """The interpreter's own account of itself, or None if it is not a CPython program."""
    try:
        with open(path, "rb") as f:
            if f.read(4) != b"\x7fELF":
                return None
        code = (
            "import sys, json; print(json.dumps([list(sys.version_info[:3]),"
            "hasattr(sys, 'gettotalrefcount'), sys.implementation.name,"
            "'libpython' in open('/proc/self/maps').read()]))"
        )
        out = run([path, "-S", "-c", code], check=False, timeout=20)
        version, debug, implementation, shared = json.loads(out.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return Python(path, version, debug, shared) if implementation == "cpython" else None


def _candidates():
    yield "/usr/bin/python3"
    root = pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv"))
    for _, minor in SUPPORTED:
        for found in sorted(root.glob(f"versions/3.{minor}.*/bin/python3.{minor}")):
            yield str(found)
        for folder in os.environ.get("PATH", "").split(os.pathsep):
            path = os.path.join(folder, f"python3.{minor}")
            if os.access(path, os.X_OK):
                yield path


def find_pythons():
    """Every supported release interpreter here, one of each file, oldest first.

    MEMTRACE_E2E_PYTHONS=3.8,3.12 keeps only these versions.
    """
    wanted = [v for v in os.environ.get("MEMTRACE_E2E_PYTHONS", "").split(",") if v]
    found = {}
    for path in _candidates():
        real = os.path.realpath(path)
        if real in found or not os.path.exists(real):
            continue
        python = _probe(real)
        found[real] = python
    pythons = [
        p
        for p in found.values()
        if p
        and not p.debug
        and p.version[:2] in SUPPORTED
        and (not wanted or "%d.%d" % p.version[:2] in wanted)
    ]
    return sorted(pythons, key=lambda p: (p.version, p.path))


def missing_versions(pythons):
    """Versions that a machine with pyenv could have and does not: skipped by name."""
    root = pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv"))
    if not root.is_dir() or os.environ.get("MEMTRACE_E2E_PYTHONS"):
        return []
    have = {p.version[:2] for p in pythons}
    return ["%d.%d" % v for v in SUPPORTED if v not in have]
