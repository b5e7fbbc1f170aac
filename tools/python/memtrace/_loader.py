"""Loads this package from its own folder into an interpreter that does not have it on `sys.path`.

Its text is executed by programs of the package's own (`_command.py`, `_instead/memtrace`), which may
run under any interpreter: nothing here needs the package. One call a process, at its start.
"""

import os
import sys
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location


class _Uncached(SourceFileLoader):
    """Writes no bytecode: pip removes only that of the interpreter that the package belongs to."""

    def set_data(self, path, data, *, _mode=0o666):
        pass


def _is_own(package):
    """True where this interpreter finds the package by itself."""
    parent = os.path.realpath(os.path.dirname(package))
    return any(os.path.realpath(folder) == parent for folder in sys.path if folder)


def forget(cached):
    """Removes bytecode that this interpreter has just written, and its folder if that was all."""
    try:
        os.unlink(cached)
        os.rmdir(os.path.dirname(cached))
    except OSError:
        pass


def load(package, cached=None):
    """The package in this folder, as `memtrace` in sys.modules. `cached`: the caller's bytecode."""
    loader = None
    init = os.path.join(package, "__init__.py")
    if not _is_own(package):
        loader = _Uncached("memtrace", init)
        for folder, _, _ in os.walk(package):
            finder = FileFinder(folder, (_Uncached, SOURCE_SUFFIXES))
            sys.path_importer_cache[folder] = finder
        forget(cached or "")
    spec = spec_from_file_location(
        "memtrace", init, loader=loader, submodule_search_locations=[package]
    )
    module = module_from_spec(spec)
    sys.modules["memtrace"] = module
    spec.loader.exec_module(module)
    return module
