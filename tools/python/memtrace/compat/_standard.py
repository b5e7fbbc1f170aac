"""The standard library's own `tracemalloc`, also where ours stands in under its name.

Its classes are the ones that programs compare with, print and pickle, in the shape of the running
Python; memtrace.compat.tracemalloc uses them as they are. No units; import-time only; raises
ImportError where the interpreter was built without the module.
"""

import importlib.machinery
import importlib.util
import os
import sys

NAME = "tracemalloc"
_STAND_IN = os.path.join("_instead", NAME, NAME + ".py")


def is_stand_in(module):
    """True of the module file that `memtrace run --tracemalloc` puts first on the path, and of
    memtrace.compat.tracemalloc."""
    if getattr(module, "__name__", "") == "memtrace.compat." + NAME:
        return True
    return str(getattr(module, "__file__", "")).endswith(_STAND_IN)


def load():
    """The module; imported once, under its own name unless that is taken by ours."""
    module = sys.modules.get(NAME)
    if module is not None and not is_stand_in(module):
        return module
    # The folder of the standard library comes first: a program may have a tracemalloc.py of its own.
    folders = [os.path.dirname(os.__file__)] + sys.path
    folders = [folder for folder in folders if not _has_stand_in(folder)]
    spec = importlib.machinery.PathFinder.find_spec(NAME, folders)
    if spec is None:
        raise ImportError("this Python has no module " + NAME, name=NAME)
    loaded = importlib.util.module_from_spec(spec)
    if module is None:
        sys.modules[NAME] = loaded
    spec.loader.exec_module(loaded)
    return loaded


def _has_stand_in(folder):
    return os.path.join(folder, NAME + ".py").endswith(_STAND_IN)
