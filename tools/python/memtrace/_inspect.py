"""The library's interface for tools inside the process (interpose/inspect.h), through ctypes.

Every call holds Python's global lock (ctypes.PyDLL): no other Python thread allocates meanwhile. The
structures have the header's names and fields.

    from memtrace import _inspect
    functions = _inspect.functions()      # None: the library is not in this process
    with _inspect.own_work(functions):    # what is allocated inside is not recorded
        ...
"""

import ctypes
from ctypes import (
    POINTER,
    Structure,
    c_char_p,
    c_int,
    c_int32,
    c_int64,
    c_uint32,
    c_uint64,
    c_void_p,
)

UNTRACKED = -1
TRACKED_PYTHON = 0
TRACKED_NUMPY = 389047
TRACKED_PANDAS = 424242

FRAME_PYTHON = 1
FRAME_OTHER = 2
FRAME_LABEL = 4


class Meter(Structure):
    """memtrace_meter: a thread's own events since its meter was started."""

    _fields_ = [
        ("allocated_bytes", c_int64),
        ("freed_bytes", c_int64),
        ("allocated_blocks", c_int64),
        ("freed_blocks", c_int64),
        ("peak_bytes", c_int64),
        ("paused_bytes", c_int64),
    ]


class Group(Structure):
    """memtrace_group: live blocks of one size from one site."""

    _fields_ = [
        ("bytes", c_uint64),
        ("count", c_uint64),
        ("site", c_uint32),
        ("reserved", c_uint32),
    ]


class Block(Structure):
    """memtrace_block: the block that an address is in."""

    _fields_ = [("bytes", c_uint64), ("site", c_uint32), ("offset", c_uint32)]


class Site(Structure):
    """memtrace_site: where blocks come from."""

    _fields_ = [
        ("node", c_uint32),
        ("module", c_uint32),
        ("thread", c_uint32),
        ("tracked", c_int32),
        ("domain", c_uint32),
        ("reserved", c_uint32),
    ]


class Node(Structure):
    """memtrace_node: a frame under its caller's."""

    _fields_ = [
        ("parent", c_uint32),
        ("kind", c_uint32),
        ("filename", c_uint32),
        ("function", c_uint32),
        ("line", c_uint32),
        ("first_line", c_uint32),
    ]


# Name in C without "memtrace_", result, arguments.
_SIGNATURES = (
    ("is_tracing", c_int, ()),
    ("current_bytes", c_int64, ()),
    ("current_blocks", c_int64, ()),
    ("peak_bytes", c_int64, ()),
    ("reset_peak", c_int, ()),
    ("last_error", c_char_p, ()),
    ("region_path", c_char_p, ()),
    ("version", c_char_p, ()),
    ("sees_malloc", c_int, ()),
    ("start", c_int, ()),
    ("stop", c_int, ()),
    ("pause", None, ()),
    ("resume", None, ()),
    ("total_bytes", c_int64, ()),
    ("meter_start", POINTER(Meter), ()),
    ("meter_stop", None, ()),
    ("new_generation", c_int64, ()),
    ("tracked", c_int, (c_int64, POINTER(c_int64), POINTER(c_int64), POINTER(c_int64))),
    ("track", c_int, (c_int64,)),
    ("untrack", None, ()),
    ("tracked_bytes", c_int, (POINTER(c_int64), POINTER(c_int64))),
    ("reset_tracked_peak", None, ()),
    ("live_groups", POINTER(Group), (c_int64, c_int, POINTER(c_int64))),
    ("release_groups", None, (POINTER(Group), c_int64)),
    ("find_blocks", None, (POINTER(c_uint64), c_uint64, POINTER(Block))),
    ("sites", None, (POINTER(c_uint32), c_uint64, POINTER(Site))),
    ("nodes", None, (POINTER(c_uint32), c_uint64, POINTER(Node))),
    ("trace_setup", None, (c_void_p, c_void_p, c_int)),
    ("trace_code", c_int, (c_uint64, c_int)),
    ("trace", c_int, (c_void_p, c_void_p, c_int, c_void_p)),
    ("string", POINTER(ctypes.c_char), (c_uint32, POINTER(c_uint32))),
    ("is_since", c_int, (c_uint32, c_int64)),
    ("read_words", None, (POINTER(c_uint64), c_uint64, c_int64, POINTER(c_uint64))),
    ("label", c_uint32, (c_char_p,)),
    # Without types ctypes allocates nothing for a call.
    ("label_enter", c_int, None),
    ("label_exit", c_int, None),
    ("label_through", None, (c_char_p,)),
)


class Functions:
    """The library's functions as attributes, without their prefix."""

    def __init__(self, library):
        for name, result, arguments in _SIGNATURES:
            function = getattr(library, "memtrace_" + name)
            function.restype = result
            if arguments is not None:
                function.argtypes = arguments
            setattr(self, name, function)


# None: not looked for yet. False: not in this process.
_found = None


def functions():
    """The library's functions, or None where it is not in this process.

    Once found they are kept; a library that is loaded later is found by the call after it.
    """
    global _found
    if _found is None:
        try:
            _found = Functions(ctypes.PyDLL(None))
        except (AttributeError, OSError):
            return None
    return _found


def use(library):
    """Take the functions from this library, which has been loaded late (ctypes.PyDLL)."""
    global _found
    _found = Functions(library)
    return _found


class own_work:
    """A with block whose allocations, by this thread, are memtrace's own: they are not recorded."""

    __slots__ = ("_functions",)

    def __init__(self, functions):
        self._functions = functions

    def __enter__(self):
        self._functions.pause()

    def __exit__(self, *_):
        self._functions.resume()


def string(functions, number):
    """The text of a string's number."""
    length = c_uint32()
    start = functions.string(number, length)
    return ctypes.string_at(start, length.value).decode("utf-8", "surrogateescape")
