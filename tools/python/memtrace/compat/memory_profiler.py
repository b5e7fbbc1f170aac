"""memory_profiler 0.61's names, arguments and output, over memtrace's exact figures.

    from memtrace.compat.memory_profiler import profile, memory_usage
    python -m memtrace.compat.memory_profiler script.py

Increment is what a line allocated, net, with all that it called: bytes of live blocks, shown in MiB,
of the thread that runs the line. Without the library in the process everything goes on with resident
memory, and one line on standard error says so. Any thread; unknown backends are a KeyError.
"""

from ._mp_backends import choose_backend
from ._mp_lines import CodeMap, LineProfiler, profile, show_results
from ._mp_stamps import LogFile, TimeStamper
from ._mp_usage import MemitResult, MemTimer, memory_usage

__version__ = "0.61.0"
__all__ = [
    "CodeMap",
    "LineProfiler",
    "LogFile",
    "MemTimer",
    "MemitResult",
    "TimeStamper",
    "choose_backend",
    "exec_with_profiler",
    "has_tracemalloc",
    "load_ipython_extension",
    "memory_usage",
    "profile",
    "run_module_with_profiler",
    "show_results",
]

has_tracemalloc = True


def exec_with_profiler(filename, profiler, backend="memtrace", passed_args=()):
    """Run a script with `profile` among the builtins."""
    from . import _mp_run

    _mp_run.exec_with_profiler(filename, profiler, backend, passed_args)


def run_module_with_profiler(module, profiler, backend="memtrace", passed_args=()):
    """Run a module with `profile` among the builtins."""
    from . import _mp_run

    _mp_run.run_module_with_profiler(module, profiler, backend, passed_args)


def load_ipython_extension(ipython):
    """%load_ext: the magics %mprun and %memit."""
    from .._ipython import load_ipython_extension

    load_ipython_extension(ipython)


def __getattr__(name):
    if name == "MemoryProfilerMagics":
        from .. import _ipython

        return _ipython.MemoryProfilerMagics
    raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))


if __name__ == "__main__":
    import sys

    from memtrace.compat import _mp_run

    sys.exit(_mp_run.main())
