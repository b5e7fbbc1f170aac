"""Stands in for the standard module: `import tracemalloc` gives memtrace.compat.tracemalloc.

`memtrace run --tracemalloc` puts this file's folder first on PYTHONPATH. Where the process cannot be
traced, the standard module is taken instead, and one line on standard error says so: a program that
works without memtrace works with it.

MEMTRACE_TRACEMALLOC=NFRAME stands for PYTHONTRACEMALLOC and -X tracemalloc: blocks count from the
start of the process, whenever this module is imported.
"""

import os
import sys


def _package_folder():
    """The folder that has the package memtrace, from .../memtrace/_instead/tracemalloc/."""
    return os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3))


def _with_package_on_path(import_):
    """Calls import_() with this very package first on the path, and only meanwhile."""
    folder = _package_folder()
    sys.path.insert(0, folder)
    try:
        return import_()
    finally:
        sys.path.remove(folder)


def _import_ours():
    import memtrace.compat.tracemalloc
    from memtrace import _library

    _library._tracing()
    return memtrace.compat.tracemalloc


def _import_standard():
    from memtrace.compat import _standard

    return _standard.load()


def _frames_wanted():
    """How many frames tracing was asked for from the start, 0: it was not."""
    import _tracemalloc

    if _tracemalloc.is_tracing():
        return _tracemalloc.get_traceback_limit()
    wanted = os.environ.get("MEMTRACE_TRACEMALLOC", "")
    return int(wanted) if wanted.isdigit() and len(wanted) < 6 else 0


def _stand_in():
    import _tracemalloc

    frames = _frames_wanted()
    try:
        module = _with_package_on_path(_import_ours)
        if frames:
            module.start_from_the_beginning(frames)
            _tracemalloc.stop()
    except (RuntimeError, ImportError) as error:
        sys.stderr.write("memtrace: tracemalloc is Python's own here: {}\n".format(error))
        module = _with_package_on_path(_import_standard)
        if frames:
            module.start(frames)
    return module


sys.modules[__name__] = _stand_in()
