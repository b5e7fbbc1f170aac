"""Turns events of lines into figures.

A thread has a stack of the watched functions that are running in it. A line's figures are the
differences of the thread's meter between its beginning and the beginning of the next line, or the
function's end: all that the line called included, what the thread freed subtracted, other threads
left out. A suspended generator or coroutine is not on the stack.

What is called again by itself (recursion, a comprehension on its own line) is counted once for a
line, in its outermost call.

Everything here runs while the thread is paused: its own allocations are not recorded, and what it
frees (the garbage collector may run in here) is in no meter's net.
"""

import threading
import time

from .table import ALLOC, CALLS, HIGH, HITS, NET, PEAK, TIME, new_record

_clock = time.perf_counter_ns


class Activation:
    """A function that is running, and its current line."""

    __slots__ = (
        "code",
        "tables",
        "known",
        "records",
        "start",
        "base",
        "repeated",
        "allocated",
        "inner_peak",
        "high",
        "began",
    )


class ThreadState:
    """A thread's stack of activations, its meter, and the profilers that are on in it."""

    def __init__(self, meters):
        self.meters = meters
        self.view = None
        self.stack = []
        self.top = None
        self.profilers = []
        self.known = {}
        self.metering = 0


class Recorder:
    """Tables of watched functions, by kind of meter."""

    def __init__(self, meters, detailed=False):
        self.meters = meters
        self.detailed = detailed
        self.everywhere = []  # profilers that are on in all threads
        self._local = threading.local()

    def thread(self):
        """The calling thread's state."""
        try:
            return self._local.state
        except AttributeError:
            state = self._local.state = ThreadState(self.meters)
            return state

    def enter_profiler(self, profiler):
        """This profiler is on in the calling thread; pairs with leave_profiler."""
        state = self.thread()
        state.profilers.append(profiler)
        state.known.clear()
        self._start_meter(state)

    def leave_profiler(self, profiler):
        state = self.thread()
        state.profilers.remove(profiler)
        state.known.clear()
        state.metering -= 1
        if not state.metering and not self.everywhere:
            self.meters.stop()

    def _start_meter(self, state):
        if not state.metering:
            state.view = self.meters.start()
        state.metering += 1

    def _tables(self, state, code):
        """The tables that want this code, each once."""
        found = []
        for profiler in state.profilers + self.everywhere:
            table = profiler.table_of(code)
            if table is not None and table not in found:
                found.append(table)
        return found

    def _known(self, state, code):
        known = state.known.get(code)
        if known is None:
            known = state.known[code] = (self._tables(state, code), {})
        return known

    def begin(self, state, code, line, now, fresh):
        """The function begins, or goes on at this line."""
        if not state.metering:  # a thread that no profiler has been turned on in
            self._start_meter(state)
            now = state.view[0] - state.view[1]
        view = state.view
        if self.detailed and state.top is not None:
            state.top.inner_peak = max(state.top.inner_peak, view[4])
        act = Activation()
        act.code = code
        act.tables, act.known = self._known(state, code)
        total = self.meters.total()
        act.base = total - now + view[5]
        act.repeated = any(table in outer.tables for outer in state.stack for table in act.tables)
        act.records = ()
        act.high = now
        state.stack.append(act)
        state.top = act
        if fresh:
            self._count_call(state, act, code, total)
        else:
            act.records = self.records(state, act, line)
        self.start_line(state, act, now)

    def _count_call(self, state, act, code, total):
        for table in act.tables:
            lines = table.lines_of(state)
            key = CALLS if code is table.code else code.co_firstlineno
            record = lines.get(key)
            if record is None:
                record = lines[key] = new_record()
            record[HITS] += 1
            if total > record[HIGH]:
                record[HIGH] = total

    def records(self, state, act, line):
        """This line's records, one for each table."""
        records = act.known.get(line)
        if records is None:
            line += 0  # an integer of our own: the event's was recorded and must go with it
            records = []
            for table in act.tables:
                lines = table.lines_of(state)
                record = lines.get(line)
                if record is None:
                    record = lines[line] = new_record()
                records.append(record)
            act.known[line] = records
        return records

    def start_line(self, state, act, now):
        act.start = now
        if self.detailed:
            view = state.view
            act.allocated = view[0]
            view[4] = view[0] - view[1]
            act.inner_peak = now
            act.began = _clock()

    def end_line(self, state, act, now, argument):
        """Adds what happened since the line began; `argument`: bytes of the event's own integer."""
        grown = now - act.start
        absolute = act.base + now - state.view[5]
        detailed = self.detailed
        if detailed:
            allocated, peak, elapsed = self._details(state, act, now, argument)
        for record in act.records:
            if absolute > record[HIGH]:
                record[HIGH] = absolute
            if act.repeated and _is_open(record, state.stack):
                continue
            record[NET] += grown
            if detailed:
                record[ALLOC] += allocated
                record[TIME] += elapsed
                if peak > record[PEAK]:
                    record[PEAK] = peak

    def _details(self, state, act, now, argument):
        elapsed = _clock() - act.began
        view = state.view
        peak = view[4]
        if peak == now + argument:  # the event's own integer is on top
            peak = now
        peak = max(peak, act.inner_peak)
        act.high = max(act.high, peak)
        return view[0] - act.allocated - argument, peak - act.start, elapsed

    def end(self, state, now, argument):
        """The function on top ends, or is suspended."""
        stack = state.stack
        act = stack[-1]
        self.end_line(state, act, now, argument)
        stack.pop()
        state.top = stack[-1] if stack else None
        if self.detailed and stack:
            outer = stack[-1]
            outer.inner_peak = max(outer.inner_peak, act.high)
            state.view[4] = state.view[0] - state.view[1]


def _is_open(record, stack):
    """True when a function further out is at this very line."""
    return any(record is other for outer in stack[:-1] for other in outer.records)
