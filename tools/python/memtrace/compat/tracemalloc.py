"""The standard module `tracemalloc`, on memtrace's recording.

    from memtrace.compat import tracemalloc     # instead of: import tracemalloc

Every name, text, order and error is the standard module's; sizes are bytes. What is recorded does
not depend on `start()`: it draws a line, blocks from before it are left out, and the bytes of those
after it are followed, for their peak. That takes some 20 ns an event, however many frames are asked
for.

Differences: what this module allocates is never counted. An object that CPython takes from a
freelist stays with the line that first allocated its memory. numpy's and pandas' domains are told by
who calls malloc.

Threading: any thread may call anything. Errors: start() and take_snapshot() raise
memtrace.NotTracingError, a RuntimeError, in a process without the library.
"""

# A `with` statement would make objects before the pause begins: pause() and resume() are called.

import _tracemalloc
import ctypes
import os

from .. import _inspect, _library
from . import _groups, _places, _snapshot
from ._snapshot import Snapshot, standard

BaseFilter = standard.BaseFilter
DomainFilter = standard.DomainFilter
Filter = standard.Filter
Frame = standard.Frame
Statistic = standard.Statistic
StatisticDiff = standard.StatisticDiff
Trace = standard.Trace
Traceback = standard.Traceback

__all__ = [
    "BaseFilter",
    "DomainFilter",
    "Filter",
    "Frame",
    "Snapshot",
    "Statistic",
    "StatisticDiff",
    "Trace",
    "Traceback",
    "clear_traces",
    "get_object_traceback",
    "get_traceback_limit",
    "get_traced_memory",
    "get_tracemalloc_memory",
    "is_tracing",
    "reset_peak",
    "start",
    "stop",
    "take_snapshot",
]

_LIMIT_EVERYWHERE = 65535  # frames that every version allows

_functions = None  # the library's, once it is needed
_generation = None  # None: not tracing
_limit = 1


def __getattr__(name):
    """Whatever else the standard module has, `_format_size` for one."""
    return getattr(standard, name)


def start(nframe=1, /):
    """Start tracing, with stacks of at most `nframe` frames. Does nothing when tracing already."""
    if type(nframe) is not int or not 1 <= nframe <= _LIMIT_EVERYWHERE:
        nframe = _checked_limit(nframe)
    if not is_tracing():
        _begin(_engine(), nframe, new=True)


def start_from_the_beginning(nframe):
    """As if the interpreter had been started with -X tracemalloc=NFRAME: all of its blocks count."""
    _begin(_engine(), nframe, new=False)


def _begin(functions, nframe, new):
    global _generation, _limit
    _functions_run_once()
    functions.pause()
    try:
        _limit = nframe
        _follow(functions, new)
    finally:
        functions.resume()


def _follow(functions, new):
    """Trace what is allocated from now on, or all that was ever recorded."""
    global _generation
    generation = functions.new_generation() if new else 0
    if generation < 0 or functions.track(generation):
        raise RuntimeError("cannot start tracing: " + _groups.last_error(functions))
    _generation = generation


def _engine():
    """The library's functions. NotTracingError, which says how to start, where it is not."""
    global _functions
    if _functions is None:
        import memtrace

        if _inspect.functions() is None:
            memtrace.start()
        _library._tracing()
        _functions = _inspect.functions()
    return _functions


def _checked_limit(nframe):
    """The number, or the standard module's exception: it says what is wrong."""
    running = _tracemalloc.is_tracing()
    if type(nframe) is int and running:
        raise ValueError("the number of frames must be in range [1; %d]" % _LIMIT_EVERYWHERE)
    _tracemalloc.start(nframe)
    limit = _tracemalloc.get_traceback_limit()
    if not running:
        _tracemalloc.stop()
    return limit


def _functions_run_once():
    """To CPython 3.10, a function's first call allocates its frame, which stays."""
    for function in (get_traced_memory, reset_peak, clear_traces, is_tracing, stop):
        function()


def stop():
    """Stop tracing and forget the traces. Snapshots taken before stay as they are."""
    global _generation
    if _generation is not None:
        _functions.untrack()
    _generation = None


def is_tracing():
    """True if tracing."""
    return _generation is not None


def clear_traces():
    """Forget all traces so far."""
    if _generation is not None:
        _functions.pause()
        try:
            _follow(_functions, new=True)
        finally:
            _functions.resume()


def reset_peak():
    """Make the present size of the traced blocks their peak."""
    if _generation is not None:
        _functions.reset_tracked_peak()


def get_traceback_limit():
    """The most frames that a trace has: `nframe` of the last start()."""
    return _limit


def get_traced_memory():
    """(bytes in traced blocks, their peak)"""
    if _generation is None:
        return (0, 0)
    _functions.pause()
    try:
        current, peak = ctypes.c_int64(), ctypes.c_int64()
        _functions.tracked_bytes(current, peak)
        return (current.value, peak.value)
    finally:
        _functions.resume()


def get_tracemalloc_memory():
    """Bytes that the records of this process take."""
    functions = _inspect.functions()
    if functions is None:
        return 0
    functions.pause()
    try:
        try:
            return os.stat(functions.region_path()).st_blocks * 512
        except (OSError, TypeError):  # records in private memory have no file
            return 0
    finally:
        functions.resume()


def _get_object_traceback(obj, /):
    """The frames of the object's allocation, newest first, or None."""
    if _generation is None:
        return None
    functions = _functions
    functions.pause()
    try:
        block = _inspect.Block()
        functions.find_blocks(ctypes.c_uint64(id(obj)), 1, block)
        if not block.site or not functions.is_since(block.site, _generation):
            return None
        _places.load_sites(functions, (block.site,))
        return _places.frames(functions, block.site, _limit)
    finally:
        functions.resume()


def get_object_traceback(obj):
    """The Traceback of where the object was allocated; None if that was not traced."""
    frames = _get_object_traceback(obj)
    return None if frames is None else Traceback(frames)


def _get_traces():
    """A list of (domain, bytes, frames newest first, depth of the whole stack), one for each block."""
    if _generation is None:
        return []
    _functions.pause()
    try:
        return _groups.capture(_functions, _generation).traces(_limit)
    finally:
        _functions.resume()


_own_get_traces = _get_traces


def take_snapshot():
    """Take a snapshot of the traced blocks."""
    if not is_tracing():
        _library._tracing()  # says how to start where nothing is recorded
        raise RuntimeError(
            "the tracemalloc module must be tracing memory allocations to take a snapshot"
        )
    if _get_traces is not _own_get_traces:  # a program's test has put its own there
        return Snapshot(_get_traces(), get_traceback_limit())
    _functions.pause()
    try:
        groups = _groups.capture(_functions, _generation)
        return _snapshot.from_groups(_functions, groups, _limit)
    finally:
        _functions.resume()
