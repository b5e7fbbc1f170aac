"""The start of a Python program under `mprof run`, executed as a file by the program's interpreter:

    python stamps.py -o FILE --backend NAME [--include-children] -- SCRIPT|MODULE|-m MODULE ARGS…

Loads this package, whichever interpreter it is installed for, without adding its folder to sys.path,
and leaves the rest to `marks`.
"""

import os
import sys

_PACKAGE = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))


def _load_package():
    loader = {}
    with open(os.path.join(_PACKAGE, "_loader.py")) as file:
        exec(compile(file.read(), file.name, "exec"), loader)
    loader["load"](_PACKAGE)


if __name__ == "__main__":
    if sys.path and not getattr(sys.flags, "safe_path", False):
        del sys.path[0]  # this file's folder
    _load_package()
    from memtrace._mprof import marks

    sys.exit(marks.main(sys.argv[1:]))
