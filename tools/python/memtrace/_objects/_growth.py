"""growth(): what has come since the last call, by type and by line."""

import marshal
import threading

from .. import _units
from . import _engine, _heap

_lock = threading.Lock()
_last = None  # as one object, which the tables leave out


class GrowthRow:
    """What grew: `name` (a type's, or "file:line"), `count` and `size` now, the differences
    `count_diff` and `size_diff`, and of a type `place`, the line whose part of it grew most."""

    __slots__ = ("name", "count", "size", "count_diff", "size_diff", "place")

    def __init__(self, name, now, before, place=""):
        self.name = name
        self.count, self.size = now
        self.count_diff = now[0] - before[0]
        self.size_diff = now[1] - before[1]
        self.place = place

    def __repr__(self):
        return "GrowthRow({!r}, size={} ({:+}), count={} ({:+}))".format(
            self.name, self.size, self.size_diff, self.count, self.count_diff
        )


class Growth:
    """`by_type` and `by_line`: what is more than at the last call, by size, most first.

    Lines are of all live blocks of the process, C libraries' included, types of objects with their
    buffers. `is_first`: there was no call before, and nothing to compare with.
    """

    def __init__(self, by_type, by_line, is_first):
        self.by_type = by_type
        self.by_line = by_line
        self.is_first = is_first

    def __str__(self):
        return self.format()

    def format(self, limit=10):
        """Both tables as text, with `limit` rows each."""
        if self.is_first:
            return "The first call: the next one tells what has grown since."
        if not self.by_type and not self.by_line:
            return "Nothing has grown."
        types = [(*_figures(row), row.name, row.place) for row in self.by_type[:limit]]
        lines = _units.table(
            ("Count", "Grown", "Size", "Grown", "Type", "Most from"), types, (4, 5)
        )
        if self.by_line:
            rows = [(*_figures(row), row.name) for row in self.by_line[:limit]]
            lines.append("")
            lines += _units.table(("Blocks", "Grown", "Size", "Grown", "Line"), rows, (4,))
        return "\n".join(lines)


def _figures(row):
    return (
        "{:,}".format(row.count),
        "{:+,}".format(row.count_diff),
        _units.size(row.size),
        _units.size(row.size_diff, signed=True),
    )


def growth():
    """What has grown since the last call, as a `Growth`; print it to see the tables.

    The first call remembers the present state and tells nothing. Garbage is collected first.
    """
    with _lock:
        return _engine.thorough(_since_last)


def _since_last(found):
    global _last
    now = _state(found)
    before, _last = _last, marshal.dumps(now)
    return _between(marshal.loads(before), now) if before else Growth([], [], True)


def _state(found):
    """({type name: (count, size)}, {type name: {place: size}}, {place: (blocks, bytes)})."""
    rows = _heap.make(found, _last).by_type
    types = {row.name: (row.count, row.size) for row in rows}
    places = {row.name: {_heap.place(line): size for line, size in row.lines} for row in rows}
    return types, places, _lines(found) if found else {}


def _between(before, now):
    by_type = _grown(now[0], before[0])
    for row in by_type:
        row.place = _place_of_growth(now[1].get(row.name, {}), before[1].get(row.name, {}))
    return Growth(by_type, _grown(now[2], before[2]), False)


def _place_of_growth(now, before):
    """The place with the highest difference, "" if none is above 0."""
    grown = ((size - before.get(place, 0), place) for place, size in now.items())
    size, place = max(grown, default=(0, ""))
    return place if size > 0 else ""


def _lines(found):
    """Blocks and bytes of each line, of all live blocks."""
    places, sums = _engine.Places(found), {}
    for size, count, site in _engine.live_groups(found):
        line = places.line(site)
        blocks, total = sums.get(line, (0, 0))
        sums[line] = (blocks + count, total + size * count)
    return {_heap.place(line): figures for line, figures in sums.items()}


def _grown(now, before):
    nothing = (0, 0)
    rows = [GrowthRow(name, figures, before.get(name, nothing)) for name, figures in now.items()]
    rows = [row for row in rows if row.size_diff > 0 or (row.size_diff == 0 and row.count_diff > 0)]
    return sorted(rows, key=lambda row: (-row.size_diff, -row.count_diff, row.name))
