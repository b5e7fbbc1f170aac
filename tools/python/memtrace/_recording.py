"""Starting and stopping the recording from within a program (memtrace.start, memtrace.stop).

In a process that was started without the library it is loaded here. Then it replaces none of libc's
functions, as the loader has bound them long ago: it sees Python's allocators alone. It stays loaded,
and its private tables with it, until the process ends. Any thread; NotTracingError tells what is
missing.
"""

import ctypes
import os
import sys

from . import NotTracingError, _inspect, _library, _place

_LIMITS = (
    "memtrace: recording from now on what Python's allocators give out. Not seen: what was allocated "
    "before, and what C code gets from malloc by itself (numpy's arrays, C libraries); "
    "`memtrace run python main.py` sees all of it.\n"
)

_told = False


def _open(path):
    """The library, loaded while this thread holds Python's global lock.

    ctypes lets other threads run meanwhile in newer versions; they could allocate while the
    library puts itself in front of Python's allocators.
    """
    dlopen = ctypes.PyDLL(None).dlopen
    dlopen.restype = ctypes.c_void_p
    dlopen.argtypes = [ctypes.c_char_p, ctypes.c_int]
    handle = dlopen(os.fsencode(path), os.RTLD_NOW | os.RTLD_LOCAL)
    # Without a handle this asks once more, and says why it failed.
    return ctypes.PyDLL(path, handle=handle)


def _load():
    path = _place.library()
    if path is None:
        raise NotTracingError(
            "libmemtrace.so is not where this package was installed or built; install memtrace as a "
            "whole, or set MEMTRACE_LIBRARY to its path"
        )
    try:
        library = _open(path)
        _library.use(library)
        return _inspect.use(library)
    except (OSError, AttributeError) as error:
        raise NotTracingError("{} cannot be used: {}".format(path, error)) from None


def start(quiet=False):
    global _told
    functions = _inspect.functions() or _load()
    if functions.start():
        raise NotTracingError(_library.why_not())
    if not quiet and not _told and not functions.sees_malloc():
        _told = True
        sys.stderr.write(_LIMITS)


def stop():
    functions = _inspect.functions()
    if functions is not None:
        functions.stop()
