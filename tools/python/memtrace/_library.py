"""The library's C functions (interpose/memtrace.h), called through ctypes.

The library is looked up among the symbols already in the process and never loaded from here. The
lookup is done once; its result, found or not, holds for the life of the process and in forked
children, until memtrace.start() loads the library (`use`).
"""

import os

from . import NotTracingError

_HOW_TO_START = (
    "Start the program with `memtrace run python main.py`, or with "
    "`LD_PRELOAD=/path/to/libmemtrace.so python main.py`; or call memtrace.start() in it, which "
    "records from then on what Python allocates."
)

# Name in C, result, arguments; the types are given by their names in ctypes.
_SIGNATURES = (
    ("memtrace_is_tracing", "c_int", ()),
    ("memtrace_current_bytes", "c_int64", ()),
    ("memtrace_peak_bytes", "c_int64", ()),
    ("memtrace_reset_peak", "c_int", ()),
    ("memtrace_snapshot", "c_int", ("c_char_p",)),
    ("memtrace_last_error", "c_char_p", ()),
)

# None: not looked for yet. False: not in this process.
_functions = None


def _bind(ctypes, library):
    """The library's functions by name, or False when they are not in it."""
    functions = {}
    for name, result, arguments in _SIGNATURES:
        try:
            function = getattr(library, name)
        except AttributeError:
            return False
        function.restype = getattr(ctypes, result)
        function.argtypes = [getattr(ctypes, argument) for argument in arguments]
        functions[name] = function
    return functions


def _load():
    """The functions of this process, or False when the library is not in it."""
    try:
        import ctypes

        return _bind(ctypes, ctypes.CDLL(None))
    except (ImportError, OSError):
        return False


def use(library):
    """Take the functions of a library that was loaded late; calls let other threads run."""
    global _functions
    import ctypes

    _functions = _bind(ctypes, ctypes.CDLL(library._name, handle=library._handle))


def _library():
    global _functions
    if _functions is None:
        _functions = _load()
    return _functions


def _last_error(functions):
    return (functions["memtrace_last_error"]() or b"").decode("utf-8", "replace")


def why_not():
    """Why the library, which is there, does not trace this process."""
    reason = _last_error(_library()) or "it was switched off or found no place for its figures"
    return (
        "libmemtrace.so is loaded but does not trace this process: {}. "
        "`memtrace doctor` tells what is missing.".format(reason)
    )


def _tracing():
    """The library's functions; NotTracingError unless this process is being traced."""
    functions = _library()
    if not functions:
        raise NotTracingError("this process is not traced by memtrace. " + _HOW_TO_START)
    if not functions["memtrace_is_tracing"]():
        raise NotTracingError(why_not())
    return functions


def _check(functions, code, what, path=None):
    if code:
        reason = _last_error(functions) or os.strerror(code)
        raise OSError(code, "{}: {}".format(what, reason), path)


def is_tracing():
    functions = _library()
    return bool(functions and functions["memtrace_is_tracing"]())


def current_bytes():
    return _tracing()["memtrace_current_bytes"]()


def peak_bytes():
    return _tracing()["memtrace_peak_bytes"]()


def reset_peak():
    functions = _tracing()
    _check(functions, functions["memtrace_reset_peak"](), "cannot reset the peak")


def snapshot(path):
    name = os.fsdecode(path)
    if not name or "\0" in name:
        raise ValueError("not a name for a snapshot file: {!r}".format(name))
    functions = _tracing()
    target = os.path.abspath(name)
    code = functions["memtrace_snapshot"](os.fsencode(target))
    _check(functions, code, "cannot write the snapshot", target)
    return target
