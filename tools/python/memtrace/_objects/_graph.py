"""Which objects there are, and which refer to which.

References are those that CPython's garbage collector sees (`gc.get_referents`), and those of
`_unseen`. What only C code knows of is not seen: the constants of code objects, for one.
"""

import gc
import operator
import types
from itertools import compress, filterfalse, islice

from . import _layout, _unseen

_CHUNK = 1 << 16

# What is part of the program rather than of its data; reached only when asked for itself.
_CODE = (
    type,
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.CodeType,
    types.FrameType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    type(type.__call__),
    type(str.join),
)


def referents(objects):
    """What the objects refer to, in one list; keys of dicts may be in it twice."""
    found = _seen_by_collector(objects)
    found.extend(_unseen.all_keys(objects))
    return found


def references(objects):
    """What the objects refer to, in one list, exactly as often as they do. Slower."""
    found = _seen_by_collector(objects)
    found.extend(_unseen.keys(objects))
    return found


def _seen_by_collector(objects):
    if len(objects) <= _CHUNK:
        found = gc.get_referents(*objects)
    else:
        found = []
        for start in range(0, len(objects), _CHUNK):
            found.extend(gc.get_referents(*objects[start : start + _CHUNK]))
    found.extend(_unseen.parts_of_arrays(objects))
    found.extend(_unseen.dicts_of_instances(objects))
    return found


def is_code(kind):
    return _layout.is_kind(kind, *_CODE)


def without_code(objects):
    """The objects without types, modules, functions and the like."""
    kinds = _unseen.types_of(objects)
    code = {number for number, kind in kinds.items() if is_code(kind)}
    if not code:
        return objects
    marks = map(code.__contains__, map(id, map(type, objects)))
    return list(compress(objects, map(operator.not_, marks)))


def reach(roots, found, within=without_code):
    """The roots and all that they refer to, directly or not, as a list in which each occurs once.

    `found`, {id: object}, has what was reached before and is left out; what is reached now is added.
    `within` takes away what is not followed; it keeps the order.
    """
    new = _add(roots, found)
    reached = list(new)
    while new:
        new = _add(within(referents(new)), found)
        reached += new
    return reached


def _add(objects, found):
    """Adds objects to {id: object}; those that are new, each once."""
    before = len(found)
    found.update(zip(map(id, objects), objects))
    new = list(islice(reversed(found.values()), len(found) - before))
    new.reverse()
    return new


def everything(hidden=None):
    """All objects that the collector knows, and what they refer to: a list.

    Without those that are frozen (`gc.freeze`), what only C code refers to, and `hidden`, which is
    not tracked by the collector.
    """
    known, others = gc.get_objects(), {}
    new = known
    while new:  # what is tracked is there already
        new = _add(list(filterfalse(gc.is_tracked, referents(new))), others)
    # The frame of this function may be among what is known, and refers to these.
    for one in (others, hidden):
        if one is not None:
            others.pop(id(one), None)
    return known + list(others.values())
