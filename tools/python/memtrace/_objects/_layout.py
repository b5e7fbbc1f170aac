"""Which buffers the objects of a type own, and where in the objects the pointers to them lie.

Facts about CPython 3.8 to 3.14, release builds with a global lock, 64 bits. A reader takes the
library's functions, objects of one kind and their addresses, and gives sizes and places of a buffer
for each object; `readers(type)` gives all that a type needs. A table inside the object itself is no
block of its own, and not counted twice.
"""

import operator
import sys
from array import array
from collections import OrderedDict
from functools import partial
from itertools import compress, repeat

from . import _engine

_VERSION = sys.version_info[:2]
# Other builds (free-threaded, debug) have other offsets; there objects tell their own sizes.
KNOWN_BUILD = (3, 8) <= _VERSION <= (3, 14) and not set(sys.abiflags) & set("dt")
_MANAGED_DICT = 1 << 4  # Py_TPFLAGS_MANAGED_DICT, since 3.11

_LIST_ITEMS = 24
_BYTEARRAY_BYTES = 32
_ARRAY_ITEMS = 24
_SET_TABLE = 40
_DICT_KEYS, _DICT_VALUES = 32, 40
_NDARRAY_DATA, _NDARRAY_DIMENSIONS, _NDARRAY_FLAGS = 16, 32, 64
_NDARRAY_OWNS_DATA = 4


def _blocks(found, objects, pointers):
    """The blocks that start at the pointers. Where one is not known to the recorder (a late start; what
    does not come from an allocator that it sees), the object tells how long its buffer is."""
    sizes, places = _engine.find_starts(found, pointers)
    unknown = map(operator.and_, map(bool, pointers), map(operator.not_, places))
    for i in compress(range(len(objects)), unknown):
        sizes[i] = max(0, _beyond_object(objects[i]))
    return sizes, places


def _beyond_object(one):
    kind = type(one)
    told = sizer(kind)(one) - kind.__basicsize__
    return told - _nodes_of_ordered(one) if is_kind(kind, OrderedDict) else told


def _pointer(offset, found, objects, addresses):
    """The buffer that the word at `offset` points to."""
    return _blocks(found, objects, _engine.read(found, addresses, offset))


def _small(offset, found, objects, addresses):
    """The same, for what the object does not count when it tells its size."""
    return _engine.find_starts(found, _engine.read(found, addresses, offset))


def _start_of_values(found, values):
    """Where the blocks of attribute values start: in 3.11 and 3.12 a prefix precedes them, whose
    length is in the byte before the values."""
    if _VERSION not in ((3, 11), (3, 12)):
        return values
    before = _engine.read(found, values, -8)
    return array("Q", map(operator.sub, values, map(operator.rshift, before, repeat(56))))


def _dict_table(found, objects, addresses):
    """A table of its own, or the values alone: keys that instances share belong to their class."""
    keys = _engine.read(found, addresses, _DICT_KEYS)
    values = _engine.read(found, addresses, _DICT_VALUES)
    if not any(values):
        return _blocks(found, objects, keys)
    tables = array("Q", [0 if value else key for key, value in zip(keys, values)])
    sizes, places = _blocks(found, objects, tables)
    of_values = _engine.find_starts(found, _start_of_values(found, values))
    for i, (size, place) in enumerate(zip(*of_values)):
        if place:
            sizes[i], places[i] = size, place
    return sizes, places


def _inline_values(found, objects, addresses):
    """Attribute values of instances that have not needed a dict. Since 3.13 they are in the object;
    where there is a dict, they are its values, or gone."""
    if _VERSION == (3, 11):
        values = _engine.read(found, addresses, -32)
    else:
        words = _engine.read(found, addresses, -24)
        values = array("Q", [word + 1 if word & 1 else 0 for word in words])
    return _engine.find_starts(found, _start_of_values(found, values))


def _ndarray_data(found, objects, addresses):
    """An array's data, unless it is a view of another's."""
    data = _engine.read(found, addresses, _NDARRAY_DATA)
    flags = _engine.read(found, addresses, _NDARRAY_FLAGS)
    owned = [word if flag & _NDARRAY_OWNS_DATA else 0 for word, flag in zip(data, flags)]
    return _blocks(found, objects, array("Q", owned))


def _told(sizer, basic, found, objects, addresses):
    """What a type of C tells of itself beyond its object; at the place of the object."""
    sizes = [max(0, told - basic) for told in map(sizer, objects)]
    places = [place & _engine.SITE for place in _engine.find(found, addresses)[1]]
    return array("Q", sizes), array("Q", places)


def _known():
    """(type, readers), most common first."""
    kinds = [
        (dict, (_dict_table,)),
        (list, (partial(_pointer, _LIST_ITEMS),)),
        (set, (partial(_pointer, _SET_TABLE),)),
        (frozenset, (partial(_pointer, _SET_TABLE),)),
        (bytearray, (partial(_pointer, _BYTEARRAY_BYTES),)),
        (array, (partial(_pointer, _ARRAY_ITEMS),)),
    ]
    ndarray = ndarray_type()
    if ndarray:
        kinds.append((ndarray, (_ndarray_data, partial(_small, _NDARRAY_DIMENSIONS))))
    return kinds


def ndarray_type():
    """numpy's array type, if the program has loaded numpy."""
    return getattr(sys.modules.get("numpy"), "ndarray", None)


_METHOD = type(object.__sizeof__)
_PLAIN_SIZERS = [kind.__sizeof__ for kind in (object, type, str, bytes, int, tuple, float)]

# Read past what a metaclass may make of these attributes.
bases = type.__dict__["__mro__"].__get__
_attributes = type.__dict__["__dict__"].__get__


def is_kind(kind, *known):
    """Whether a type is one of the known ones or made from one."""
    return any(base is one for base in bases(kind) or (kind,) for one in known)


def sizer(kind):
    """The method of C by which objects of the type tell their size, without the collector's header.

    Methods in Python are passed over: pandas' count what the objects refer to as well.
    """
    for base in bases(kind) or (kind,):
        told = _attributes(base).get("__sizeof__")
        if type(told) is _METHOD:
            return told
    return object.__sizeof__


def _nodes_of_ordered(ordered):
    """An OrderedDict's table of nodes, and a node of four words for each key."""
    return OrderedDict.__sizeof__(ordered) - dict.__sizeof__(ordered)


def _tells_more(kind, told):
    """A type of C of fixed size which says itself what its objects take."""
    return kind.__itemsize__ == 0 and told not in _PLAIN_SIZERS


def readers(kind):
    """The readers of the buffers that objects of this type own: () for most types."""
    found = ()
    for known, its_readers in _known() if KNOWN_BUILD else ():
        if is_kind(kind, known):
            found = its_readers
            break
    told = sizer(kind)
    if found and is_kind(kind, OrderedDict):
        found += (partial(_told, _nodes_of_ordered, 0),)
    elif not found and _tells_more(kind, told):
        found = (partial(_told, told, kind.__basicsize__),)
    if KNOWN_BUILD and kind.__flags__ & _MANAGED_DICT and (3, 11) <= _VERSION < (3, 13):
        found += (_inline_values,)
    return found
