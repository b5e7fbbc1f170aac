"""referrers() and chain(): who holds an object."""

import gc
import types

from . import _engine, _graph

_FRAMES = (types.FrameType,)


def referrers(thing):
    """The objects that refer to this one, as far as the garbage collector knows: a new list.

    Frames are left out: a local variable of a function that runs is not an object.
    """
    with _engine.own_work():
        return list(_Holders().of(thing))


class _Holders:
    """Who refers to an object. Dicts and tuples of texts, numbers and the like are not in the
    collector's lists, so they are looked for among all objects, once."""

    def __init__(self):
        self._unlisted = None

    def of(self, thing):
        holders = [one for one in gc.get_referrers(thing) if not isinstance(one, _FRAMES)]
        if not gc.is_tracked(thing):
            self._unlisted = self._unlisted or _unlisted()
            holders += _those_of(self._unlisted, thing)
        return [one for one in holders if one is not self.__dict__ and one is not self._unlisted]


def _unlisted():
    everything = _graph.everything()
    return [one for one in everything if type(one) in (dict, tuple) and not gc.is_tracked(one)]


def _those_of(candidates, thing):
    """Not a comprehension: below 3.12 that puts `thing` into a cell, which refers to it, too."""
    found = []
    for one in candidates:
        if _refers(one, thing):
            found.append(one)
    return found


def _refers(one, thing):
    return any(part is thing for part in _graph.referents([one]))


def chain(thing, max_depth=20):
    """A shortest way from a module to the object: [module, ..., object], each referring to the next.

    [object] alone if there is none of `max_depth` steps. Each step looks through all objects that
    the garbage collector knows, so this takes a while in large programs.
    """
    with _engine.own_work():
        return _shortest(thing, max_depth)


def _shortest(thing, max_depth):
    objects, next_of = {id(thing): thing}, {}
    level, ours, all_holders = [thing], {id(objects), id(next_of)}, _Holders()
    for _ in range(max_depth):
        ours.add(id(level))
        found = []
        ours.add(id(found))
        for one in level:
            holders = all_holders.of(one)
            ours.add(id(holders))
            for holder in holders:
                number = id(holder)
                if number in objects or number in ours:
                    continue
                objects[number], next_of[number] = holder, id(one)
                if isinstance(holder, types.ModuleType):
                    return _way(number, objects, next_of)
                found.append(holder)
        level = found
    return [thing]


def _way(number, objects, next_of):
    way = [objects[number]]
    while number in next_of:
        number = next_of[number]
        way.append(objects[number])
    return way
