"""Allocations of known sizes, and everything that tracemalloc says of them, as JSON.

    tracemalloc_known.py standard|compat NFRAME

The same program for the standard module and for memtrace's: what it prints has to be the same. Only
this file's lines are asked about, and of memory that no freelist hands out again: those two things
are where the modules differ by design. So freelists are full of older objects when tracing starts.
"""

import gc
import importlib
import json
import random
import sys

tracemalloc = importlib.import_module(
    {"standard": "tracemalloc", "compat": "memtrace.compat.tracemalloc"}[sys.argv[1]]
)
NFRAME = int(sys.argv[2])
HERE = tracemalloc.Filter(True, __file__)


class Slotted:
    __slots__ = ("value",)


def leaf(size):
    return bytearray(size)


def middle(size):
    return [leaf(size), bytes(size)]


def deep(depth, size):
    if depth:
        return deep(depth - 1, size)
    return bytes(size)


def first_part():
    kept = {}
    kept["blocks"] = [bytes(n) for n in range(100, 160)]
    kept["equal"] = [bytes(1000) for _ in range(50)]
    kept["two lines"] = [bytes(2000), bytes(2000)] + [
        bytes(3000),
    ]
    kept["text"] = "x" * 10000 + "é" * 500
    kept["objects"] = [Slotted() for _ in range(100)]
    kept["zero"] = [bytearray() for _ in range(20)]
    for n in range(10):
        kept[n] = middle(500 + n)
    kept["deep"] = deep(40, 7777)
    kept["set"] = set(range(1000, 1300))
    kept["dict"] = {n: None for n in range(1000, 1300)}
    exec(compile("made = bytes(4321)", "<made>", "exec"), kept)
    return kept


def second_part(kept):
    kept["more"] = [bytes(1000 + n) for n in range(70)]  # is new
    for n in range(10, 25):
        kept[n] = middle(500)  # grows
    kept["large"] = bytearray(20 << 20)
    del kept["blocks"][30:]  # shrinks
    del kept["equal"]  # vanishes


def texts(statistics):
    return [[str(s), repr(s), s.size, s.count] for s in statistics]


def random_filters(pick):
    names = [
        __file__,
        "*known*",
        "*.py",
        "<made>",
        "<*",
        "*",
        "no such",
        "<unknown>",
        __file__ + "c",
    ]
    lines = [None, None, None] + [s[1] for s in LINES]
    filters = []
    for _ in range(pick.randrange(4)):
        if pick.random() < 0.15:
            filters.append(tracemalloc.DomainFilter(pick.random() < 0.5, pick.choice([0, 389047])))
        else:
            filters.append(
                tracemalloc.Filter(
                    pick.random() < 0.6,
                    pick.choice(names),
                    pick.choice(lines),
                    pick.random() < 0.5,
                    pick.choice([None, None, 0, 7]),
                )
            )
    return filters


class Large(tracemalloc.BaseFilter):
    """A program's own filter, which looks at sizes."""

    def _match(self, trace):
        return (trace[1] >= 1000) == bool(self.inclusive)


def wide(depth):
    """Leaves frames that are large enough for all functions here: to 3.10 they are on a freelist."""
    a = b = c = d = e = f = g = h = i = j = k = x = m = n = o = p = q = r = s = t = depth
    if depth:
        wide(depth - 1)
    return [a, b, c, d, e, f, g, h, i, j, k, x, m, n, o, p, q, r, s, t, a, b, c, d, e, f, g, h]


def fill_freelists():
    for make in (list, dict, lambda: {1: 1}, float, lambda: iter([]), lambda: lambda: None):
        [make() for _ in range(3000)]
    for length in range(25):
        [tuple(range(length)) for _ in range(3000)]
    wide(300)


gc.disable()  # a full collection empties freelists

# All once without tracing: what Python makes the first time is not there to be counted.
second_part(first_part())
tracemalloc.start()
tracemalloc.get_object_traceback(tracemalloc.take_snapshot().statistics("lineno"))
tracemalloc.stop()
fill_freelists()
for function in (tracemalloc.take_snapshot, tracemalloc.get_object_traceback):
    try:
        function(*[None] * (function is tracemalloc.get_object_traceback))
    except RuntimeError:
        pass

tracemalloc.start(NFRAME)
kept = first_part()
old = tracemalloc.take_snapshot()
second_part(kept)
new = tracemalloc.take_snapshot()
told = {"limit": tracemalloc.get_traceback_limit(), "limits": new.traceback_limit}
told["tracebacks"] = [
    [str(t), repr(list(t)), t.format(), t.format(2), t.format(-2), t.format(3, True)]
    for t in map(
        tracemalloc.get_object_traceback,
        [kept["deep"], kept[3][0], kept[20][1], kept["large"], kept["objects"][7], kept["made"]],
    )
]
told["none"] = repr([tracemalloc.get_object_traceback(x) for x in (None, 5, sys, "static")])
tracemalloc.stop()
told["stopped"] = [
    tracemalloc.is_tracing(),
    tracemalloc.get_traced_memory(),
    tracemalloc.get_object_traceback(kept["deep"]),
    tracemalloc._get_traces(),
]

old, new = old.filter_traces([HERE]), new.filter_traces((HERE,))
VIEWS = [("lineno", False), ("filename", False), ("traceback", False)]
VIEWS += [("lineno", True), ("filename", True)]
for by, cumulative in VIEWS:
    name = "%s %s " % (by, cumulative)
    told[name + "old"] = texts(old.statistics(by, cumulative))
    told[name + "new"] = texts(new.statistics(by, cumulative))
    told[name + "compare"] = texts(new.compare_to(old, by, cumulative))
    told[name + "back"] = texts(old.compare_to(new, by, cumulative))

LINES = sorted({(s.traceback[0].filename, s.traceback[0].lineno) for s in new.statistics("lineno")})
pick = random.Random(7)
for number in range(60):
    by, cumulative = VIEWS[number % len(VIEWS)]
    filters = random_filters(pick)
    some = new.filter_traces(filters).filter_traces(random_filters(pick))
    told["filter %d" % number] = texts(some.compare_to(old.filter_traces(filters), by, cumulative))
for inclusive in (True, False):
    told["own filter %s" % inclusive] = texts(
        new.filter_traces([Large(inclusive), HERE]).statistics("lineno")
    )
told["traces"] = sorted(
    [t.domain, t.size, str(t), repr(t.traceback)] for t in new.traces if t.size != 24
)
told["count"] = len(new.traces)
told["errors"] = []
for wrong in (
    lambda: new.statistics("line"),
    lambda: new.statistics("traceback", True),
    lambda: new.compare_to(old, "x"),
    lambda: new.filter_traces(5),
    lambda: tracemalloc.start(0),
    lambda: tracemalloc.start(-1),
    lambda: tracemalloc.start("5"),
    lambda: tracemalloc.start(2.5),
    lambda: tracemalloc.take_snapshot(),
):
    try:
        wrong()
    except Exception as error:
        told["errors"].append([type(error).__name__, str(error)])
print(json.dumps(told, indent=1))
