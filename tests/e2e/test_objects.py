"""Sizes, tables, growth and lifetimes of objects, by the package `memtrace`, under every Python.

The truth is arithmetic: what CPython's structures take on 64 bits is known, block by block.
"""

import pytest
import test_python_api
import venvs

NONE = 16
LIST = 16 + 40  # the collector's header and the object
run_program = test_python_api.run_program


def text_sizes(version):
    """Bytes before the characters: of ASCII texts, and of others."""
    return (40, 56) if version >= (3, 12) else (48, 72)


def tuple_size(version, length):
    return 16 + 24 + 8 * length + (8 if version >= (3, 14) else 0)


def test_sizes_of_plain_structures(session, python):
    told = run_program(
        session,
        python,
        """
        import array, collections, json, sys
        from memtrace import asizeof
        n = 1000
        class Slots:
            __slots__ = ("a", "b", "c")
            def __init__(self):
                self.a = bytearray(10)
        text = "".join(["x"] * n)
        grown = []
        for _ in range(n):
            grown.append(None)
        table = {}
        for i in range(n):
            table[float(i)] = None
        some = set(table)
        ordered = collections.OrderedDict.fromkeys(table)
        blocks = collections.deque([None] * n)
        numbers = [1 << 70 for _ in range(3)] + [1 << 71, 1 << 72]
        print(json.dumps({
            "bytearray": asizeof(bytearray(n)),
            "empty list": asizeof([]),
            "list": asizeof([None] * n),
            "grown list": [asizeof(grown), sys.getsizeof(grown)],
            "list of floats": asizeof([float(i) for i in range(n)] * 1) - asizeof([None] * n),
            "tuple": asizeof((None,) * n),
            "bytes": asizeof(bytes(bytearray(n))),
            "ascii": asizeof(text),
            "latin": asizeof("".join([chr(0xe9)] * n)),
            "two bytes": asizeof("".join([chr(0x20ac)] * n)),
            "four bytes": asizeof("".join([chr(0x1f600)] * n)),
            "array": [asizeof(array.array("q", [1]) * n), sys.getsizeof(array.array("q"))],
            "dict": [asizeof(table), sys.getsizeof(table)],
            "set": [asizeof(some), sys.getsizeof(some)],
            "frozenset": [asizeof(frozenset(some)), sys.getsizeof(frozenset(some))],
            "OrderedDict": [asizeof(ordered), sys.getsizeof(ordered)],
            "deque": [asizeof(blocks), sys.getsizeof(blocks)],
            "small set": [asizeof({1.5}), sys.getsizeof({1.5})],
            "slots": asizeof(Slots()),
            "int": asizeof(int("1" + "0" * 30)),
        }))
        """,
    )
    n, (ascii_start, other_start) = 1000, text_sizes(python.version)
    assert told["bytearray"] == 56 + n + 1
    assert told["empty list"] == LIST
    assert told["list"] == LIST + 8 * n + NONE
    assert told["grown list"][0] == told["grown list"][1] + NONE
    assert told["list of floats"] == 24 * n - NONE
    assert told["tuple"] == tuple_size(python.version, n) + NONE
    assert told["bytes"] == 33 + n
    assert told["ascii"] == ascii_start + n + 1
    assert told["latin"] == other_start + n + 1
    assert told["two bytes"] == other_start + 2 * (n + 1)
    assert told["four bytes"] == other_start + 4 * (n + 1)
    assert told["array"][0] == told["array"][1] + 8 * n
    for what in ("dict", "set", "frozenset", "OrderedDict"):
        with_floats, alone = told[what]
        none = NONE if "ict" in what else 0
        assert with_floats == alone + 24 * n + none, what
    assert told["deque"][0] == told["deque"][1] + NONE
    assert told["small set"][0] == told["small set"][1] + 24
    assert told["slots"] == 16 + 16 + 3 * 8 + 56 + 11
    # 4 digits of 30 bits; what precedes them takes 24.
    assert told["int"] == 24 + 4 * 4


def test_shared_and_cyclic_parts_count_once(session, python):
    told = run_program(
        session,
        python,
        """
        import json
        from memtrace import asized, asizeof
        part = bytearray(1000)
        pair = [part, part]
        ring = [None]
        ring[0] = ring
        deep = []
        for _ in range(2000):
            deep = [deep]
        class Owner:
            def __init__(self):
                self.one, self.two = bytearray(100), bytearray(200)
        tree = asized({"a": part, "b": [part, bytearray(50)]}, detail=3)
        def sums(node):
            assert not node.refs or node.size == node.flat + sum(p.size for p in node.refs)
            return 1 + sum(map(sums, node.refs))
        owner = asized(Owner(), detail=2)
        print(json.dumps([
            asizeof(pair), asizeof(pair, pair, part), asizeof(ring), asizeof(deep),
            asizeof([[part], [part]]), [tree.size, sums(tree), tree.format().count("1057 B")],
            [owner.size, sums(owner), owner.format()], asizeof(Owner), asizeof(json),
        ]))
        """,
    )
    pair, twice, ring, deep, nested, tree, owner, of_type, of_module = told
    assert pair == twice == LIST + 16 + 1057
    assert ring == LIST + 8
    assert deep == 2000 * (LIST + 8) + LIST
    assert nested == LIST + 16 + 2 * (LIST + 8) + 1057
    assert tree[1] == 7  # the dict, two keys, the list, and the bytearrays, one of them twice
    assert tree[2] == 2  # flat and size of the part, where it comes first
    assert owner[0] > (56 + 101) + (56 + 201)
    assert ".one: bytearray" in owner[2] or "['one'] bytearray" in owner[2]
    assert of_type > 500
    assert of_module > 1000


def test_instances_are_what_the_allocator_gave(session, python):
    """A thousand of them, compared with the recorder's own total."""
    told = run_program(
        session,
        python,
        """
        import gc, json, memtrace
        class Plain:
            def __init__(self):
                self.a = self.b = self.c = None
        class Late(Plain):  # attributes beyond what the instances share
            def __init__(self):
                self.__dict__["x"] = None
        class Made(dict):
            def __init__(self):
                self.kept = None
                self["key"] = None
        def measure(make):
            places = [None] * 1000
            kept = [make() for _ in range(1100)]  # the first ones take more, and their code
            drained = [{} for _ in range(500)]  # memory that is kept for dicts
            before = memtrace.current()
            nothing = memtrace.current() - before
            before = memtrace.current()
            for i in range(1000):
                places[i] = make()
            grown = memtrace.current() - before - nothing
            named = None, "a", "b", "c", "x", "kept", "key"
            return grown, memtrace.asizeof(*places, *named) - memtrace.asizeof(*named)
        memtrace.asizeof(1), memtrace.current()
        gc.collect()
        gc.disable()
        print(json.dumps({"Plain": measure(Plain), "Late": measure(Late), "Made": measure(Made),
                          "object": measure(object), "bytearray": measure(bytearray)}))
        """,
    )
    for name, (grown, sized) in told.items():
        assert sized == grown, name
        assert sized >= 16 * 1000


def test_where_names_the_line(session, python):
    told = run_program(
        session,
        python,
        """
        import json, memtrace
        def inner():
            return bytearray(
                77)
        def outer():
            return inner()  # called here
        made = outer()
        where = memtrace.where(made)
        print(json.dumps([[list(frame) for frame in where], where.size, str(where),
                          memtrace.where(None) is None]))
        """,
    )
    frames, size, text, none = told
    assert [frame[0].rsplit("/", 1)[1] for frame in frames] == ["program.py"] * 3
    assert [frame[1] for frame in frames] == [8, 7, 5 if python.version < (3, 8) else 4]
    assert [frame[2] for frame in frames] == ["<module>", "outer", "inner"]
    assert size == 56
    assert text.splitlines()[0] == "Allocated at (most recent call last):"
    assert text.splitlines()[-1].strip() == "return bytearray("
    assert "return inner()  # called here" in text
    assert none is True


def test_heap_has_every_object_and_the_rest(session, python):
    told = run_program(
        session,
        python,
        """
        import gc, json, memtrace
        class Leaf:
            __slots__ = ("value",)
        memtrace.heap(), memtrace.current()
        gc.collect()
        before = memtrace.heap()
        kept = [None] * 500
        for i in range(500):
            kept[i] = Leaf()
            kept[i].value = bytearray(1000)  # line 11
        gc.collect()
        live = memtrace.current()
        after = memtrace.heap()
        def diff(kind):
            return after[kind].count - before[kind].count, after[kind].size - before[kind].size
        print(json.dumps({
            "leaf": diff(Leaf), "bytearray": diff(bytearray), "list": diff(list),
            "place": after[bytearray].place, "live": [live, after.live],
            "other": [before.other, after.other],
            "sums": [after.size, sum(row.size for row in after.by_type), after.static],
            "count": [after.count, sum(row.count for row in after.by_type)],
            "order": [row.size for row in after.by_type],
            "text": str(after), "short": after.format(limit=2),
        }))
        """,
    )
    assert told["leaf"] == [500, 500 * (16 + 16 + 8)]
    assert told["bytearray"] == [500, 500 * 1057]
    assert told["list"] == [1, LIST + 500 * 8]
    assert told["place"].endswith("program.py:11")
    assert 0 <= told["live"][1] - told["live"][0] < 2000
    # What is in no object does not depend on how many objects there are.
    assert told["other"][0] > 0
    assert abs(told["other"][1] - told["other"][0]) < 4096
    assert told["sums"][0] == told["sums"][1] > told["sums"][2]
    assert told["count"][0] == told["count"][1] > 1000
    assert told["order"] == sorted(told["order"], reverse=True)
    assert "program.py:11" in told["text"]
    assert "__main__.Leaf" in told["text"] or "more types" in told["text"]
    assert len(told["short"].splitlines()) == 5


def test_growth_finds_a_leak(session, python):
    told = run_program(
        session,
        python,
        """
        import gc, json, memtrace
        leaked = []
        class Event:
            __slots__ = ("payload",)
            def __init__(self):
                self.payload = bytearray(2000)  # line 7
        def work():
            local = [Event() for _ in range(50)]
            leaked.append(local[0])
        first = memtrace.growth()
        for _ in range(20):
            work()
        gc.collect()
        second = memtrace.growth()
        third = memtrace.growth()
        def rows(rows):
            return [[r.name, r.count_diff, r.size_diff] for r in rows]
        print(json.dumps([first.is_first, str(first), rows(second.by_type), rows(second.by_line),
                          second.by_type[0].place, str(second), rows(third.by_type)]))
        """,
    )
    is_first, said, types, lines, place, text, third = told
    assert is_first and "next one" in said
    assert types[0] == ["bytearray", 20, 20 * 2057]
    assert [row for row in types if row[0] == "__main__.Event"][0][1] == 20
    assert place.endswith("program.py:7")
    assert lines[0][0].endswith("program.py:7")
    assert lines[0][1:] == [40, 20 * 2057]
    assert "+20" in text and "program.py:7" in text
    # Nothing of what the calls themselves keep.
    assert not {row[0] for row in types[1:] + third} & {"bytes", "NoneType", "bytearray"}
    assert "__main__.Event" not in {row[0] for row in third}


def test_retained(session, python):
    told = run_program(
        session,
        python,
        """
        import json
        from memtrace import asizeof, retained
        chain = None
        for _ in range(10):
            chain = [chain, bytearray(100)]
        middle = chain[0][0]
        shared = bytearray(1000)
        left, right = [shared], [shared, bytearray(500)]
        only = [bytearray(1000)]
        ring = [[bytearray(300)]]
        ring[0].append(ring)
        print(json.dumps([
            retained(chain), retained(middle), retained(left), retained(right), retained(only),
            retained(ring), asizeof(ring), retained(shared), retained(None)
        ]))
        """,
    )
    one = LIST + 16 + 157
    chain, middle, left, right, only, ring, ring_size, shared, none = told
    # `middle` is held by a name, too: it stays when `chain` goes.
    assert chain == 2 * one
    assert middle == 8 * one
    assert left == LIST + 8
    assert right == LIST + 16 + 557
    assert only == LIST + 8 + 1057
    assert ring == ring_size > 300
    assert shared == 1057
    assert none == 16


def test_track(session, python):
    told = run_program(
        session,
        python,
        """
        import json, memtrace
        class Base:
            def __init__(self):
                self.data = bytearray(1000)
        class Child(Base):
            def __init__(self):
                super().__init__()
        class Slots:
            __slots__ = ()
        init = Base.__init__
        tracker = memtrace.track(Base, Child)
        tracker.create_snapshot("start")
        kept = [Base() for _ in range(5)] + [Child()]  # line 14
        second = tracker.create_snapshot("made")
        del kept[0]
        third = tracker.create_snapshot("one gone")
        tracker.close()
        after = Base()
        index = tracker.stats.index
        try:
            memtrace.track(Slots)
        except TypeError as error:
            refused = str(error)
        print(json.dumps([
            second.classes, third.classes, [t.lifetime is None for t in index["__main__.Base"]],
            index["__main__.Base"][1].where, len(index["__main__.Child"]),
            Base.__init__ is init, refused, tracker.stats.format(),
            index["__main__.Base"][0].lifetime >= 0,
        ]))
        """,
    )
    second, third, alive, where, children, restored, refused, text, lifetime = told
    assert second["__main__.Base"][0] == 5 and third["__main__.Base"][0] == 4
    assert second["__main__.Child"][0] == third["__main__.Child"][0] == 1
    one = second["__main__.Base"][1] - third["__main__.Base"][1]
    assert 1057 < one < 1057 + 600
    assert alive == [False, True, True, True, True]
    assert where[0].endswith("program.py") and where[1] == 14
    assert children == 1
    assert restored and lifetime
    assert "__weakref__" in refused
    assert [line.split()[0] for line in text.splitlines()[1::3]] == ["start", "made", "one"]


def test_who_holds_an_object(session, pythons):
    told = run_program(
        session,
        pythons[-1],
        """
        import json, memtrace
        class Holder:
            pass
        holder = Holder()
        holder.inner = [{"key": bytearray(10)}]
        wanted = holder.inner[0]["key"]
        del wanted
        wanted = holder.inner[0]
        found = memtrace.referrers(wanted)
        way = memtrace.chain(holder.inner[0]["key"])
        print(json.dumps([[type(one).__name__ for one in found],
                          [type(one).__name__ for one in way]]))
        """,
    )
    found, way = told
    assert sorted(found) == ["dict", "list"]
    assert way[0] == "module" and way[-2:] == ["dict", "bytearray"]


@pytest.mark.parametrize("which", [0, -1], ids=["oldest", "newest"])
def test_arrays_and_frames(session, pythons, which):
    python = venvs.python_with(pythons[which], ("pandas", "scikit-learn"))
    told = run_program(
        session,
        python,
        """
        import json, numpy, pandas
        from memtrace import asizeof, heap
        n = 10000
        def frame(rows):
            return pandas.DataFrame({"a": numpy.zeros(rows), "b": numpy.ones(rows, "int16")})
        for _ in range(50):  # the first instances of a class have room for more attributes
            frame(5)
        whole = numpy.zeros(n)
        view = whole[:10]  # starts where the block of the whole does
        square = numpy.ones((100, 50), "int32")
        parts = numpy.array([bytearray(100), bytearray(200)], dtype=object)
        before = heap()[numpy.ndarray].size
        kept = numpy.zeros(n)
        print(json.dumps([
            numpy.ndarray.__basicsize__, asizeof(whole), asizeof(whole, view), asizeof(view),
            asizeof(square), asizeof(parts), heap()[numpy.ndarray].size - before,
            asizeof(frame(2 * n)) - asizeof(frame(n)), asizeof(frame(n)),
        ]))
        """,
    )
    array, whole, both, view, square, parts, grown, more, frame = told
    # A dimension and a stride; numpy may have kept a block that is larger than that.
    shapes = (16, 32, 48)
    assert whole - array - 80000 in shapes
    assert both == view
    assert view - whole - array in shapes
    assert square - array - 4 * 5000 in (32, 48)
    assert parts - array - 2 * 8 - (56 + 101) - (56 + 201) in shapes
    assert grown - array - 80000 in shapes
    assert more == 10000 * (8 + 2)
    assert 100000 < frame < 100000 + 20000


def test_without_tracing(session, pythons):
    told = run_program(
        session,
        pythons[-1],
        """
        import json, sys, memtrace
        thing = [bytearray(100), (1.5, "text")]
        parts = [thing, thing[0], thing[1], thing[1][0], thing[1][1]]
        heap = memtrace.heap()
        first = memtrace.growth()
        kept = [bytearray(1000) for _ in range(100)]
        print(json.dumps([
            memtrace.asizeof(thing), sum(map(sys.getsizeof, parts)), memtrace.where(thing),
            heap.live, heap.other, heap.count > 1000, str(heap).splitlines()[0],
            memtrace.growth().by_type[0].name, memtrace.retained(kept),
        ]))
        """,
        preload=False,
    )
    size, expected, where, live, other, many, text, grown, retained = told
    assert size == expected
    assert where is live is other is None
    assert many and "live in the process" not in text
    assert grown == "bytearray"
    assert retained > 100 * 1057


def test_buffers_belong_to_the_line_that_grew_them(session, python):
    told = run_program(
        session,
        python,
        """
        import array, json, memtrace
        class Items(list):
            pass
        class Some(set):
            pass
        class Table(dict):
            pass
        class Numbers(array.array):
            pass
        kinds = Items, Some, Table, bytearray, Numbers
        items, some, table, text, numbers = Items(), Some(), Table(), bytearray(), Numbers("q")
        items.extend([None] * 10000)  # line 13
        some.update(map(float, range(10000)))
        table.update(dict.fromkeys(map(float, range(10000))))
        text.extend(bytes(200000))
        numbers.extend(array.array("q", bytes(80000)))
        heap = memtrace.heap()
        print(json.dumps([heap[kind].lines[0] for kind in kinds]))
        """,
    )
    assert [line for (_, line), _ in told] == [13, 14, 15, 16, 17]
    assert all(size >= 80000 for _, size in told)


def test_what_comes_after_heap_is_recorded(session, python):
    """Objects that CPython keeps for reuse are not left over from memtrace's own work."""
    told = run_program(
        session,
        python,
        """
        import json, memtrace
        makers = [
            lambda: [], lambda: {}, lambda: tuple([1, 2.5]), lambda: float("1.5"), lambda: tuple("abc")
        ]
        heap = memtrace.heap()
        kept = [make() for make in makers for _ in range(100)]
        print(json.dumps(sum(memtrace.where(one) is None for one in kept)))
        """,
    )
    assert told == 0


@pytest.mark.parametrize("preload", [True, False], ids=["traced", "not traced"])
def test_a_metaclass_that_lies_is_not_asked(session, pythons, preload):
    told = run_program(
        session,
        pythons[-1],
        """
        import json, memtrace
        asked = []
        class Meta(type):
            def __eq__(self, other):
                asked.append("eq")
                return True
            __hash__ = None
        class Odd(metaclass=Meta):
            def __sizeof__(self):
                asked.append("sizeof")
                raise ValueError("no size")
            def __eq__(self, other):
                asked.append("instance")
                return True
            __hash__ = None
            def __repr__(self):
                raise ValueError("no words")
        odd = [Odd(), Odd()]
        asked.clear()
        size = memtrace.asizeof(odd)
        count = memtrace.heap()["__main__.Odd"].count
        name = memtrace.asized(odd[0]).name
        print(json.dumps([size, count, asked, name]))
        """,
        preload=preload,
    )
    size, count, asked, name = told
    assert size > LIST + 16
    assert count == 2
    assert asked == []
    assert name.startswith("<Odd at 0x")


def test_after_a_late_start(session, pythons):
    """Buffers that the recorder does not know are as long as their owner says."""
    told = run_program(
        session,
        pythons[-1],
        """
        import array, json, memtrace
        class Leaf:
            __slots__ = ("data",)
            def __init__(self):
                self.data = [bytearray(1000), set(map(float, range(1000))), {"k": None}, array.array("b", [0]) * 99]
        before = Leaf()
        size = memtrace.asizeof(before)
        memtrace.start(quiet=True)
        after = Leaf()
        grown = [None] * 10
        before.data[0].append(1)
        old = memtrace.asizeof(before)
        del before.data[0][-1]
        print(json.dumps([size, old, memtrace.asizeof(after), memtrace.where(before),
                          memtrace.where(after)[-1][1], memtrace.heap()["__main__.Leaf"].count,
                          memtrace.heap().other >= 0]))
        """,
        preload=False,
        MEMTRACE_LIBRARY=session.library,
    )
    size, old, new, where, line, count, other = told
    assert old - size in range(0, 200)  # room for more bytes
    assert new == size
    assert where is None and line == 10
    assert count == 2 and other
