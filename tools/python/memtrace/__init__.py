"""memtrace in a program: figures and snapshots of this process's own memory.

The recording is done by ``libmemtrace.so``, which is best in the process from its start:

    memtrace run python main.py
    LD_PRELOAD=/path/to/libmemtrace.so python main.py

In such a process, or after ``memtrace.start()`` in any other:

    import memtrace

    memtrace.snapshot("after_load.mtr")
    print(memtrace.current(), memtrace.peak())

Everywhere else ``is_tracing()`` is False and the other functions raise ``NotTracingError``, so a
program may keep its ``import memtrace`` when it is not traced.

Figures are exact numbers of bytes that the program asked for, over all its threads, from Python
objects as well as from C and C++ libraries; they do not include what allocators keep for
themselves. Every function may be called from any thread.

Importing this package loads nothing else; the first call loads ``ctypes``, whose memory is then
part of the figures like that of any other module.
"""

from ._version import __version__

__all__ = [
    "NotTracingError",
    "__version__",
    "asized",
    "asizeof",
    "chain",
    "current",
    "growth",
    "heap",
    "is_tracing",
    "label",
    "peak",
    "referrers",
    "reset_peak",
    "retained",
    "snapshot",
    "start",
    "stop",
    "track",
    "where",
]


class NotTracingError(RuntimeError):
    """This process is not being traced; the message says how to start it so that it is."""


def start(quiet=False):
    """Record from now on. In a process that was started without the library, it is loaded.

    Then it sees what Python's allocators give out from now on: objects, and what extensions take
    from them. It does not see what was allocated before, what C and C++ code gets from malloc by
    itself (numpy's arrays among it), mappings, and programs that this one starts; forked children
    are traced as well. One line on standard error says so, once, unless `quiet`. After `stop()` it
    goes on; else, in a process that is traced already, it does nothing.

    Raises NotTracingError when the library is missing or was switched off (MEMTRACE_DISABLE).
    """
    from . import _recording

    _recording.start(quiet)


def stop():
    """Record no more allocations, of any thread, until `start()`; frees go on being counted.

    What is recorded stays, and can be asked for. Where nothing is recorded, nothing happens.
    """
    from . import _recording

    _recording.stop()


def snapshot(path):
    """Write a snapshot of this process's memory to the file `path` and return its absolute path.

    The figures are those of the moment of the call; other threads go on meanwhile. An existing
    file is replaced, and a failure leaves it as it was: the file is written whole or not at all.
    A relative path starts from the current folder.

    Raises NotTracingError when the process is not traced and OSError when the file cannot be
    written.
    """
    from . import _library

    return _library.snapshot(path)


def current():
    """Bytes in blocks that are live now.

    Raises NotTracingError when the process is not traced.
    """
    from . import _library

    return _library.current_bytes()


def peak():
    """The highest value that `current()` has had, in bytes, since the start or `reset_peak()`.

    Exact with one thread. With more it may be short by 32 KiB for each thread and as much again,
    so it can be a little less than `current()` was.

    Raises NotTracingError when the process is not traced.
    """
    from . import _library

    return _library.peak_bytes()


def reset_peak():
    """Make the present number of bytes the peak, to measure the peak of what comes next.

    Raises NotTracingError when the process is not traced.
    """
    from . import _library

    _library.reset_peak()


def is_tracing():
    """True when this process is being traced. Never raises."""
    from . import _library

    return _library.is_tracing()


_LAZY = {  # name -> the module it is in, loaded at first use
    "asized": "_objects._sizes",
    "asizeof": "_objects._sizes",
    "chain": "_objects._referrers",
    "growth": "_objects._growth",
    "heap": "_objects._heap",
    "label": "_label",
    "load_ipython_extension": "_ipython",
    "referrers": "_objects._referrers",
    "retained": "_objects._retained",
    "track": "_objects._track",
    "unload_ipython_extension": "_ipython",
    "where": "_objects._where",
}


def __getattr__(name):
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))
    from importlib import import_module

    value = globals()[name] = getattr(import_module("." + module, __name__), name)
    return value
