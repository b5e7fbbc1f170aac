"""Sizes and places of many objects: their own blocks and the buffers they own.

Arrays are parallel to the objects. No step here is a loop in Python over all objects; loops are over
types, or over the few objects whose block the recorder does not know.
"""

import operator
import sys
from array import array
from itertools import compress, repeat

from . import _engine, _layout


def told_size(thing):
    """The size by `sys.getsizeof`, of an object whose type answers in Python: without its answer."""
    sizer = _layout.sizer(type(thing))
    if type(thing).__sizeof__ is sizer:
        return sys.getsizeof(thing)
    return sizer(thing)


class Buffers:
    """Buffers of objects of one type: numbers of the objects, sizes and places."""

    def __init__(self, kind, owners, sizes, places):
        self.kind = kind  # of the owners
        self.owners = owners
        self.sizes = sizes
        self.places = places


class Measured:
    """objects, their addresses, sizes of their own blocks, places (0: unknown), kinds (ids of their
    types), types by id, and buffers."""

    def __init__(self, found, objects):
        self.objects = objects
        self.addresses = _engine.addresses_of(objects)
        self.sizes, self.places = _engine.find(found, self.addresses)
        types = list(map(type, objects))
        self.kinds = array("Q", map(id, types))
        self.types = dict(zip(self.kinds, types))
        self._ask_the_unknown(found)
        self.buffers = list(self._find_buffers(found, types)) if found else []

    def _ask_the_unknown(self, found):
        """Who has no known block tells its size itself, buffers included."""
        if not found:
            self._ask_all()
            return
        for i in compress(range(len(self.objects)), map(operator.not_, self.places)):
            self.sizes[i] = told_size(self.objects[i])

    def _ask_all(self):
        plain = {
            kind: type_.__sizeof__ is _layout.sizer(type_) for kind, type_ in self.types.items()
        }
        if all(plain.values()):
            self.sizes = array("Q", map(sys.getsizeof, self.objects))
        else:
            self.sizes = array("Q", map(told_size, self.objects))

    def _find_buffers(self, found, types):
        readers = {kind: _layout.readers(type_) for kind, type_ in self.types.items()}
        kinds = [kind for kind, its in readers.items() if its]
        for part in _parts(self.kinds, kinds):
            yield from self._buffers_of(found, readers, *part)

    def _buffers_of(self, found, readers, kind, owners):
        """Those of one type."""
        addresses = array("Q", [self.addresses[i] for i in owners])
        objects = [self.objects[i] for i in owners]
        for reader in readers[kind]:
            buffers = Buffers(kind, owners, *reader(found, objects, addresses))
            self._take_from_the_unknown(buffers)
            yield buffers

    def _take_from_the_unknown(self, buffers):
        """An object whose own block is not known has told its buffers, too."""
        least = self.types[buffers.kind].__basicsize__
        for owner, size in zip(buffers.owners, buffers.sizes):
            if not self.places[owner] and self.sizes[owner] - size >= least:
                self.sizes[owner] -= size

    def totals(self):
        """Sizes of the objects with their buffers."""
        sizes = array("Q", self.sizes)
        for buffers in self.buffers:
            for owner, size in zip(buffers.owners, buffers.sizes):
                sizes[owner] += size
        return sizes

    def total(self):
        return sum(self.sizes) + sum(sum(buffers.sizes) for buffers in self.buffers)


def _parts(kinds, wanted):
    """(kind, indices of what is of that kind) for each wanted kind: one pass, then one for each of
    up to 255 kinds that owners are of."""
    everything = range(len(kinds))
    for start in range(0, len(wanted), 255):
        numbers = {kind: i + 1 for i, kind in enumerate(wanted[start : start + 255])}
        marks = bytes(map(numbers.get, kinds, repeat(0)))
        some = list(compress(everything, marks))
        of = bytes(filter(None, marks))
        for kind, number in numbers.items():
            mask = bytes(number) + b"\1" + bytes(255 - number)
            yield kind, list(compress(some, of.translate(mask)))
