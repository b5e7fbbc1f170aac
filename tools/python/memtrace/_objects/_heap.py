"""heap(): the table of all objects by type, and the lines that allocated them."""

import marshal
from collections import Counter
from itertools import compress

from .. import _units
from . import _engine, _graph, _measure


class TypeRow:
    """All objects of one type: `name`, `count`, `size` in bytes with the buffers they own, and
    `lines`, [((file, line), bytes)] of where it was allocated, most first (empty without tracing)."""

    __slots__ = ("name", "count", "size", "lines")

    def __init__(self, name, count=0, size=0, lines=()):
        self.name = name
        self.count = count
        self.size = size
        self.lines = lines

    def __repr__(self):
        return "TypeRow({!r}, count={}, size={})".format(self.name, self.count, self.size)

    @property
    def place(self):
        """ "file:line" of the line that allocated most of it, "" where none is known."""
        return place(self.lines[0][0]) if self.lines else ""


class Heap:
    """The objects of a moment.

    `by_type` has rows, largest first; `count` and `size` are their sums. `live` is what is live in
    the whole process (None without tracing), `static` the part of `size` that is not in it: objects
    whose block is not known to the recorder. `other` is what is live and in no object.
    """

    def __init__(self, rows, live, static):
        # One object, so that a later table does not show this one's rows.
        self._rows = marshal.dumps([(row.name, row.count, row.size, row.lines) for row in rows])
        self.count = sum(row.count for row in rows)
        self.size = sum(row.size for row in rows)
        self.live = live
        self.static = static

    @property
    def by_type(self):
        return [TypeRow(*row) for row in marshal.loads(self._rows)]

    @property
    def other(self):
        return None if self.live is None else self.live - (self.size - self.static)

    def __getitem__(self, kind):
        """The row of a type, given as such or by its name."""
        name = type_name(kind) if isinstance(kind, type) else kind
        for row in self.by_type:
            if row.name == name:
                return row
        return TypeRow(name)

    def __str__(self):
        return self.format()

    def format(self, limit=20):
        """The table as text, with `limit` types."""
        lines = ["{:,} objects, {}".format(self.count, _units.size(self.size))]
        if self.live is not None:
            lines[0] += "; live in the process: {}, not in objects: {}".format(
                _units.size(self.live), _units.size(self.other)
            )
        by_type = self.by_type
        rows = [
            (
                "{:,}".format(row.count),
                _units.size(row.size),
                _units.share(row.size, self.size),
                row.name,
                row.place,
            )
            for row in by_type[:limit]
        ]
        header = ("Count", "Size", "Share", "Type", "Most of it from")
        lines += _units.table(header, rows, left=(3, 4))
        if len(by_type) > limit:
            lines.append("and {:,} more types".format(len(by_type) - limit))
        return "\n".join(lines)


def heap():
    """All objects that there are now, by type, as a `Heap`; print it to see the table.

    Objects are those that the garbage collector knows and all that they refer to; garbage is
    collected first. Types of the same name are one row. Takes about a second for a million objects.
    """
    return _engine.thorough(make)


def make(found, hidden=None):
    """The same without what goes around it, and without the object `hidden`."""
    live = found.total_bytes() if found else None
    return _table(found, _measure.Measured(found, _graph.everything(hidden)), live)


def _table(found, measured, live):
    rows, lines = {}, {}
    places = _engine.Places(found) if found else None

    def add(kind, size, place, times):
        """`times` objects or buffers of that size and site."""
        row = rows[kind]
        row.size += size * times
        if place and places:
            lines[kind][places.line(place & _engine.SITE)] += size * times

    for kind, type_ in measured.types.items():
        rows[kind], lines[kind] = TypeRow(type_name(type_)), Counter()
    static = 0
    blocks = Counter(zip(measured.kinds, measured.sizes, measured.places))
    for (kind, size, place), times in blocks.items():
        rows[kind].count += times
        static += 0 if place else size * times
        add(kind, size, place, times)
    for buffers in measured.buffers:
        for (size, place), times in Counter(_pairs(buffers)).items():
            static += 0 if place else size * times
            add(buffers.kind, size, place, times)
    return Heap(_merged(rows, lines), live, static if found else 0)


def _pairs(buffers):
    return compress(zip(buffers.sizes, buffers.places), buffers.sizes)


def _merged(rows, lines):
    """Rows by name, largest first."""
    by_name, lines_of = {}, {}
    for kind, row in rows.items():
        one = by_name.setdefault(row.name, TypeRow(row.name))
        one.count += row.count
        one.size += row.size
        lines_of.setdefault(row.name, Counter()).update(lines[kind])
    for name, one in by_name.items():
        one.lines = lines_of[name].most_common()
    return sorted(by_name.values(), key=lambda row: (-row.size, row.name))


def type_name(kind):
    """A type's name with its module, but for those that are built in."""
    module = getattr(kind, "__module__", None)
    if not isinstance(module, str) or module == "builtins":
        return kind.__qualname__
    return "{}.{}".format(module, kind.__qualname__)


def place(line):
    """(file, line) in words."""
    file, number = line
    return "{}:{}".format(file, number) if number else file
