"""Where a thread's bytes are read: of the library's meter, or of another measure of memory.

A view has allocated bytes in [0], freed bytes in [1], the peak of their difference in [4], and in [5]
what was freed while the thread was paused, as in memtrace_meter. What is not the library's has its
measure in [0] and never frees.
"""

import ctypes
import os

from .. import _inspect

_STATM = "/proc/{}/statm"
_PAGE = os.sysconf("SC_PAGE_SIZE")


class HeapMeters:
    """Exact bytes of the calling thread."""

    exact = True

    def __init__(self, functions):
        self.pause = functions.pause
        self.resume = functions.resume
        self.total = functions.total_bytes
        self._functions = functions

    def start(self):
        """This thread's view, which counts from now on."""
        meter = self._functions.meter_start()
        if not meter:
            raise RuntimeError("memtrace does not trace this process")
        address = ctypes.addressof(meter.contents)
        return memoryview((ctypes.c_int64 * 6).from_address(address)).cast("B").cast("q")

    def stop(self):
        self._functions.meter_stop()


class _Measured:
    """A view of a measure of the whole process."""

    def __init__(self, measure):
        self._measure = measure
        self._peak = 0

    def __getitem__(self, index):
        if index in (1, 5):
            return 0
        now = self._measure()
        if index == 4:
            return max(now, self._peak)
        return now

    def __setitem__(self, index, value):
        self._peak = value


class ProcessMeters:
    """What `measure()` says of the process; the same for all threads."""

    exact = False

    def __init__(self, measure):
        self.total = measure

    def pause(self):
        pass

    def resume(self):
        pass

    def start(self):
        return _Measured(self.total)

    def stop(self):
        pass


def heap_meters():
    """HeapMeters, or None where the library does not record this process."""
    functions = _inspect.functions()
    if functions is None or functions.is_tracing() != 1:
        return None
    return HeapMeters(functions)


def resident_bytes(pid="self"):
    """Resident memory of a process; OSError when it has ended."""
    with open(_STATM.format(pid), "rb") as file:
        pages = int(file.read().split()[1])
    if not pages:  # it has ended, and its parent has not asked yet
        raise ProcessLookupError("process {} has ended".format(pid))
    return pages * _PAGE


def rollup_bytes(names, pid="self"):
    """Sum of these lines of a process's smaps_rollup; OSError when it has ended."""
    total = 0
    with open("/proc/{}/smaps_rollup".format(pid), "rb") as file:
        for line in file:
            name, _, value = line.partition(b":")
            if name in names:
                total += int(value.split()[0]) * 1024
    return total
