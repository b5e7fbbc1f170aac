"""Live blocks at one moment: taken in one call of the library, looked at later.

Sizes are bytes as the program asked for them. A group is what the blocks of one size from one site
have in common, so a million equal blocks cost no more than one. All functions are called between
pause() and resume() (memtrace._inspect); objects of this module are not changed once made, so
threads may share them.
"""

import ctypes
import struct
import sys
from ctypes import c_int64

from . import _places

_GROUP = struct.Struct("=QQII")
# From 3.9 on a trace says how deep the whole stack was.
_HAS_TOTAL = sys.version_info >= (3, 9)


def capture(functions, generation):
    """The tracked blocks of this generation and later ones. OSError when they cannot be listed."""
    count = c_int64()
    start = functions.live_groups(generation, 1, ctypes.byref(count))
    if count.value < 0:
        raise OSError("cannot list the live blocks: " + last_error(functions))
    try:
        raw = ctypes.string_at(start, count.value * _GROUP.size) if count.value else b""
    finally:
        functions.release_groups(start, count)
    return Groups(functions, raw)


def last_error(functions):
    return (functions.last_error() or b"unknown reason").decode("utf-8", "replace")


class Groups:
    """Groups of blocks, perhaps of some sites only."""

    def __init__(self, functions, raw, sites=None):
        self._functions = functions
        self._raw = raw
        self._sites = sites  # {site: [bytes, blocks]}, made when it is asked for

    def sites(self):
        """{site: [bytes, blocks]}"""
        if self._sites is None:
            sums = {}
            for size, count, site, _ in _GROUP.iter_unpack(self._raw):
                try:
                    entry = sums[site]
                    entry[0] += size * count
                    entry[1] += count
                except KeyError:
                    sums[site] = [size * count, count]
            _places.load_sites(self._functions, sums)
            self._sites = sums
        return self._sites

    def by_frames(self, limit):
        """[frames, bytes, blocks] of each site."""
        sites = self.sites()
        functions = self._functions
        _places.load_stacks(functions, sites, limit)
        return [
            (_places.frames(functions, site, limit), size, count)
            for site, (size, count) in sites.items()
        ]

    def traces(self, limit):
        """tracemalloc's list of traces: (domain, bytes, frames, depth), one for each block."""
        self._load_whole()
        sites = self.sites()
        tails = {site: self._tail(site, limit) for site in sites}
        traces = []
        for size, count, site, _ in _GROUP.iter_unpack(self._raw):
            if site in sites:
                traces += [(_places.domain(site), size) + tails[site]] * count
        return traces

    def kept(self, limit, keep):
        """The groups for whose trace (of size 0) `keep` is true."""
        self._load_whole()
        sites = {}
        answers = {}
        for site, sums in self.sites().items():
            key = (_places.domain(site), _places.node(site))
            if key not in answers:
                answers[key] = keep((key[0], 0) + self._tail(site, limit))
            if answers[key]:
                sites[site] = sums
        return Groups(self._functions, self._raw, sites)

    def _load_whole(self):
        _places.load_stacks(self._functions, self.sites(), 0)

    def _tail(self, site, limit):
        frames = _places.frames(self._functions, site, limit)
        if _HAS_TOTAL:
            return (frames, _places.total(self._functions, site))
        return (frames,)
