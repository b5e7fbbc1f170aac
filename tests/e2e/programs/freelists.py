"""Objects that CPython keeps freelists of: made at one line, freed, and made again at another.

The blocks are the same ones, so no allocator event takes place at the second line. memtrace counts
events: they stay at the first. tracemalloc moves them to the second.
"""

COUNT = 40
hold = [None] * 4000
first = [None] * COUNT
second = [None] * COUNT

# Whatever the freelists hold now is used up, so that the first lines below really allocate.
for i in range(400):
    hold[i] = float(i + 0.5)
    hold[i + 400] = [i]
    hold[i + 800] = {}
for i in range(2400):
    hold[i + 1200] = (i, hold)


def floats(value):
    for i in range(COUNT):
        first[i] = value + i  # first: float
    for i in range(COUNT):
        first[i] = None
    for i in range(COUNT):
        second[i] = value + i  # second: float
    return list(second)


def lists():
    for i in range(COUNT):
        first[i] = []  # first: list
    for i in range(COUNT):
        first[i] = None
    for i in range(COUNT):
        second[i] = []  # second: list
    return list(second)


def dicts():
    for i in range(COUNT):
        first[i] = {}  # first: dict
    for i in range(COUNT):
        first[i] = None
    for i in range(COUNT):
        second[i] = {}  # second: dict
    return list(second)


def tuples():
    for i in range(COUNT):
        first[i] = (i, first)  # first: tuple
    for i in range(COUNT):
        first[i] = None
    for i in range(COUNT):
        second[i] = (i, second)  # second: tuple
    return list(second)


results = [floats(0.25), lists(), dicts(), tuples()]
