"""`python -m memtrace ARGS…` runs the `memtrace` tool that belongs to this package.

This process becomes the tool, so streams, signals and exit status are the tool's own. Commands that
the tool hands on to Python run under this interpreter.
"""

import os
import sys

from . import _place

# What a shell says: found but cannot be executed, not found.
_CANNOT_EXECUTE = 126
_NOT_FOUND = 127


def main():
    tool = _place.tool()
    if tool is None:
        sys.stderr.write(
            "memtrace: cannot find the `memtrace` tool beside this package or on PATH; "
            "set MEMTRACE_TOOL to its path\n"
        )
        return _NOT_FOUND
    if sys.argv[1:2] in (["lines"], ["mprof"]):
        os.environ.setdefault("MEMTRACE_PYTHON", sys.executable)
    sys.stdout.flush()
    try:
        os.execv(tool, [tool] + sys.argv[1:])
    except OSError as error:
        sys.stderr.write("memtrace: cannot run {}: {}\n".format(tool, error.strerror))
        return _CANNOT_EXECUTE


if __name__ == "__main__":
    sys.exit(main())
