"""tracemalloc.Snapshot over groups of blocks: traces are made only when somebody looks at them.

A subclass of the standard class, which does everything that is not about groups. It is pickled as
`tracemalloc.Snapshot`, so its files are the standard module's. Sizes are bytes. Threading and
errors as in the standard module.
"""

import collections.abc
import copyreg
import pickle
import sys

from .. import _inspect
from . import _standard

standard = _standard.load()

# The filters that look at domain and stack alone; others may look at sizes, too.
_PLAIN_FILTERS = (standard.Filter, standard.DomainFilter)


_NOT_PICKLED = ("_groups", "_functions")


class Snapshot(standard.Snapshot):
    """Snapshot of traces of memory blocks allocated by Python."""

    # Under this name pickle finds the class of whoever reads the file.
    __module__ = _standard.NAME
    __qualname__ = "Snapshot"

    # Of a snapshot that was captured: what there is until somebody asks for the traces.
    _groups = None
    _functions = None

    @property
    def traces(self):
        """Sequence of the traces of all blocks; made when it is first asked for."""
        # In the dictionary, where pickle puts it.
        try:
            return self.__dict__["traces"]
        except KeyError:
            pass
        if self._groups is None:
            raise AttributeError("traces")
        with _inspect.own_work(self._functions):
            traces = standard._Traces(self._groups.traces(self.traceback_limit))
            self.__dict__["traces"] = traces
        return traces

    @traces.setter
    def traces(self, traces):
        self._groups = None
        self.__dict__["traces"] = traces

    def filter_traces(self, filters):
        """A new snapshot with the traces that pass the filters, a list of Filter or DomainFilter."""
        if self._groups is None or not isinstance(filters, collections.abc.Iterable):
            return from_standard(super().filter_traces(filters))
        with _inspect.own_work(self._functions):
            filters = list(filters)
            if any(type(one) not in _PLAIN_FILTERS for one in filters):
                return from_standard(super().filter_traces(filters))
            include = [one for one in filters if one.inclusive]
            exclude = [one for one in filters if not one.inclusive]
            kept = self._groups.kept(
                self.traceback_limit, lambda trace: self._filter_trace(include, exclude, trace)
            )
            return from_groups(self._functions, kept, self.traceback_limit)

    def _group_by(self, key_type, cumulative):
        known = ("lineno", "filename") if cumulative else ("traceback", "filename", "lineno")
        if self._groups is None or key_type not in known:
            return super()._group_by(key_type, cumulative)  # which has the words for what is wrong
        with _inspect.own_work(self._functions):
            limit = self.traceback_limit if cumulative or key_type == "traceback" else 1
            return _statistics(_sums(self._groups.by_frames(limit), key_type, cumulative))

    def statistics(self, key_type, cumulative=False):
        """Statistics by "filename", "lineno" or "traceback", the largest first."""
        if self._groups is None:
            return super().statistics(key_type, cumulative)
        with _inspect.own_work(self._functions):
            statistics = list(self._group_by(key_type, cumulative).values())
            # The standard order; frames themselves are compared more quickly than their objects.
            statistics.sort(reverse=True, key=lambda s: (s.size, s.count, s.traceback._frames))
            return statistics

    def compare_to(self, old_snapshot, key_type, cumulative=False):
        """Differences with an older snapshot, the largest first."""
        if self._groups is None:
            return super().compare_to(old_snapshot, key_type, cumulative)
        with _inspect.own_work(self._functions):
            return super().compare_to(old_snapshot, key_type, cumulative)

    @staticmethod
    def load(filename):
        """Load a snapshot from a file, ours or the standard module's."""
        with open(filename, "rb") as file:
            return from_standard(pickle.load(file))

    def __reduce_ex__(self, protocol):
        if type(self) is not Snapshot:
            return super().__reduce_ex__(protocol)
        self.traces  # is now in the dictionary
        state = {name: value for name, value in self.__dict__.items() if name not in _NOT_PICKLED}
        present = getattr(sys.modules.get(_standard.NAME), "Snapshot", standard.Snapshot)
        if present is Snapshot:
            return copyreg.__newobj__, (present,), state
        # pickle wants an object's own class in the usual form, not in this.
        return copyreg._reconstructor, (present, object, None), state


def from_groups(functions, groups, limit):
    """A snapshot of these groups, with stacks of `limit` frames."""
    snapshot = object.__new__(Snapshot)
    snapshot._functions = functions
    snapshot._groups = groups
    snapshot.traceback_limit = limit
    return snapshot


def from_standard(snapshot):
    """The standard module's snapshot as one of ours; anything else as it is."""
    if type(snapshot) is not standard.Snapshot:
        return snapshot
    ours = object.__new__(Snapshot)
    ours.__dict__.update(snapshot.__dict__)
    return ours


def _sums(rows, key_type, cumulative):
    """{frames: [bytes, blocks]}; in cumulative mode a block counts for each frame of its stack."""
    sums = {}
    for frames, size, count in rows:
        if cumulative:
            keys = frames if key_type == "lineno" else [(name, 0) for name, _ in frames]
            keys = [(frame,) for frame in keys]
        elif key_type == "filename":
            keys = (((frames[0][0], 0),),)
        else:
            keys = (frames,)
        for key in keys:
            entry = sums.get(key)
            if entry is None:
                sums[key] = [size, count]
            else:
                entry[0] += size
                entry[1] += count
    return sums


def _statistics(sums):
    grouped = {}
    for frames, (size, count) in sums.items():
        traceback = standard.Traceback(frames)
        grouped[traceback] = standard.Statistic(traceback, size, count)
    return grouped
