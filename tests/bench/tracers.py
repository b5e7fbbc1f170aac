"""How a program is run under each tool: command line, environment, what must be there; and how the
tool's users look at what it recorded."""

import dataclasses
import os
import shutil
import subprocess

from workloads import FOLDER

_DUMP = os.path.join(os.path.dirname(FOLDER), "helpers", "tracemalloc_dump.py")
_LOAD = (
    "import sys, tracemalloc\n"
    "for row in tracemalloc.Snapshot.load(sys.argv[1]).statistics('lineno')[:10]: print(row)"
)


@dataclasses.dataclass(frozen=True)
class Setting:
    """Where things are; made once by bench.py."""

    python: str  # interpreter of the workloads' environment
    build: str  # build tree with memtrace and libmemtrace.so
    binaries: str  # folder of the compiled workloads

    @property
    def library(self):
        return os.path.join(self.build, "libmemtrace.so")

    @property
    def tool(self):
        return os.path.join(self.build, "memtrace")

    def has_module(self, name):
        check = subprocess.run([self.python, "-c", "import " + name], capture_output=True)
        return check.returncode == 0


def plain(workload, setting):
    """(what runs the program, the program and its arguments)."""
    if workload.is_python:
        return [setting.python], [workload.path, *workload.args]
    return [], [os.path.join(setting.binaries, workload.binary), *workload.args]


@dataclasses.dataclass(frozen=True)
class Tracer:
    name: str
    title: str
    what: str
    native: bool = False  # measures programs without Python too
    extended: bool = False  # left out by --quick

    def available(self, setting):
        """Why this tool cannot be measured here; empty when it can."""
        return ""

    def measures(self, workload):
        return workload.is_python or self.native

    def command(self, workload, setting, scratch):
        """(argument list, additions to the environment) of one run; files go to `scratch`."""
        python, program = plain(workload, setting)
        return python + program, {}

    # Looking at a recording, "" when the tool has none to look at.
    reads = ""

    def record(self, workload, setting, scratch):
        """(argument list, environment) of a run whose recording can be opened."""
        return self.command(workload, setting, scratch)

    def finish(self, setting, scratch):
        """Argument list of what makes the file out of what the run left, None when it is there."""
        return None

    def file(self, scratch):
        """Path of the recording."""
        return os.path.join(scratch, "recording")

    def opening(self, setting, scratch):
        """Argument list of opening it."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Memtrace(Tracer):
    depth: int = 0
    stacks: bool = False  # native ones, too
    reads = "memtrace report"

    def available(self, setting):
        return "" if os.path.exists(setting.library) else setting.library + " is not built"

    def command(self, workload, setting, scratch):
        python, program = plain(workload, setting)
        env = {
            "LAUNCH_PRELOAD": setting.library,
            "MEMTRACE_DIR": scratch,
            "MEMTRACE_QUIET": "1",
        }
        if self.depth:
            env["MEMTRACE_STACK_DEPTH"] = str(self.depth)
        if self.stacks:
            env["MEMTRACE_NATIVE"] = "1"
        return python + program, env

    def finish(self, setting, scratch):
        return [setting.tool, "snapshot", largest_region(scratch), "-o", self.file(scratch)]

    def file(self, scratch):
        return os.path.join(scratch, "recording.mtr")

    def opening(self, setting, scratch):
        return [setting.tool, "report", self.file(scratch)]


@dataclasses.dataclass(frozen=True)
class Tracemalloc(Tracer):
    frames: int = 1
    reads = "Snapshot.load, statistics"

    def command(self, workload, setting, scratch):
        python, program = plain(workload, setting)
        return python + ["-X", f"tracemalloc={self.frames}"] + program, {}

    def record(self, workload, setting, scratch):
        python, program = plain(workload, setting)
        return python + [_DUMP, str(self.frames), self.file(scratch)] + program, {}

    def opening(self, setting, scratch):
        return [setting.python, "-c", _LOAD, self.file(scratch)]


@dataclasses.dataclass(frozen=True)
class Memray(Tracer):
    pymalloc: bool = False
    reads = "memray stats"

    def available(self, setting):
        return "" if setting.has_module("memray") else "not installed"

    def command(self, workload, setting, scratch):
        python, program = plain(workload, setting)
        options = ["-m", "memray", "run", "-q", "-f", "-o", self.file(scratch)]
        if self.pymalloc:
            options.append("--trace-python-allocators")
        return python + options + program, {}

    def opening(self, setting, scratch):
        return [setting.python, "-m", "memray", "stats", self.file(scratch)]


@dataclasses.dataclass(frozen=True)
class Heaptrack(Tracer):
    reads = "heaptrack_print"

    def available(self, setting):
        return "" if shutil.which("heaptrack") else "not installed"

    def command(self, workload, setting, scratch):
        python, program = plain(workload, setting)
        return ["heaptrack", "--raw", "-o", self.file(scratch)[:-4], *python, *program], {}

    def record(self, workload, setting, scratch):
        python, program = plain(workload, setting)
        return ["heaptrack", "-o", self.file(scratch)[:-4], *python, *program], {}

    def file(self, scratch):
        """heaptrack chooses the ending by its version."""
        for ending in (".zst", ".gz"):
            path = os.path.join(scratch, "recording" + ending)
            if os.path.exists(path):
                return path
        return os.path.join(scratch, "recording.zst")

    def opening(self, setting, scratch):
        return ["heaptrack_print", self.file(scratch)]


@dataclasses.dataclass(frozen=True)
class Scalene(Tracer):
    reads = "scalene view --cli"

    def available(self, setting):
        return "" if setting.has_module("scalene") else "not installed"

    def command(self, workload, setting, scratch):
        _, program = plain(workload, setting)
        options = ["-m", "scalene", "run", "-o", self.file(scratch), program[0]]
        if program[1:]:
            options += ["---", *program[1:]]
        return [setting.python, *options], {}

    def file(self, scratch):
        return os.path.join(scratch, "recording.json")

    def opening(self, setting, scratch):
        return [setting.python, "-m", "scalene", "view", "--cli", self.file(scratch)]


def largest_region(scratch):
    """The live region of a traced program, None if it was not traced."""
    paths = [os.path.join(scratch, n) for n in os.listdir(scratch) if n.endswith(".region")]
    return max(paths, key=lambda path: os.stat(path).st_blocks, default=None)


BARE = Tracer("bare", "bare", "the program alone", native=True)
FULL = Memtrace("memtrace", "memtrace", "full Python stacks, every domain", native=True)
LEAF = Memtrace("memtrace-1", "memtrace, leaf", "the innermost line only", native=True, depth=1)
STACKS = Memtrace(
    "memtrace-native", "memtrace --native", "native and Python stacks", native=True, stacks=True
)
TRACERS = (
    FULL,
    LEAF,
    STACKS,
    Tracemalloc("tracemalloc", "tracemalloc", "-X tracemalloc=1"),
    Tracemalloc("tracemalloc-25", "tracemalloc 25", "-X tracemalloc=25", extended=True, frames=25),
    Memray("memray", "memray", "without small Python objects", extended=True),
    Memray(
        "memray-pymalloc",
        "memray + pymalloc",
        "--trace-python-allocators",
        extended=True,
        pymalloc=True,
    ),
    Heaptrack(
        "heaptrack",
        "heaptrack",
        "libc's malloc only, no Python lines, raw",
        native=True,
        extended=True,
    ),
    Scalene("scalene", "Scalene", "samples about every MiB; CPU time too", extended=True),
)
