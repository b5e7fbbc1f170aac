"""Known numbers of objects of known sizes on known lines.

`# known: N x BYTES` says what is alive at the end from that line, by arithmetic alone; every other
line is compared with tracemalloc. Objects of types that CPython keeps freelists of (lists, tuples,
dicts, floats, frames up to 3.10) are never freed here and each function is called from one line, so
that a freelist can hand nothing from one line to another; freelists.py is about that.
"""

import gc

gc.disable()
N = 60
keep = [None] * 4000


def plain_bytes():
    for i in range(N):
        keep[i] = bytes(1000)  # known: 60 x 1033
    for i in range(N):
        keep[i + 100] = bytes(200 + i)  # kept and freed below
    for i in range(0, N, 2):
        keep[i + 100] = None
    for i in range(N):
        keep[200] = bytes(3000)  # known: 1 x 3033


def byte_arrays():
    for i in range(N):
        keep[i + 300] = bytearray(5000)  # known: 60 x 56 + 60 x 5001
    for i in range(N):
        keep[i + 400] = bytearray(100)  # known: 60 x 56
        keep[i + 400].extend(keep[0])  # its buffer is reallocated here


def texts():
    for i in range(N):
        keep[i + 500] = "x" * (1000 + i)
    for i in range(N):
        keep[i + 600] = "\u20ac" * (300 + i)
    for i in range(0, N, 3):
        keep[i + 600] = None


def numbers():
    for i in range(N):
        keep[i + 700] = 1 << (20000 + 30 * i)
    for i in range(N):
        keep[i + 800] = 7 ** (500 + i)


def containers():
    for i in range(N):
        keep[i + 900] = [None] * (10 + i)
    for i in range(N):
        keep[i + 1000] = (None,) * (40 + i)
    for i in range(N):
        keep[i + 1100] = dict.fromkeys(keep[i + 900 : i + 900])
    for i in range(N):
        keep[i + 1200] = {1, 2, 3, i + 1000}
    for i in range(20):
        keep[i + 1300] = list(range(1000))


class Slotted:
    __slots__ = ("first", "second", "third")


class Plain:
    def __init__(self, value):
        self.value = value
        self.other = None


def instances():
    for i in range(N):
        keep[i + 1400] = Slotted()
    for i in range(N):
        keep[i + 1500] = Plain(i)


def outer(size):
    def inner(extra):
        return bytes(size + extra)  # known: 10 x 777

    return inner(44)


def nested():
    for i in range(10):
        keep[i + 1600] = outer(700)


def chunks(count):
    for i in range(count):
        yield bytes(2000)  # known: 12 x 2033


def unfinished():
    yield bytes(2500)  # known: 1 x 2533
    yield None


def generators():
    position = 1700
    for chunk in chunks(12):
        keep[position] = chunk
        position += 1
    keep[1750] = unfinished()
    keep[1751] = next(keep[1750])  # that block belongs to the line of the yield


def comprehensions():
    keep[1800] = [bytes(600 + i) for i in range(N)]
    keep[1801] = {bytes(2 + i) for i in range(N)}
    keep[1802] = tuple(bytes(500) for i in range(N))


def recursive(depth):
    keep[1900 + depth] = bytes(400)  # known: 11 x 433
    if depth:
        recursive(depth - 1)


def growing():
    keep[2000] = []
    for i in range(5000):
        keep[2000].append(None)
    keep[2001] = bytearray()
    for i in range(100):
        keep[2001] += keep[0]


# fmt: off
def long_line_table(which):
    if which == 0:
        return (
            bytes(
                911
            ),
            bytes(912), bytes(913),
        )
    return [
        bytes(914),

        bytes(915),
    ]


# fmt: on
plain_bytes()
byte_arrays()
texts()
numbers()
containers()
instances()
nested()
generators()
comprehensions()
growing()
for which in range(2):
    keep[2100 + which] = long_line_table(which)
recursive(10)
