"""A set of watched functions and their tables.

Turned on and off by thread: `on()` and `off()` nest. Functions of all kinds are wrapped so that their
lines are recorded while they run: plain ones, generators, coroutines, generators of coroutines.
"""

import ctypes
import functools
import inspect
import sys
import threading

from .recorder import Recorder
from .table import LineTable

_engines = {}
_lock = threading.RLock()


class Engine:
    """A recorder and where its events come from."""

    def __init__(self, meters, detailed):
        self.recorder = Recorder(meters, detailed)
        self.meters = meters
        if sys.version_info >= (3, 12):
            from .monitoring import MonitoringSource as Source
        else:
            from .tracing import TracingSource as Source
        self.source = Source(self.recorder)


def engine_for(name, make_meters, detailed=False):
    """The engine of this name, made when it is first asked for."""
    with _lock:
        engine = _engines.get((name, detailed))
        if engine is None:
            engine = _engines[name, detailed] = Engine(make_meters(), detailed)
            _warm_up(engine)
        return engine


def _warm_up(engine):
    """The first events of a process allocate what stays: they are not the program's."""
    profiler = Profiler(engine)
    profiler.add(_nothing.__code__)
    engine.meters.pause()
    profiler.on()
    _nothing()
    profiler.off()
    engine.meters.resume()


def _nothing():
    return None


def _forget_names():
    """Frees the names that CPython's cache of attributes alone still keeps, of code that has ended.

    A lookup that takes such a name's place in the cache frees it: a line that looks an attribute up
    would seem to free some 50 bytes that it never had, in some runs and not in others.
    """
    ctypes.pythonapi.PyType_ClearCache()


class Profiler:
    """Functions to be recorded, and their figures."""

    def __init__(self, engine):
        self.engine = engine
        self.tables = []  # in the order of adding
        self._of_code = {}
        self._held = 0
        self._watched = []
        self._threads = threading.local()
        self._begun = False

    def add(self, code):
        """Watches this code object and those of the functions inside it."""
        if code in self._of_code:
            return
        table = LineTable(code)
        self.tables.append(table)
        new = [c for c in table.codes if c not in self._of_code]
        for inner in new:
            self._of_code[inner] = table
        with _lock:
            if self._held:
                self.engine.source.watch(new)
                self._watched += new

    def table_of(self, code):
        return self._of_code.get(code)

    def hold(self):
        """Keeps the functions watched until release(): quick to turn on and off meanwhile."""
        with _lock:
            self._held += 1
            if self._held == 1:
                self._watched = list(self._of_code)
                self.engine.source.watch(self._watched)

    def release(self):
        with _lock:
            self._held -= 1
            if not self._held:
                self.engine.source.unwatch(self._watched)
                self._watched = []

    def on(self):
        """Records this thread's lines."""
        self.engine.recorder.meters.pause()
        depth = getattr(self._threads, "depth", 0)
        self._threads.depth = depth + 1
        if not depth:
            if not self._begun:
                self._begun = True
                _forget_names()
            self.hold()
            self.engine.recorder.enter_profiler(self)
            self.engine.source.enter_thread()
        self.engine.recorder.meters.resume()

    def off(self):
        self.engine.recorder.meters.pause()
        self._threads.depth -= 1
        if not self._threads.depth:
            self.engine.source.leave_thread()
            self.engine.recorder.leave_profiler(self)
            self.release()
        self.engine.recorder.meters.resume()


def wrap(function, begin, end):
    """A function of the same kind that records `function` with the profiler that begin() gives.

    end(profiler) is called when it has returned; not when it raises.
    """
    if inspect.isasyncgenfunction(function):
        return _async_generator(function, begin, end)
    if inspect.iscoroutinefunction(function):
        return _coroutine(function, begin, end)
    if inspect.isgeneratorfunction(function):
        return _generator(function, begin, end)

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        profiler = begin()
        profiler.on()
        try:
            result = function(*args, **kwargs)
        finally:
            profiler.off()
        end(profiler)
        return result

    return wrapper


def _generator(function, begin, end):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        profiler = begin()
        try:
            result = yield from _drive(profiler, function(*args, **kwargs))
        except GeneratorExit:
            end(profiler)
            raise
        end(profiler)
        return result

    return wrapper


def _coroutine(function, begin, end):
    @functools.wraps(function)
    async def wrapper(*args, **kwargs):
        profiler = begin()
        result = await _Steps(profiler, function(*args, **kwargs))
        end(profiler)
        return result

    return wrapper


def _async_generator(function, begin, end):
    @functools.wraps(function)
    async def wrapper(*args, **kwargs):
        profiler = begin()
        inner = function(*args, **kwargs)
        step = inner.asend(None)
        while True:
            try:
                item = await _Steps(profiler, step)
            except StopAsyncIteration:
                break
            try:
                step = inner.asend((yield item))
            except GeneratorExit:
                await _Steps(profiler, inner.aclose())
                end(profiler)
                raise
            except BaseException as error:
                step = inner.athrow(error)
        end(profiler)

    return wrapper


class _Steps:
    """Awaits what has send, throw and close, recording each step."""

    def __init__(self, profiler, inner):
        self._profiler = profiler
        self._inner = inner

    def __await__(self):
        return _drive(self._profiler, self._inner)


def _drive(profiler, inner):
    """Goes through a generator; the profiler is on while it runs, and off while it is suspended."""
    profiler.hold()
    try:
        step, value = inner.send, None
        while True:
            try:
                item = _step(profiler, step, value)
            except StopIteration as ended:
                return ended.value
            try:
                value = yield item
                step = inner.send
            except GeneratorExit:
                profiler.on()
                try:
                    inner.close()
                finally:
                    profiler.off()
                raise
            except BaseException as error:
                step, value = inner.throw, error
    finally:
        profiler.release()


def _step(profiler, step, value):
    profiler.on()
    try:
        return step(value)
    finally:
        profiler.off()
