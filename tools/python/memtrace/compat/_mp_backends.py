"""Backends of memory_profiler: what is called memory. Bytes; a measure may raise OSError.

memtrace: exact bytes of live blocks, where the library is in the process. The others are for
compatibility: resident memory (psutil, posix), proportional or unique memory, from /proc, and what
tracemalloc counts. None of them needs a package.
"""

import os
import sys

from .._lines import meters

MIB = float(1 << 20)
NAMES = ("memtrace", "psutil", "psutil_pss", "psutil_uss", "posix", "tracemalloc")

_told = False


def choose_backend(new_backend=None):
    """The backend to use: the one named, or the best. KeyError for an unknown name."""
    if new_backend is None:
        new_backend = "memtrace"
    if new_backend not in NAMES:
        raise KeyError(new_backend)
    if new_backend == "memtrace" and meters.heap_meters() is None:
        _say_once()
        return "psutil"
    return new_backend


def _say_once():
    global _told
    if not _told:
        _told = True
        sys.stderr.write(
            "memtrace: libmemtrace.so is not in this process, so lines show resident memory, not exact "
            "bytes; start the program with `memtrace run python main.py`\n"
        )


def _tracemalloc_bytes(_):
    import tracemalloc

    if not tracemalloc.is_tracing():
        tracemalloc.start()
    return tracemalloc.get_traced_memory()[0]


def _memtrace_bytes(pid):
    if pid != "self" and int(pid) != os.getpid():
        return meters.resident_bytes(pid)
    return meters.heap_meters().total()


_MEASURES = {
    "memtrace": _memtrace_bytes,
    "psutil": meters.resident_bytes,
    "posix": meters.resident_bytes,
    "psutil_pss": lambda pid: meters.rollup_bytes((b"Pss",), pid),
    "psutil_uss": lambda pid: meters.rollup_bytes((b"Private_Clean", b"Private_Dirty"), pid),
    "tracemalloc": _tracemalloc_bytes,
}


def measure(backend, pid="self"):
    """Bytes of this process now; of another one its resident memory, at least."""
    return _MEASURES[backend](pid)


def children_of(pid):
    """Process ids of all descendants, in ascending order."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/{}/stat".format(name), "rb") as file:
                    parents[int(name)] = int(file.read().rsplit(b")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
    found, last = set(), {int(pid)}
    while last:
        last = {child for child, parent in parents.items() if parent in last} - found
        found |= last
    return sorted(found)


def measure_children(backend, pid):
    """[(pid, bytes)] of the descendants that are there."""
    found = []
    for child in children_of(pid):
        try:
            found.append((child, measure("psutil" if backend == "tracemalloc" else backend, child)))
        except (OSError, IndexError):
            continue
    return found


def engine(backend, include_children=False, detailed=False):
    """The engine that records lines by this backend."""
    from .._lines import profiler

    def make():
        if backend == "memtrace":
            return meters.heap_meters()
        return meters.ProcessMeters(read)

    def read():
        now = measure(backend)
        if include_children:
            now += sum(size for _, size in measure_children(backend, os.getpid()))
        return now

    name = (backend, include_children and backend != "memtrace")
    return profiler.engine_for(name, make, detailed)
