"""References that CPython's garbage collector is not told of.

Of a dict, keys as long as all of them have been texts; of an array of numpy the array that a view
looks into, and the elements of an array of objects; of an instance since CPython 3.13 its `__dict__`
while the values are still in the instance (in a traced process only).
"""

import ctypes
import gc
import sys
from itertools import chain, compress

from . import _engine, _layout

_DICT_SUBCLASS = 1 << 29  # Py_TPFLAGS_DICT_SUBCLASS
_INLINE_VALUES = 1 << 2  # Py_TPFLAGS_INLINE_VALUES, since 3.13
_DICT_OF_INSTANCE = -24


def types_of(objects):
    """{id: type} of the objects' types."""
    types = list(map(type, objects))
    return dict(zip(map(id, types), types))


def _of_kinds(objects, wanted):
    """The objects whose type's id is wanted."""
    if not wanted:
        return []
    return list(compress(objects, map(wanted.__contains__, map(id, map(type, objects)))))


def _with_flag(objects, flag):
    kinds = types_of(objects)
    return _of_kinds(objects, {number for number, kind in kinds.items() if kind.__flags__ & flag})


def all_keys(objects):
    """The keys of those that are dicts, also those that the collector sees."""
    return chain.from_iterable(map(dict.keys, _with_flag(objects, _DICT_SUBCLASS)))


def keys(objects):
    """The keys that the collector does not see."""
    for one in _with_flag(objects, _DICT_SUBCLASS):
        if _hides_keys(one):
            yield from dict.keys(one)


def _hides_keys(one):
    first = next(dict.__iter__(one), None)
    if not isinstance(first, str):
        return False
    told = gc.get_referents(one)
    if type(one) is dict:
        return len(told) < 2 * len(one)
    values = sum(value is first for value in dict.values(one))
    return sum(part is first for part in told) <= values


def parts_of_arrays(objects):
    """Of arrays of numpy: bases and elements."""
    ndarray = _layout.ndarray_type()
    if not ndarray:
        return
    kinds = types_of(objects)
    wanted = {number for number, kind in kinds.items() if _layout.is_kind(kind, ndarray)}
    for one in _of_kinds(objects, wanted):
        base = ndarray.base.__get__(one)
        if base is not None:
            yield base
        elif ndarray.dtype.__get__(one).hasobject:
            yield from (part for part in ndarray.ravel(one, "K").tolist() if part is not None)


def dicts_of_instances(objects):
    """Dicts of instances whose attribute values are in the instance."""
    found = _engine.functions() if sys.version_info >= (3, 13) else None
    if not found or not _layout.KNOWN_BUILD:
        return
    instances = _with_flag(objects, _INLINE_VALUES)
    dicts = _engine.read(found, _engine.addresses_of(instances), _DICT_OF_INSTANCE)
    for one, address in zip(instances, dicts):
        if address and not any(id(part) == address for part in gc.get_referents(one)):
            yield ctypes.cast(address, ctypes.py_object).value
