"""`memtrace lines` and `memtrace mprof`: run by the tool, under the interpreter that it has chosen.

A program of its own, given to the interpreter by its path: the package is the one that this file is
in, wherever the interpreter's own packages are. What follows is as with `python -m memtrace.lines`,
so the present folder is the first of `sys.path`.
"""

import os
import sys

_PACKAGE = os.path.dirname(os.path.realpath(__file__))
_COMMANDS = ("lines", "mprof")


def _load_package():
    loader = {}
    with open(os.path.join(_PACKAGE, "_loader.py")) as file:
        exec(compile(file.read(), file.name, "exec"), loader)
    loader["load"](_PACKAGE)


def main():
    if sys.version_info < (3, 8):
        sys.stderr.write(
            "memtrace: %s is Python %d.%d, and this command needs 3.8 or newer; set "
            "MEMTRACE_PYTHON to another interpreter\n" % ((sys.executable,) + sys.version_info[:2])
        )
        return 127
    if len(sys.argv) < 2 or sys.argv[1] not in _COMMANDS:
        sys.stderr.write("memtrace: usage: memtrace lines|mprof ...\n")
        return 2
    command = sys.argv[1]
    sys.argv = ["memtrace " + command] + sys.argv[2:]
    sys.path[0] = os.getcwd()
    _load_package()
    import runpy

    runpy.run_module("memtrace." + command, run_name="__main__", alter_sys=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
