"""The recorder's answers for many addresses at once, and the lines of places.

Without the library in the process, `functions()` is None, `own_work()` does nothing, and no block
is known. Addresses, sizes and places are array("Q"). A place is a site's number, and 2**32 times the
bytes that precede the address in its block; 0 where no block is known.
"""

import contextlib
import gc
from array import array

from .. import _inspect

SITE = (1 << 32) - 1


def functions():
    """The library's functions while they record, else None."""
    found = _inspect.functions()
    return found if found and found.is_tracing() else None


def _begin():
    """(the library's functions, whether garbage was collected automatically)."""
    found = functions()
    collects = gc.isenabled()
    gc.disable()
    if found:
        found.pause()
    return found, collects


def _end(found, collects):
    if found:
        found.resume()
    if collects:
        gc.enable()


@contextlib.contextmanager
def own_work():
    """What is allocated inside is not recorded, and no collection of garbage comes in between."""
    found, collects = _begin()
    try:
        yield found
    finally:
        _end(found, collects)


def thorough(work):
    """`work(found)` as own work of a size that leaves its traces: garbage is collected before, which
    is none of its objects, and after it, as CPython keeps freed tuples and lists for the program."""
    gc.collect()
    found, collects = _begin()
    try:
        return work(found)
    finally:
        gc.collect()
        _end(found, collects)


def zeros(count):
    return array("Q", bytes(8 * count))


def _words(numbers):
    """The array as a C function takes it: a reference to its first element."""
    return _inspect.c_uint64.from_buffer(numbers)


def addresses_of(objects):
    return array("Q", map(id, objects))


def find(found, addresses):
    """Sizes and places of the blocks that hold the addresses."""
    count = len(addresses)
    if not found or not count:
        return zeros(count), zeros(count)
    blocks = zeros(2 * count)
    found.find_blocks(_words(addresses), count, _inspect.Block.from_buffer(blocks))
    return blocks[0::2], blocks[1::2]


def find_starts(found, addresses):
    """Like `find`, for addresses that are a block's first or nothing."""
    sizes, places = find(found, addresses)
    if places and max(places) > SITE:
        for i, place in enumerate(places):
            if place > SITE:
                sizes[i] = places[i] = 0
    return sizes, places


def read(found, addresses, offset):
    """The words that lie `offset` bytes after the addresses."""
    words = zeros(len(addresses))
    if words:
        found.read_words(_words(addresses), len(addresses), offset, _words(words))
    return words


class Places:
    """Frames of sites, asked for once each."""

    def __init__(self, found):
        self._functions = found
        self._sites = {}
        self._nodes = {}
        self._strings = {}
        self._lines = {}

    def _site(self, number):
        site = self._sites.get(number)
        if site is None:
            site = self._sites[number] = _inspect.Site()
            self._functions.sites(_inspect.c_uint32(number), 1, site)
        return site

    def _node(self, number):
        node = self._nodes.get(number)
        if node is None:
            node = self._nodes[number] = _inspect.Node()
            self._functions.nodes(_inspect.c_uint32(number), 1, node)
        return node

    def _string(self, number):
        text = self._strings.get(number)
        if text is None:
            text = self._strings[number] = _inspect.string(self._functions, number)
        return text

    def frames(self, site):
        """(file, line, function) of the site's Python frames, innermost first."""
        number = self._site(site).node
        while number:
            node = self._node(number)
            if node.kind == _inspect.FRAME_PYTHON:
                yield self._string(node.filename), node.line, self._string(node.function)
            number = node.parent

    def line(self, site):
        """(file, line) of the innermost Python frame; of native code, (path of its module, 0).

        What the import system allocates belongs to the line that imports, if there is one.
        """
        line = self._lines.get(site)
        if line is None:
            line = self._lines[site] = self._find_line(site)
        return line

    def _find_line(self, site):
        line = None
        for file, number, _ in self.frames(site):
            if not file.startswith("<frozen importlib"):
                return file, number
            line = line or (file, number)
        return line or (self._string(self._site(site).module) or "<no Python frame>", 0)


def live_groups(found):
    """(bytes, count, site) of all live blocks; [] if they cannot be had."""
    count = _inspect.c_int64()
    groups = found.live_groups(0, 0, count)
    if count.value <= 0:
        return []
    try:
        words = array("Q", _inspect.ctypes.string_at(groups, 24 * count.value))
    finally:
        found.release_groups(groups, count.value)
    return zip(words[0::3], words[1::3], [site & SITE for site in words[2::3]])
