"""Where this package's library and tool are: in a build tree, an install tree, and a wheel.

Both functions return a path or None and raise nothing; any thread.
"""

import glob
import os
import shutil

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
# Of an install tree: share/memtrace/python/memtrace; of an interpreter's:
# lib/python3.X/site-packages/memtrace.
_PREFIX = os.path.join(_PACKAGE, "..", "..", "..", "..")
_BUILD = os.path.join(_PACKAGE, "..", "..")  # python/memtrace
_TARGET = os.path.join(_PACKAGE, "..")  # pip install --target

_LIBRARIES = (
    os.path.join(_PACKAGE, "libmemtrace.so"),
    os.path.join(_BUILD, "libmemtrace.so"),
    os.path.join(_PREFIX, "lib", "memtrace", "libmemtrace.so"),
    os.path.join(_PREFIX, "lib64", "memtrace", "libmemtrace.so"),
)
_TOOLS = (
    os.path.join(_BUILD, "memtrace"),
    os.path.join(_PREFIX, "bin", "memtrace"),
    os.path.join(_TARGET, "bin", "memtrace"),
)


def library():
    """Absolute path of libmemtrace.so: MEMTRACE_LIBRARY if set, else the one of this package."""
    wanted = os.environ.get("MEMTRACE_LIBRARY")
    if wanted:
        return os.path.abspath(wanted)
    found = [path for path in _LIBRARIES if os.path.isfile(path)]
    if not found:  # lib/x86_64-linux-gnu/memtrace
        pattern = os.path.join("lib", "*", "memtrace", "libmemtrace.so")
        found = glob.glob(os.path.join(glob.escape(_PREFIX), pattern))
    return os.path.normpath(found[0]) if found else None


def tool():
    """Absolute path of the `memtrace` tool: MEMTRACE_TOOL, this package's, the one on PATH."""
    for path in (os.environ.get("MEMTRACE_TOOL", ""),) + _TOOLS:
        if path and os.path.isfile(path) and os.access(path, os.X_OK):
            return os.path.abspath(path)
    return shutil.which("memtrace")
