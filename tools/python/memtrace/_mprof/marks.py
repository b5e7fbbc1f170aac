"""Inside a Python program under `mprof run`: marks each call of its functions with @profile.

The program runs as if it had been started by itself, with `profile` as a builtin and with a
`memory_profiler` whose `profile` marks as well as prints its table. A mark is a FUNC line, written
when the call ends, also by an exception; a call that never ends has none. Figures are in bytes,
times in seconds since the epoch; what marking itself allocates is not part of them where the library
is in the process. Threads have their own levels; forked children do not mark. The program's
exceptions and exit status are its own.
"""

import builtins
import functools
import importlib
import importlib.abc
import importlib.machinery
import inspect
import io
import os
import runpy
import sys
import threading
import time
import types

from .. import _inspect
from . import files, meters, regions, system

# ---------------------------------------------------------------------------------------------
# Marks


def _nothing():
    pass


class Marker:
    """A decorator, and `timestamp(name)` for with blocks, with the interface of TimeStamper."""

    def __init__(self, output, backend, include_children=False):
        # Opened once: the program may change its folder or its root.
        self._output = os.open(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._pid = os.getpid()
        self._level = threading.local()
        functions = _inspect.functions() if backend == meters.DEFAULT else None
        # Not by a with statement, which keeps a method on the stack: it would be in the figures.
        self._pause = functions.pause if functions else _nothing
        self._resume = functions.resume if functions else _nothing
        self._include_children = include_children
        self._folders = regions.folders() if backend == meters.DEFAULT else []
        self._backend = backend
        self._meter = meters.meter(self._pid, backend, self._folders)
        if backend == meters.DEFAULT and not self._meter.find():
            self._backend = "psutil"
            self._meter = meters.meter(self._pid, self._backend, [])

    def _children(self):
        total = 0
        for pid in system.descendants(self._pid):
            child = meters.meter(pid, self._backend, self._folders)
            total += child.bytes() or 0
            child.close()
        return total

    def _now(self):
        size = self._meter.bytes() or 0
        if self._include_children:
            size += self._children()
        return size, time.time()

    def begin(self):
        """The state of a call that begins; None in a forked child."""
        self._pause()
        try:
            if os.getpid() != self._pid:
                return None
            level = getattr(self._level, "value", 0)
            self._level.value = level + 1
            return level, self._now()
        finally:
            self._resume()

    def end(self, name, state):
        """Writes the mark of a call that has ended."""
        if state is None:
            return
        self._pause()
        try:
            end = self._now()
            level, start = state
            self._level.value = level
            os.write(self._output, files.function_line(name, start, end, level).encode())
        except OSError:
            pass  # a full disk is no reason to stop the program
        finally:
            self._resume()

    def timestamp(self, name="<block>"):
        return _Block(self, "." + name)

    def add_function(self, _function):
        pass

    def wrap_function(self, function):
        return self(function)

    def show_results(self, stream=None):
        """Nothing is left to be shown: marks are written when calls end."""

    def __call__(self, function=None, **_options):
        if function is None:
            return self
        if isinstance(function, (classmethod, staticmethod)):
            return type(function)(self(function.__func__))
        if not callable(function):
            raise ValueError("Value must be callable")
        name = "{}.{}".format(
            getattr(function, "__module__", ""), getattr(function, "__name__", repr(function))
        )
        return functools.wraps(function)(_wrapper(self, name, function))


class _Block:
    """A marked with block."""

    def __init__(self, marker, name):
        self._marker = marker
        self._name = name
        self._state = None

    def __enter__(self):
        self._state = self._marker.begin()
        return self

    def __exit__(self, _type, _value, _traceback):
        self._marker.end(self._name, self._state)


def _wrapper(marker, name, function):
    """The function between marks: of a coroutine or generator from its start to its end."""
    if inspect.iscoroutinefunction(function):

        async def marked(*arguments, **named):
            state = marker.begin()
            try:
                return await function(*arguments, **named)
            finally:
                marker.end(name, state)

    elif inspect.isgeneratorfunction(function):

        def marked(*arguments, **named):
            state = marker.begin()
            try:
                return (yield from function(*arguments, **named))
            finally:
                marker.end(name, state)

    else:

        def marked(*arguments, **named):
            state = marker.begin()
            try:
                return function(*arguments, **named)
            finally:
                marker.end(name, state)

    return marked


# ---------------------------------------------------------------------------------------------
# `from memory_profiler import profile`


def _both(marker, profile):
    """A `profile` that marks calls, and does what the given one does."""

    def marking(func=None, stream=None, precision=1, backend=None):
        named = {"stream": stream, "precision": precision}
        if backend is not None:
            named["backend"] = backend
        if func is not None:
            return marker(profile(func, **named))
        return lambda function: marker(profile(function, **named))

    return marking


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds `memory_profiler`, once: memtrace's, whether or not the original is installed."""

    def __init__(self, marker):
        self._marker = marker

    def find_spec(self, name, _path=None, _target=None):
        if name != "memory_profiler":
            return None
        return importlib.machinery.ModuleSpec(name, self)

    def create_module(self, _spec):
        return None

    def exec_module(self, module):
        sys.meta_path.remove(self)
        original = importlib.import_module("memtrace.compat.memory_profiler")
        for name in dir(original):
            if not name.startswith("__") or name == "__version__":
                setattr(module, name, getattr(original, name))
        module.profile = _both(self._marker, original.profile)


# ---------------------------------------------------------------------------------------------
# The program


def _run_script(path):
    """The file as __main__, as the interpreter would run it."""
    path = os.path.abspath(path)
    if not getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, os.path.dirname(path))
    try:
        with io.open_code(path) as file:
            source = file.read()
    except OSError as error:
        sys.stderr.write("mprof: can't open file {!r}: {}\n".format(path, error.strerror))
        return 2
    module = types.ModuleType("__main__")
    module.__file__ = path
    module.__builtins__ = builtins
    module.__loader__ = importlib.machinery.SourceFileLoader("__main__", path)
    sys.modules["__main__"] = module
    exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)
    return 0


def _run_module(name):
    if not getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, os.getcwd())
    runpy.run_module(name, run_name="__main__", alter_sys=True)
    return 0


def _of_program(traceback):
    """The frames that are the program's, without those that started it."""
    starters = (_run.__code__.co_filename, runpy.run_module.__code__.co_filename)
    rest = traceback
    while rest is not None and rest.tb_frame.f_code.co_filename in starters:
        rest = rest.tb_next
    return rest or traceback


def _run(arguments):
    """Runs the program; its exit status, unless it says so by an exception."""
    if arguments[0] == "-m":
        arguments, run = arguments[1:], _run_module
    else:
        script = arguments[0].endswith(".py") or os.path.isfile(arguments[0])
        run = _run_script if script else _run_module
    sys.argv[:] = arguments
    try:
        return run(arguments[0])
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        sys.excepthook(type(error), error, _of_program(error.__traceback__))
        return 1


def main(arguments):
    """Runs what comes after `--` with marks."""
    options, program = arguments[: arguments.index("--")], arguments[arguments.index("--") + 1 :]
    output = options[options.index("-o") + 1]
    backend = options[options.index("--backend") + 1]
    marker = Marker(output, backend, "--include-children" in options)
    builtins.profile = marker
    sys.meta_path.insert(0, _Finder(marker))
    return _run(program)
