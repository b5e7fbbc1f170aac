"""Samples a process, and its children if wanted, into one of mprof's files until it ends.

Bytes and seconds since the epoch. Samples are taken at fixed moments, so the interval does not
grow by what sampling takes. With backend `memtrace` a maximum between two samples is written as a
sample of its own, at its time, so the file's highest figure is the process's peak however long the
interval. Under include_children each sample is the sum over the tree, whose maxima between samples
are not known. One thread.
"""

import os
import time

from . import files, meters, regions, system

# How often the records of processes that have ended are removed.
_SWEEP = 1.0


# How long a reading may take to be one of its moment; longer, and it is repeated.
_AT_ONCE = 0.001


def _reading(meter):
    """(bytes or None, time) of a process at one moment, as far as the machine lets us."""
    for _ in range(4):
        before = time.time()
        size = meter.bytes()
        after = time.time()
        if after - before < _AT_ONCE:
            break
    return size, (before + after) / 2


class Sampler:
    """One process under observation, with its tree."""

    def __init__(self, main, backend, folders, stream, include_children=False, each_child=False):
        self._main = main
        self._backend = backend
        self._folders = folders
        self._stream = stream
        self._sum = include_children
        self._each = each_child
        self._children = {}  # (pid, start) -> meter

    def _find_children(self):
        for pid in system.descendants(self._main.pid):
            key = (pid, system.start(pid))
            if key[1] is not None and key not in self._children:
                self._children[key] = meters.meter(pid, self._backend, self._folders)

    def _child_samples(self):
        """Samples the children; returns the sum of those that live."""
        self._find_children()
        total = 0
        for key, child in list(self._children.items()):
            (size, when), alive, pid = _reading(child), child.alive(), child.pid
            if size is not None and self._each:
                if alive:
                    self._stream.write(files.child_line(pid, size, when))
                peak = child.peak(at_end=not alive)
                if peak is not None:
                    self._stream.write(files.child_line(pid, *peak))
            if alive:
                total += size or 0
            else:
                child.close()
                del self._children[key]
        return total

    def sample(self, at_end=False):
        """One line for the process, and for each child if wanted."""
        size, when = _reading(self._main)
        total = self._child_samples() if self._sum or self._each else 0
        if size is None:
            return
        if self._sum:
            self._stream.write(files.mem_line(size + total, when))
            return
        self._stream.write(files.mem_line(size, when))
        peak = self._main.peak(at_end)
        if peak is not None:
            self._stream.write(files.mem_line(*peak))

    def run(self, interval, timeout, ended):
        """Samples until ended(seconds to wait) says so, or the time is up; True: it has ended."""
        begun = time.monotonic()
        next_sample = begun
        count = 0
        most = None if timeout is None else max(1, int(round(timeout / interval)))
        while True:
            count += 1
            self.sample(at_end=count == most)
            if count == most:
                return ended(0)
            next_sample += interval
            now = time.monotonic()
            if next_sample < now:  # the machine was busy: go on from here
                next_sample = now
            if ended(next_sample - now):
                self.sample(at_end=True)
                return True


class Sweeper:
    """Removes the regions of a session's processes that have ended, so that they do not pile up."""

    def __init__(self, folder, kept_pid):
        self._folder = folder
        self._kept = kept_pid
        self._next = 0.0
        self._ended = set()

    def sweep(self):
        """Removes what was found ended the time before, and has been sampled since."""
        now = time.monotonic()
        if self._folder is None or now < self._next:
            return
        self._next = now + _SWEEP
        gone = set()
        for pid, start, path in regions.listed(self._folder):
            if pid != self._kept and system.start(pid) != start:
                gone.add(path)
        for path in gone & self._ended:
            try:
                os.unlink(path)
            except OSError:
                pass
        self._ended = gone
