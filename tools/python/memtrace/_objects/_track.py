"""track(): the instances of a class, their lifetimes, and their sizes over time."""

import functools
import threading
import time
import weakref

from .. import _units
from . import _engine, _graph, _heap, _measure


class Tracked:
    """A tracked instance: `name` of its class, `born` and `died` (seconds since tracking began; None:
    still alive), `where` it was allocated (file, line), or None."""

    __slots__ = ("name", "born", "died", "where", "_reference", "__weakref__")

    def __init__(self, name, born, where):
        self.name = name
        self.born = born
        self.died = None
        self.where = where
        self._reference = None

    @property
    def lifetime(self):
        """Seconds that it lived, None while it does."""
        return None if self.died is None else self.died - self.born

    def __repr__(self):
        return "Tracked({!r}, born={:.3f}, died={})".format(self.name, self.born, self.died)


class Snapshot:
    """`name`, `time` (seconds since tracking began), `live` bytes of the process (None without
    tracing) and `classes`: {class name: (instances alive, their bytes with all they refer to)}."""

    __slots__ = ("name", "time", "live", "classes")

    def __init__(self, name, time, live, classes):
        self.name = name
        self.time = time
        self.live = live
        self.classes = classes


class Stats:
    """What a tracker has found: `snapshots` and `index`, {class name: [Tracked]}."""

    def __init__(self):
        self.snapshots = []
        self.index = {}

    def print_summary(self, file=None):
        """Prints the classes' figures in each snapshot."""
        print(self.format(), file=file)

    def format(self):
        rows = []
        for snapshot in self.snapshots:
            live = "-" if snapshot.live is None else _units.size(snapshot.live)
            rows.append((snapshot.name, "{:.2f} s".format(snapshot.time), "", "", "", live))
            for name, (count, size) in sorted(snapshot.classes.items()):
                mean = _units.size(size / count) if count else "-"
                rows.append(("  " + name, "", "{:,}".format(count), _units.size(size), mean, ""))
        header = ("Snapshot", "Time", "Alive", "Size", "Average", "Live in the process")
        return "\n".join(_units.table(header, rows, left=(0,)))


class Tracker:
    """Follows instances of classes that are made from now on, without keeping them alive.

    Of use as a context manager; `close()` ends the tracking and leaves the figures.
    """

    def __init__(self):
        self.stats = Stats()
        self._began = time.monotonic()
        self._inits = {}  # class -> (its own __init__ or None, ours)
        self._lock = threading.RLock()

    def track(self, kind):
        """Follow the instances of a class, and of those made from it that call its __init__."""
        if not isinstance(kind, type) or not kind.__flags__ & _HEAP_TYPE:
            raise TypeError("only classes written in Python can be tracked, not {!r}".format(kind))
        if not kind.__weakrefoffset__:
            raise TypeError(
                "instances of {} cannot be tracked: it has __slots__ without "
                '"__weakref__". Add that slot.'.format(_heap.type_name(kind))
            )
        with self._lock:
            if kind in self._inits:
                return
            own, called = kind.__dict__.get("__init__"), kind.__init__

            @functools.wraps(called)
            def __init__(instance, *args, **kwargs):
                self._add(instance)
                called(instance, *args, **kwargs)

            kind.__init__ = __init__
            self._inits[kind] = (own, __init__)
            self.stats.index.setdefault(_heap.type_name(kind), [])

    def _now(self):
        return time.monotonic() - self._began

    def _add(self, instance):
        with _engine.own_work() as found, self._lock:
            name = _heap.type_name(type(instance))
            index = self.stats.index.setdefault(name, [])
            if index and index[-1]._reference() is instance:
                return  # an __init__ that calls its base's, which is tracked as well
            sizes, places = _engine.find(found, _engine.addresses_of([instance]))
            line = None
            if places[0]:
                line = _engine.Places(found).line(places[0] & _engine.SITE)
            tracked = Tracked(name, self._now(), line)
            tracked._reference = weakref.ref(instance, functools.partial(self._died, tracked))
            index.append(tracked)

    def _died(self, tracked, reference):
        tracked.died = self._now()

    def create_snapshot(self, name=""):
        """Measure all tracked instances that are alive. Returns the `Snapshot`."""
        with _engine.own_work() as found, self._lock:
            live = found.total_bytes() if found else None
            classes = {}
            for kind, index in self.stats.index.items():
                alive = [tracked._reference() for tracked in index]
                alive = [one for one in alive if one is not None]
                size = _measure.Measured(found, _graph.reach(alive, {})).total()
                classes[kind] = (len(alive), size)
            snapshot = Snapshot(name, self._now(), live, classes)
            self.stats.snapshots.append(snapshot)
            return snapshot

    def close(self):
        """Give the classes their own __init__ back."""
        with self._lock:
            for kind, (own, ours) in self._inits.items():
                if kind.__dict__.get("__init__") is not ours:
                    continue  # somebody has replaced it since, and may call it
                if own is None:
                    del kind.__init__
                else:
                    kind.__init__ = own
            self._inits.clear()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE


def track(*kinds):
    """Follow the instances of these classes from now on; returns the `Tracker`.

        tracker = memtrace.track(Document)
        tracker.create_snapshot("start")
        ...
        tracker.create_snapshot("loaded")
        tracker.stats.print_summary()
        for document in tracker.stats.index["__main__.Document"]:
            print(document.lifetime, document.where)

    Instances are noticed by the class's __init__, which is replaced until `tracker.close()`.
    Raises TypeError for classes that cannot be tracked.
    """
    tracker = Tracker()
    for kind in kinds:
        tracker.track(kind)
    return tracker
