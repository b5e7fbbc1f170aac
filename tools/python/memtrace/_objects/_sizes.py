"""asizeof and asized: what objects take together with all that they refer to.

Types, modules, functions and code are left out, unless one is asked for itself. None, small integers
and the like count as well, as they do elsewhere, although they are shared by the whole program.
"""

from .. import _units
from . import _engine, _graph, _measure

_WIDTH = 60


def asizeof(*objects):
    """Bytes that the objects take with all that they refer to; what they share counts once.

    In a traced process these are the allocator's figures: each object's block and the buffers that
    objects own, data of numpy arrays and pandas frames included. Else they are `sys.getsizeof`'s,
    which does not know all of it: the attributes of instances in CPython 3.11 and 3.12, for one.
    """
    with _engine.own_work() as found:
        return _measure.Measured(found, _graph.reach(objects, {})).total()


def asized(*objects, detail=0):
    """Like `asizeof`, with the parts: an `Asized` of the object, or a list of them if there are more.

    `detail` is how many levels of `.refs` there are. To name attributes they are asked for
    their `__dict__`, which CPython 3.11 and later make when it is asked for first, and keep.
    """
    if not objects:
        raise TypeError("asized() needs an object to measure")
    with _engine.own_work() as found:
        seen = {}
        sized = [_asized(found, one, "", detail, seen) for one in objects]
    return sized[0] if len(sized) == 1 else sized


class Asized:
    """An object's sizes: `size` with all it refers to, `flat` alone, `name`, and `refs`, the parts.

    A part that occurs twice is counted where it comes first; so flat + sum(refs' size) is size.
    """

    __slots__ = ("size", "flat", "name", "refs")

    def __init__(self, size, flat, name, refs=()):
        self.size = size
        self.flat = flat
        self.name = name
        self.refs = refs

    def __repr__(self):
        return "Asized(size={}, flat={}, name={!r}, refs=[{}])".format(
            self.size, self.flat, self.name, len(self.refs)
        )

    def format(self, format="{name}: size={size}, flat={flat}", indent=""):
        """The tree in words; in `format`, {size} and {flat} are such as "10.0 KiB", {name} text."""
        line = indent + format.format(
            name=self.name, size=_units.size(self.size), flat=_units.size(self.flat)
        )
        return "\n".join([line] + [part.format(format, indent + "    ") for part in self.refs])


def _asized(found, one, prefix, detail, seen):
    name = prefix + short(one)
    if id(one) in seen:
        return Asized(0, 0, name)
    flat = _measure.Measured(found, [one]).total()
    if not detail:
        size = _measure.Measured(found, _graph.reach([one], seen)).total()
        return Asized(size, flat, name)
    seen[id(one)] = one
    refs = [_asized(found, part, label, detail - 1, seen) for label, part in _parts(one)]
    refs.sort(key=lambda part: part.size, reverse=True)
    return Asized(flat + sum(part.size for part in refs), flat, name, tuple(refs))


def _parts(one):
    """(label, object) of what the object refers to, each once."""
    parts = {id(part): part for part in _graph.without_code(_graph.referents([one]))}
    labels = _labels(one)
    for number, part in parts.items():
        yield labels.get(number, ""), part


def _labels(one):
    """{id: what it is in the object} of keys and values, or of attributes."""
    if isinstance(one, dict):
        labels = {id(value): "[{}] ".format(short(key)) for key, value in dict.items(one)}
        labels.update((id(key), "key ") for key in dict.keys(one))
        return labels
    labels = {}
    for base in type(one).__mro__:
        for name, member in vars(base).items():
            if type(member).__name__ == "member_descriptor":
                try:
                    labels[id(member.__get__(one))] = "." + name + ": "
                except AttributeError:  # a slot that has no value
                    pass
    attributes = getattr(one, "__dict__", None)
    if type(attributes) is dict:
        labels.update((id(value), "." + name + ": ") for name, value in attributes.items())
        labels[id(attributes)] = ".__dict__: "
    return labels


def short(one):
    """A name of few characters for an object."""
    text = None
    try:
        if not hasattr(type(one), "__len__") or len(one) < 1000:
            text = repr(one)
    except Exception:  # of the program's own methods
        pass
    if text is None:
        return "<{} at {:#x}>".format(type(one).__name__, id(one))
    return text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."
