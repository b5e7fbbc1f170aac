"""The exact heap of a traced process, read from its live region (core/layout.h) from outside.

Bytes; times are seconds since the epoch. The traced process is neither stopped nor asked. What a
region says is not trusted: it is read by copying, never mapped, so a file that shrinks is no more
than a missing figure. Nothing here raises for a process that has ended or is not traced: the answer
is None then. No state is shared between objects; use each from one thread.
"""

import os
import re
import stat
import struct

MAGIC = 0x314E475254454D00
LAYOUT_VERSION = 3

_HEADER_BYTES = 8192
_NAME = re.compile(r"(\d+)-(\d+)-(\d+)\.region$")

# Offsets in Header, held in place by tests/unit/core/layout_test.cc.
_MAGIC_VERSION = struct.Struct("<QII")
_PROCESS = struct.Struct("<iiII")  # pid, parent pid, uid, exec index
_AT_PROCESS = 16
_STARTS = struct.Struct("<QQ")  # realtime, boot time
_AT_STARTS = 40
_TOTALS = struct.Struct("<qqq")  # owner_total, shared_total, peak
_AT_TOTALS = 128
_AT_PEAK_TIME = 168
_WORD = struct.Struct("<Q")

# Sections: 200 bytes each; `used`, then the extents' places in the file. ThreadRecord: 64 bytes,
# which begin with what the thread has not yet added to the total.
_AT_THREADS = 384 + 6 * 200
_THREAD_BYTES = 64
_FIRST_EXTENT_BYTES = 4096
_MOST_THREADS = 1 << 14


def roots():
    """Folders that live regions are put in (core/places.h), those of `memtrace run` left out."""
    told = os.environ.get("MEMTRACE_DIR")
    if told:
        return [told]
    name = "memtrace-{}".format(os.geteuid())
    return [os.path.join(place, name) for place in ("/dev/shm", os.environ.get("TMPDIR") or "/tmp")]


def _names(folder):
    try:
        return os.listdir(folder)
    except OSError:
        return []


def is_own(folder):
    """Whether it is the user's own folder, and closed to others."""
    try:
        info = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(info.st_mode) and info.st_uid == os.geteuid() and not info.st_mode & 0o077


def folders():
    """All folders that may hold live regions, sessions of `memtrace run` among them."""
    found = []
    for root in filter(is_own, roots()):
        found.append(root)
        sessions = [os.path.join(root, name) for name in _names(root) if name.startswith("run-")]
        found.extend(filter(is_own, sessions))
    return found


def listed(folder):
    """(pid, start, path) of the regions in a folder; of each process the image it runs now."""
    latest = {}
    for name in _names(folder):
        parts = _NAME.match(name)
        if parts:
            pid, start, image = map(int, parts.groups())
            if image >= latest.get((pid, start), (0, ""))[0]:
                latest[pid, start] = (image, os.path.join(folder, name))
    return [(pid, start, path) for (pid, start), (_, path) in latest.items()]


def find(pid, start, places):
    """The path of the process's region in one of the folders, or None."""
    for folder in places:
        for its_pid, its_start, path in listed(folder):
            if (its_pid, its_start) == (pid, start):
                return path
    return None


class Totals:
    """What a process held: bytes now; and at the last maximum that it has fallen from, and when."""

    __slots__ = ("now", "peak", "peak_time")

    def __init__(self, now, peak, peak_time):
        self.now = now
        self.peak = peak
        self.peak_time = peak_time


class Region:
    """One open region; it can be read on when its process has ended and its file is removed."""

    def __init__(self, path):
        self.path = path
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        self._file = os.open(path, flags)
        try:
            self._check()
        except Exception:
            self.close()
            raise

    def _check(self):
        info = os.fstat(self._file)
        if not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid():
            raise ValueError("{}: not a region of this user".format(self.path))
        magic, version, _ = _MAGIC_VERSION.unpack(self._at(0, _MAGIC_VERSION.size))
        if magic != MAGIC:
            raise ValueError("{}: not a region, or not complete yet".format(self.path))
        if version != LAYOUT_VERSION:
            raise ValueError(
                "{}: made by another version of memtrace (layout {}, not {})".format(
                    self.path, version, LAYOUT_VERSION
                )
            )
        self._realtime, self._boottime = _STARTS.unpack(self._at(_AT_STARTS, _STARTS.size))

    def _at(self, offset, count):
        data = os.pread(self._file, count, offset)
        if len(data) != count:
            raise ValueError("{}: cut short".format(self.path))
        return data

    def _unflushed(self):
        """What threads have not yet added to the total."""
        used = _WORD.unpack(self._at(_AT_THREADS, 8))[0] // _THREAD_BYTES
        left = min(used, _MOST_THREADS) * _THREAD_BYTES
        total, extent, size = 0, 0, _FIRST_EXTENT_BYTES
        while left > 0:
            place = _WORD.unpack(self._at(_AT_THREADS + 8 + 8 * extent, 8))[0]
            if place == 0:
                break
            data = self._at(place, min(left, size))
            total += sum(record[0] for record in struct.iter_unpack("<q56x", data))
            left -= size
            size = _FIRST_EXTENT_BYTES << extent
            extent += 1
        return total

    def totals(self):
        """The process's totals now, or None where the file has been spoilt."""
        try:
            owner, shared, peak = _TOTALS.unpack(self._at(_AT_TOTALS, _TOTALS.size))
            peak_boot = _WORD.unpack(self._at(_AT_PEAK_TIME, 8))[0]
            now = max(0, owner + shared + self._unflushed())
        except (OSError, ValueError, struct.error):
            return None
        when = (self._realtime + peak_boot - self._boottime) / 1e9 if peak_boot else None
        return Totals(now, peak, when)

    def close(self):
        os.close(self._file)


def opened(path):
    """The region at a path, or None: there is none, it is not complete, or not this user's."""
    try:
        return Region(path)
    except (OSError, ValueError, struct.error):
        return None


def next_image(path):
    """Where the region will be when the process has executed another program."""
    head, image = path[: -len(".region")].rsplit("-", 1)
    return "{}-{}.region".format(head, int(image) + 1)
