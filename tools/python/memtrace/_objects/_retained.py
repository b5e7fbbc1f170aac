"""retained(): what would be freed if an object went.

The algorithm is trial deletion, with which CPython's own collector looks for cycles (Lins 1992; Bacon
and Rajan 2001): of all that the object reaches, the references that come from inside are counted and
taken from the reference counts. Whoever has references left is held from outside, stays, and keeps
all that it reaches. The rest goes. In a graph of known roots those are the objects that the given
one dominates (Lengauer and Tarjan 1979).
"""

import sys
from collections import Counter
from itertools import repeat

from . import _engine, _graph, _measure


def retained(thing):
    """Bytes that would be freed if this object went: itself and what only it holds.

    References to the object itself are taken to be gone, whoever holds them; references to what it
    holds count, local variables included. What C code holds unseen by the garbage collector stays,
    so the figure is never too high for what it sees. Buffers count as in `asizeof`.
    """
    with _engine.own_work() as found:
        return _measure.Measured(found, _going(thing)).total()


def _going(thing):
    """The object and all objects that only it and they hold."""
    reached = {}
    objects = _graph.reach([thing], reached, list)
    counts = list(map(sys.getrefcount, objects))
    inside = Counter(map(id, _graph.references(objects)))
    ours = _our_references()
    held = [
        one
        for one, count, within in zip(objects, counts, map(inside.get, reached, repeat(0)))
        if count - within > ours and one is not thing
    ]
    stays = {id(thing): thing}
    _graph.reach(held, stays, list)
    return [thing] + [one for number, one in reached.items() if number not in stays]


def _our_references():
    """What sys.getrefcount tells of an object that only the above refers to."""
    one = object()
    reached = {id(one): one}
    objects = [one]
    del one
    counts = list(map(sys.getrefcount, objects))
    reached.clear()
    return counts[0]
