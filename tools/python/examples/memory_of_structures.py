"""What the same data takes in different structures, measured.

    memtrace run python memory_of_structures.py [NUMBER]

NUMBER is how many numbers the sequences hold, 10,000,000 unless told. Each row is a way to hold them:
bytes that were live afterwards and not before, the highest that were live meanwhile, and the size that
memtrace.asizeof() tells. numpy's rows are there if numpy is. With --json, figures for programs.
"""

import array
import gc
import itertools
import json
import mmap
import os
import sys
import tempfile

import memtrace

try:
    import numpy
except ImportError:
    numpy = None


class Normal:
    def __init__(self, name, identifier):
        self.name = name
        self.identifier = identifier


class Smaller:
    __slots__ = ("name", "identifier")

    def __init__(self, name, identifier):
        self.name = name
        self.identifier = identifier


def size(figure):
    """Bytes in binary units."""
    for unit in ("B", "KiB", "MiB"):
        if abs(figure) < 10240:
            break
        figure /= 1024
    else:
        unit = "GiB"
    return "{:.0f} {}".format(figure, unit) if unit == "B" else "{:.1f} {}".format(figure, unit)


def measure(make):
    """(live afterwards, highest meanwhile, asizeof) of what `make` returns."""
    gc.collect()
    memtrace.reset_peak()
    before = memtrace.current()
    made = make()
    after, highest = memtrace.current(), memtrace.peak()
    return after - before, highest - before, memtrace.asizeof(made)


def memory_intensive(count):
    """Two lists, one of which goes again."""
    small = [None] * count
    big = [None] * (10 * count)
    del big
    return small


def sequences(count):
    yield "list of a range", lambda: list(range(count))
    yield "tuple of a range", lambda: tuple(range(count))
    yield "set of a range", lambda: set(range(count))
    yield "array('l')", lambda: array.array("l", [0]) * count
    yield "array('i')", lambda: array.array("i", [0]) * count
    yield "array('b')", lambda: array.array("b", [0]) * count
    yield "bytearray", lambda: bytearray(count)
    if numpy:
        yield "numpy int64", lambda: numpy.ones(count, "int64")
        yield "numpy int16", lambda: numpy.ones(count, "int16")
        yield "numpy complex", lambda: numpy.ones(count, complex)
    yield "generator", lambda: (number for number in itertools.count())
    yield "two lists, one deleted", lambda: memory_intensive(count // 10)


def instances(count):
    yield "objects with __dict__", lambda: [Normal(None, None) for _ in range(count)]
    yield "objects with __slots__", lambda: [Smaller(None, None) for _ in range(count)]


def files(folder, count):
    """A file of 8 * count bytes, read whole and mapped."""
    path = os.path.join(folder, "numbers")
    with open(path, "wb") as file:
        file.truncate(8 * count)

    def read():
        with open(path, "rb") as file:
            return file.read()

    def mapped():
        with open(path, "rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    yield "file read", read
    yield "file in mmap", mapped
    if numpy:
        yield "file in numpy.memmap", lambda: numpy.memmap(path, "int64", "r")


def rows(count):
    """{name: figures} of all structures."""
    list(map(measure, (list, list)))  # what the first measurement itself loads
    with tempfile.TemporaryDirectory() as folder:
        ways = itertools.chain(sequences(count), instances(count // 100), files(folder, count))
        return {name: measure(make) for name, make in ways}


def main(arguments):
    if not memtrace.is_tracing():
        sys.exit("start this program with: memtrace run python " + sys.argv[0])
    numbers = [int(argument) for argument in arguments if argument != "--json"]
    count = numbers[0] if numbers else 10000000
    found = rows(count)
    if "--json" in arguments:
        print(json.dumps(found))
        return
    print("{:,} numbers; {:,} objects".format(count, count // 100))
    print("{:24} {:>12} {:>12} {:>12}".format("", "Live", "Highest", "asizeof"))
    for name, figures in found.items():
        print("{:24} {:>12} {:>12} {:>12}".format(name, *map(size, figures)))


if __name__ == "__main__":
    main(sys.argv[1:])
