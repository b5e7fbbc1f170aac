"""Stands in for memory_profiler (`memtrace run --memory-profiler`): memtrace's own under that name.

The package is found beside this file. It is imported under its name without staying on sys.path.
"""

import importlib
import os
import sys

_PARENT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))


def _import():
    sys.path.insert(0, _PARENT)
    try:
        import memtrace

        if not os.path.samefile(os.path.dirname(os.path.dirname(memtrace.__file__)), _PARENT):
            sys.stderr.write(
                "memtrace: the program's own `memtrace` package ({}) is used for "
                "memory_profiler\n".format(memtrace.__file__)
            )
        return importlib.import_module("memtrace.compat.memory_profiler")
    finally:
        sys.path.remove(_PARENT)


if __name__ == "__main__":
    _import()
    sys.exit(importlib.import_module("memtrace.compat._mp_run").main())

sys.modules[__name__] = _import()
