"""`import memtrace` for programs under `memtrace run` whose interpreter does not have the package.

The folder of this file is the last of PYTHONPATH there, and holds nothing else. A module of that
name that is the program's own comes first: it is loaded as if this file were not there.
"""

import sys


def _load():
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec
    from os.path import dirname, exists, join, realpath

    here = dirname(realpath(__file__))
    package = dirname(dirname(here))
    spec = PathFinder.find_spec("memtrace", [f for f in sys.path if realpath(f) != here])
    # Another copy of this package would belong to another library than the one in this process.
    if spec is not None and spec.loader and not exists(join(dirname(spec.origin), "_inspect.py")):
        sys.modules["memtrace"] = module = module_from_spec(spec)
        spec.loader.exec_module(module)
        return
    loader = {}
    with open(join(package, "_loader.py")) as file:
        exec(compile(file.read(), file.name, "exec"), loader)
    loader["load"](package, globals().get("__cached__"))


_load()
