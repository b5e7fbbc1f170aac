"""`python -m memtrace ARGS…` runs the `memtrace` tool that belongs to this package.

The tool is looked for where MEMTRACE_TOOL points, beside the package in a build tree and in an
install tree, and on PATH. This process becomes the tool, so streams, signals and exit status are
the tool's own.
"""

import os
import shutil
import sys

# What a shell says: found but cannot be executed, not found.
_CANNOT_EXECUTE = 126
_NOT_FOUND = 127


def find_tool():
    """The tool's path, or None."""
    package = os.path.dirname(os.path.abspath(__file__))
    candidates = (
        os.environ.get("MEMTRACE_TOOL", ""),
        os.path.join(package, "..", "..", "memtrace"),  # build tree: python/memtrace
        os.path.join(package, "..", "..", "..", "..", "bin", "memtrace"),  # share/memtrace/python/…
    )
    for candidate in candidates:
        if candidate and os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return os.path.normpath(candidate)
    return shutil.which("memtrace")


def main():
    tool = find_tool()
    if tool is None:
        sys.stderr.write(
            "memtrace: cannot find the `memtrace` tool beside this package or on PATH; "
            "set MEMTRACE_TOOL to its path\n"
        )
        return _NOT_FOUND
    sys.stdout.flush()
    try:
        os.execv(tool, [tool] + sys.argv[1:])
    except OSError as error:
        sys.stderr.write("memtrace: cannot run {}: {}\n".format(tool, error.strerror))
        return _CANNOT_EXECUTE


if __name__ == "__main__":
    sys.exit(main())
