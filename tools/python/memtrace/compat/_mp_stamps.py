"""memory_profiler's TimeStamper (what mprof reads) and LogFile. MiB and seconds since 1970.

A TimeStamper may be used in several threads; levels of nesting are then those of all together.
"""

import os
import sys
import time

from . import _mp_backends
from ._mp_backends import MIB


class LogFile:
    """A stream that hands tables on to `logging`, line by line."""

    def __init__(self, name=None, reportIncrementFlag=False):
        import logging

        self.logger = logging.getLogger(name)
        self.reportIncrementFlag = reportIncrementFlag

    def write(self, str):
        if not self.reportIncrementFlag:
            self.logger.info(str)
        elif "MiB" in str and float(str.split("MiB")[1].strip()) > 0:
            self.logger.info(str)
        elif "Filename:" in str or "Line Contents" in str:
            self.logger.info(str)

    def flush(self):
        for handler in self.logger.handlers:
            handler.flush()


class TimeStamper:
    """A decorator that keeps memory and time at the beginning and end of each call."""

    def __init__(self, backend=None, include_children=False):
        self.functions = {}
        self.backend = _mp_backends.choose_backend(backend)
        self.include_children = include_children
        self.current_stack_level = -1
        self.stack = {}

    def __call__(self, func=None, precision=None):
        if func is None:
            return lambda f: self(f)
        self.add_function(func)
        return self.wrap_function(func)

    def add_function(self, func):
        self.functions.setdefault(func, [])
        self.stack.setdefault(func, [])

    def wrap_function(self, func):
        """The function, stamped; awaited coroutines to their end."""
        import functools
        import inspect

        if inspect.iscoroutinefunction(func):

            @functools.wraps(func)
            async def wrapper(*args, **kwargs):
                with _Stamp(self, func):
                    return await func(*args, **kwargs)

        else:

            @functools.wraps(func)
            def wrapper(*args, **kwargs):
                with _Stamp(self, func):
                    return func(*args, **kwargs)

        return wrapper

    def timestamp(self, name="<block>"):
        """A with block with a name of its own."""

        def block():
            pass

        block.__module__, block.__name__ = "", name
        self.add_function(block)
        return _Stamp(self, block)

    def show_results(self, stream=None):
        """Writes a FUNC line for each call, in the format of mprof's files."""
        stream = sys.stdout if stream is None else stream
        for func, stamps in self.functions.items():
            name = "{}.{}".format(func.__module__, func.__name__)
            for (begin, end), level in zip(stamps, self.stack[func]):
                stream.write(
                    "FUNC {} {:.4f} {:.4f} {:.4f} {:.4f} {}\n".format(
                        name, begin[0], begin[1], end[0], end[1], level
                    )
                )


class _Stamp:
    def __init__(self, stamper, func):
        self._stamper = stamper
        self._func = func

    def _now(self):
        stamper = self._stamper
        size = _mp_backends.measure(stamper.backend)
        if stamper.include_children:
            size += sum(n for _, n in _mp_backends.measure_children(stamper.backend, os.getpid()))
        return size / MIB, time.time()

    def __enter__(self):
        stamper = self._stamper
        stamper.current_stack_level += 1
        self._place = stamper.functions[self._func]
        begin = self._now()
        self._pair = [begin, begin]
        self._place.append(self._pair)
        stamper.stack[self._func].append(stamper.current_stack_level)
        return self

    def __exit__(self, *_):
        self._pair[1] = self._now()
        self._stamper.current_stack_level -= 1
