"""Events of lines by trace functions (CPython before 3.12), for each thread that asks for them.

With the library the thread's trace function is one of its own (interpose/inspect_trace.cc): it passes
on the events of watched functions alone, and what handling them allocates is not recorded. Where
another trace function is in the thread (a debugger, coverage) or the library is not in the process,
sys.settrace is used, and the other one goes on getting all of its events; what the interpreter then
allocates for the call itself, a dictionary of the function's variables, is recorded.
"""

import ctypes
import sys

from .. import _inspect
from .table import HIGH, HITS, NET


class TracingSource:
    """Makes events for a recorder."""

    def __init__(self, recorder):
        self._recorder = recorder
        self._watched = {}
        self._handlers = _handlers(recorder)
        self._native = None
        if recorder.meters.exact:
            self._native = _NativeTrace(_inspect.functions(), self._handlers)

    def watch(self, codes):
        """Events of these codes, in threads that enter; watches of the same code add up."""
        for code in codes:
            self._watched[code] = self._watched.get(code, 0) + 1
            if self._watched[code] == 1 and self._native:
                self._native.watch(code, True)

    def unwatch(self, codes):
        for code in codes:
            self._watched[code] -= 1
            if not self._watched[code]:
                del self._watched[code]
                if self._native:
                    self._native.watch(code, False)

    def enter_thread(self):
        """Events of the calling thread; pairs with leave_thread."""
        state = self._recorder.thread()
        depth = getattr(state, "traced", 0)
        state.traced = depth + 1
        if depth:
            return
        state.before = sys.gettrace()
        if state.before is None and self._native:
            state.native = True
            self._native.install()
        else:
            state.native = False
            sys.settrace(_chained(self._recorder, self._watched, self._handlers, state.before))

    def leave_thread(self):
        state = self._recorder.thread()
        state.traced -= 1
        if state.traced:
            return
        if state.native:
            self._native.remove()
        else:
            sys.settrace(state.before)


def _handlers(recorder):
    """Handlers of a call, a line and a return; each takes the frame."""
    local = recorder._local
    end_line, start_line, records_of = recorder.end_line, recorder.start_line, recorder.records
    detailed = recorder.detailed

    def on_call(frame):
        state = recorder.thread()
        if not state.profilers and not recorder.everywhere:
            return
        now = 0 if state.view is None else state.view[0] - state.view[1]
        fresh = _is_fresh(frame)
        recorder.begin(state, frame.f_code, 0 if fresh else frame.f_lineno, now, fresh)

    def on_line(frame):
        try:
            state = local.state
            act = state.top
        except AttributeError:
            return
        if act is None or act.code is not frame.f_code:
            return
        view = state.view
        now = view[0] - view[1]
        if detailed or act.repeated:
            end_line(state, act, now, 0)
        else:
            grown = now - act.start
            high = act.base + now - view[5]
            for record in act.records:
                record[NET] += grown
                if high > record[HIGH]:
                    record[HIGH] = high
        number = frame.f_lineno
        records = act.known.get(number)
        if records is None:
            records = records_of(state, act, number)
        for record in records:
            record[HITS] += 1
        act.records = records
        act.start = now
        if detailed:
            start_line(state, act, now)

    def on_return(frame):
        state = recorder.thread()
        if state.top is not None and state.top.code is frame.f_code:
            recorder.end(state, state.view[0] - state.view[1], 0)

    return on_call, on_line, on_return


_MADE_BEFORE = frozenset(("RETURN_GENERATOR", "COPY_FREE_VARS", "MAKE_CELL", "POP_TOP", "RESUME"))


def _is_fresh(frame):
    """True for a call, False for a generator or coroutine that goes on."""
    code = frame.f_code
    if not code.co_flags & 0x2A0:  # generators, coroutines, generators of coroutines
        return True
    if sys.version_info < (3, 11):
        return frame.f_lasti < 0
    return frame.f_lasti <= _first_resume(code)


_resumes = {}


def _first_resume(code):
    """Offset of the first RESUME: a generator's body begins there (3.11)."""
    found = _resumes.get(code)
    if found is None:
        import dis

        found = 0
        for instruction in dis.get_instructions(code):
            if instruction.opname == "RESUME":
                found = instruction.offset
                break
            if instruction.opname not in _MADE_BEFORE:
                break
        _resumes[code] = found
    return found


def _chained(recorder, watched, handlers, before):
    """A function for sys.settrace that leaves another one, or None, all of its events."""
    on_call, on_line, on_return = handlers
    pause, resume = recorder.meters.pause, recorder.meters.resume

    def trace(frame, event, arg):
        theirs = before(frame, event, arg) if before is not None else None
        if frame.f_code not in watched:
            return theirs
        pause()
        on_call(frame)
        resume()

        def local(frame, event, arg):
            nonlocal theirs
            if event == "line" or event == "return":
                pause()
                (on_line if event == "line" else on_return)(frame)
                resume()
            if theirs is not None:
                theirs = theirs(frame, event, arg)
            return local

        return local

    return trace


class _NativeTrace:
    """The library's trace function, and the codes whose events it passes on."""

    def __init__(self, functions, handlers):
        api = ctypes.pythonapi
        self._functions = functions
        self._handlers = handlers
        self._set_trace = api.PyEval_SetTrace
        self._set_trace.restype = None
        self._set_trace.argtypes = [ctypes.c_void_p, ctypes.py_object]
        functions.trace_setup(
            ctypes.cast(api.PyObject_CallFunctionObjArgs, ctypes.c_void_p),
            ctypes.cast(api.Py_DecRef, ctypes.c_void_p),
            sys.version_info[1],
        )
        self._function = ctypes.cast(functions.trace, ctypes.c_void_p)

    def watch(self, code, wanted):
        if self._functions.trace_code(id(code), int(wanted)):
            raise RuntimeError("too many functions to watch; name the ones that matter")

    def install(self):
        self._set_trace(self._function, self._handlers)

    def remove(self):
        sys.settrace(None)
