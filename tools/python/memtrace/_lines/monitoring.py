"""Events of lines by sys.monitoring (CPython 3.12 on): of the watched functions alone.

Debuggers, coverage and profilers have their own tool ids; this takes a free one while anything is
watched. Callbacks pause the recording first. The integer that CPython made for the callback, a line
above 256 or an offset, was recorded before that and is freed after it: it is taken off. What is not:
the 72 bytes that CPython keeps for each function that is first called while anything is watched, or
that has a loop on one line.
"""

import sys

from .table import HIGH, HITS, NET

_TOOL_IDS = (4, 3, 2, 5, 1, 0)
_NAME = "memtrace"


def _bytes_of_integer():
    """An integer's block; small ones are no blocks. From 3.14 on they come from a free list."""
    return {12: 28, 13: 32}.get(sys.version_info[1], 0)


class MonitoringSource:
    """Makes events for a recorder."""

    def __init__(self, recorder):
        self._recorder = recorder
        self._loops = {}  # code -> its loops on one line, by the offset where they jump
        self._watched = {}
        self._tool = None

    def watch(self, codes):
        """Events of these codes from now on; watches of the same code add up."""
        if self._tool is None:
            self._take_tool()
        events = sys.monitoring.events
        wanted = (
            events.PY_START | events.PY_RESUME | events.LINE | events.PY_RETURN | events.PY_YIELD
        )
        for code in codes:
            self._watched[code] = self._watched.get(code, 0) + 1
            if self._watched[code] == 1:
                if code not in self._loops:
                    self._loops[code] = _loops_on_one_line(code)
                jumps = events.JUMP if self._loops[code] else 0
                sys.monitoring.set_local_events(self._tool, code, wanted | jumps)

    def unwatch(self, codes):
        for code in codes:
            self._watched[code] -= 1
            if not self._watched[code]:
                del self._watched[code]
                sys.monitoring.set_local_events(self._tool, code, 0)
        if not self._watched:
            self._give_tool_back()

    def enter_thread(self):
        """The calling thread's functions are to be recorded: all threads' are, always."""

    def leave_thread(self):
        pass

    def _take_tool(self):
        for number in _TOOL_IDS:
            try:
                sys.monitoring.use_tool_id(number, _NAME)
            except ValueError:
                continue
            self._tool = number
            break
        else:
            raise RuntimeError("all six tools of sys.monitoring are in use: end one of them first")
        for event, callback in self._callbacks().items():
            sys.monitoring.register_callback(self._tool, event, callback)
        # Exceptions are events of the whole process.
        events = sys.monitoring.events
        sys.monitoring.set_events(self._tool, events.PY_UNWIND | events.PY_THROW)

    def _give_tool_back(self):
        sys.monitoring.set_events(self._tool, 0)
        for event in self._callbacks():
            sys.monitoring.register_callback(self._tool, event, None)
        sys.monitoring.free_tool_id(self._tool)
        self._tool = None

    def _callbacks(self):
        events = sys.monitoring.events
        on_line = self._on_line()
        return {
            events.PY_START: self._on_begin(True),
            events.PY_RESUME: self._on_begin(False),
            events.PY_THROW: self._on_begin(False),
            events.LINE: on_line,
            events.JUMP: self._on_jump(on_line),
            events.PY_RETURN: self._on_end(),
            events.PY_YIELD: self._on_end(),
            events.PY_UNWIND: self._on_end(),
        }

    def _on_begin(self, fresh):
        recorder, watched, integer = self._recorder, self._watched, _bytes_of_integer()
        pause, resume = recorder.meters.pause, recorder.meters.resume

        def begin(code, offset, *_):
            if code not in watched:
                return
            pause()
            state = recorder.thread()
            if state.profilers or recorder.everywhere:
                now = 0
                if state.view is not None:
                    now = state.view[0] - state.view[1] - (integer if offset > 256 else 0)
                line = 0 if fresh else _line_at(code, offset)
                recorder.begin(state, code, line, now, fresh)
            resume()

        return begin

    def _on_line(self):
        recorder, integer = self._recorder, _bytes_of_integer()
        pause, resume = recorder.meters.pause, recorder.meters.resume
        detailed, local = recorder.detailed, recorder._local
        end_line, start_line, records_of = recorder.end_line, recorder.start_line, recorder.records

        def line(code, number):
            pause()
            try:
                state = local.state
                act = state.top
            except AttributeError:
                act = None
            if act is None or act.code is not code:
                resume()
                return
            argument = integer if number > 256 else 0
            view = state.view
            now = view[0] - view[1] - argument
            if detailed or act.repeated:
                end_line(state, act, now, argument)
            else:
                grown = now - act.start
                high = act.base + now - view[5]
                for record in act.records:
                    record[NET] += grown
                    if high > record[HIGH]:
                        record[HIGH] = high
            records = act.known.get(number)
            if records is None:
                records = records_of(state, act, number)
            for record in records:
                record[HITS] += 1
            act.records = records
            act.start = now
            if detailed:
                start_line(state, act, now)
            resume()

        return line

    def _on_jump(self, on_line):
        """A loop on one line: each round is an event of the line, as for a trace function."""
        meters, disable = self._recorder.meters, sys.monitoring.DISABLE
        pause, resume = meters.pause, meters.resume
        loops = self._loops

        def jump(code, offset, destination):
            pause()
            number = loops.get(code, {}).get(offset)
            if number:
                on_line(code, number)
            resume()
            return None if number else disable

        return jump

    def _on_end(self):
        recorder, watched, integer = self._recorder, self._watched, _bytes_of_integer()
        pause, resume = recorder.meters.pause, recorder.meters.resume

        def end(code, offset, _):
            if code not in watched:
                return
            pause()
            state = recorder.thread()
            if state.top is not None and state.top.code is code:
                argument = integer if offset > 256 else 0
                recorder.end(state, state.view[0] - state.view[1] - argument, argument)
            resume()

        return end


def _loops_on_one_line(code):
    """{offset of a jump back: its line} where that does not lead to another line."""
    import dis

    back = (i for i in dis.get_instructions(code) if i.opname.startswith("JUMP_BACKWARD"))
    return {i.offset: _line_at(code, i.offset) for i in back if _is_on_one_line(code, i)}


def _is_on_one_line(code, instruction):
    return _line_at(code, instruction.offset) == _line_at(code, instruction.argval)


def _line_at(code, offset):
    for start, end, line in code.co_lines():
        if start <= offset < end:
            return line or code.co_firstlineno
    return code.co_firstlineno
