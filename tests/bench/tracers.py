"""How a program is run under each tool: command line, environment, what must be there."""

import dataclasses
import os
import shutil
import subprocess


@dataclasses.dataclass(frozen=True)
class Setting:
    """Where things are; made once by bench.py."""

    python: str  # interpreter of the workloads' environment
    library: str  # libmemtrace.so
    binaries: str  # folder of the compiled workloads


@dataclasses.dataclass(frozen=True)
class Tracer:
    name: str
    title: str
    what: str
    native: bool  # measures programs without Python too
    extended: bool = False  # left out by --quick

    def available(self, setting):
        """Why this tool cannot be measured here; empty when it can."""
        if self.name.startswith("memtrace"):
            return "" if os.path.exists(setting.library) else setting.library + " is not built"
        if self.name.startswith("memray"):
            check = subprocess.run([setting.python, "-c", "import memray"], capture_output=True)
            return "not installed" if check.returncode else ""
        if self.name == "heaptrack":
            return "" if shutil.which("heaptrack") else "not installed"
        return ""

    def measures(self, workload):
        return workload.is_python or self.native

    def command(self, workload, setting, scratch):
        """(argument list, additions to the environment) of one run; files go to `scratch`."""
        if workload.is_python:
            program = [workload.path]
            python = [setting.python]
        else:
            program = [os.path.join(setting.binaries, workload.name)]
            python = []
        recording = os.path.join(scratch, "recording")
        if self.name in ("memtrace", "memtrace-1"):
            depth = {"MEMTRACE_STACK_DEPTH": "1"} if self.name == "memtrace-1" else {}
            return python + program, {
                "LAUNCH_PRELOAD": setting.library,
                "MEMTRACE_DIR": scratch,
                "MEMTRACE_QUIET": "1",
                **depth,
            }
        if self.name in ("tracemalloc", "tracemalloc-25"):
            frames = "25" if self.name == "tracemalloc-25" else "1"
            return python + ["-X", "tracemalloc=" + frames] + program, {}
        if self.name in ("memray", "memray-pymalloc"):
            options = ["--trace-python-allocators"] if self.name == "memray-pymalloc" else []
            options = ["-m", "memray", "run", "-q", "-f", "-o", recording] + options
            return python + options + program, {}
        if self.name == "heaptrack":
            return ["heaptrack", "--raw", "-o", recording] + python + program, {}
        return python + program, {}


BARE = Tracer("bare", "bare", "the program alone", True)
TRACERS = (
    Tracer("memtrace", "memtrace", "full Python stacks, every domain", True),
    Tracer("memtrace-1", "memtrace, leaf", "the innermost line only (depth 1)", True, True),
    Tracer("tracemalloc", "tracemalloc", "-X tracemalloc=1", False),
    Tracer("tracemalloc-25", "tracemalloc 25", "-X tracemalloc=25", False, True),
    Tracer("memray", "memray", "without small Python objects", False, True),
    Tracer("memray-pymalloc", "memray + pymalloc", "--trace-python-allocators", False, True),
    Tracer("heaptrack", "heaptrack", "libc only, no Python lines, raw recording", True, True),
)
