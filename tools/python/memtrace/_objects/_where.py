"""where(): the stack that allocated an object."""

import linecache

from . import _engine


class Where:
    """Frames of an allocation, oldest first as in tracebacks: (file, line, function) each.

    `size` is that of the object's block. print() shows it like a traceback.
    """

    __slots__ = ("frames", "size")

    def __init__(self, frames, size):
        self.frames = frames
        self.size = size

    def __len__(self):
        return len(self.frames)

    def __iter__(self):
        return iter(self.frames)

    def __getitem__(self, index):
        return self.frames[index]

    def __repr__(self):
        return "Where({!r}, size={})".format(self.frames, self.size)

    def __str__(self):
        return "\n".join(["Allocated at (most recent call last):"] + self.format())

    def format(self):
        """Lines of text: file, line and function of each frame, and its source where there is."""
        lines = []
        for file, line, function in self.frames:
            lines.append('  File "{}", line {}, in {}'.format(file, line, function))
            source = linecache.getline(file, line).strip()
            if source:
                lines.append("    " + source)
        return lines


def where(thing):
    """The stack that allocated the object's own block, as a `Where`; None where it is not known.

    Not known are static objects, what was there before tracing began, and everything in a process
    that is not traced. CPython keeps some freed objects of common types (tuples, lists, dicts,
    floats) for the next one: such an object has the place that got the memory first.
    """
    with _engine.own_work() as found:
        sizes, places = _engine.find(found, _engine.addresses_of([thing]))
        if not places[0]:
            return None
        frames = list(_engine.Places(found).frames(places[0] & _engine.SITE))
        return Where(tuple(reversed(frames)), sizes[0])
