"""How much memory a process has, by backend: one meter for each process.

Bytes; times are seconds since the epoch. `memtrace` reads the heap from the process's live region,
exact; the others have resident memory from /proc, as memory_profiler's backends of the same names:
they measure the same, without psutil. A meter answers None when there is nothing to read (any more).
Use each meter from one thread.
"""

import time

from . import regions, system

DEFAULT = "memtrace"
RESIDENT = {
    "psutil": system.rss,
    "psutil_pss": system.pss,
    "psutil_uss": system.uss,
    "posix": system.rss,
}
NAMES = (DEFAULT,) + tuple(sorted(RESIDENT))
_LEAST_SPIKE = 64 << 10


class ResidentMeter:
    """Resident memory of a process."""

    def __init__(self, pid, backend):
        self.pid = pid
        self._start = system.start(pid)
        self._read = RESIDENT[backend]

    def alive(self):
        return self._start is not None and system.start(self.pid) == self._start

    def bytes(self):
        return self._read(self.pid) if self.alive() else None

    def peak(self, at_end=False):
        """None: the peak between two samples is not known."""
        return None

    def close(self):
        pass


class HeapMeter:
    """Live blocks of a traced process, in whatever program it executes."""

    def __init__(self, pid, folders):
        self.pid = pid
        self._start = system.start(pid)
        self._folders = folders
        self._region = None
        self._highest = 0  # of what has been told
        self._sizes = (0, 0)  # of the last two readings
        self._times = (time.time(), time.time())
        self._peak = None  # (bytes, time), not told yet

    def alive(self):
        return self._start is not None and system.start(self.pid) == self._start

    def _take(self, path):
        region = regions.opened(path)
        if region is None:
            return False
        if self._region is not None:
            self._region.close()
        self._region, self._highest = region, 0
        return True

    def find(self):
        """Whether the region is there; looks for it, and for that of a program executed since."""
        if self._region is None:
            path = None
            if self._start is not None:
                path = regions.find(self.pid, self._start, self._folders)
            if path is None or not self._take(path):
                return False
        while self._take(regions.next_image(self._region.path)):
            pass
        return True

    def bytes(self):
        """Also of a process that has ended: what was live then."""
        totals = self._region.totals() if self.find() else None
        if totals is None:
            return None
        self._sizes = (self._sizes[1], totals.now)
        self._times = (self._times[1], time.time())
        self._highest = max(self._highest, totals.now)
        if totals.peak > max(self._highest, self._peak[0] if self._peak else 0):
            self._peak = (totals.peak, self._time_of(totals))
        return totals.now

    def _time_of(self, totals):
        """When the maximum was that the last two readings have between them.

        The recorder does not always know: it is put into the middle then."""
        before, after = self._times
        known = totals.peak_time is not None and before <= totals.peak_time <= after
        return totals.peak_time if known else (before + after) / 2

    def peak(self, at_end=False):
        """(bytes, time) of a maximum between the last two readings, or None.

        Only if it is above all that has been told, and well above both of them: a program that
        grows falls a little all the time. At the end whatever is the highest."""
        if self._peak is None or self._peak[0] <= self._highest:
            return None
        size, _ = self._peak
        if not at_end and size - max(self._sizes) < max(size // 16, _LEAST_SPIKE):
            return None
        told, self._peak, self._highest = self._peak, None, size
        return told

    def close(self):
        if self._region is not None:
            self._region.close()


def meter(pid, backend, folders):
    return HeapMeter(pid, folders) if backend == DEFAULT else ResidentMeter(pid, backend)
