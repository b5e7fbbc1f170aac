"""memory_profiler's LineProfiler, CodeMap, show_results and profile, over exact figures.

Increments and memory are MiB (floats that hold the bytes exactly); `LineProfiler.tables` has integers.
Increment: what the line allocated with all that it called, minus what it freed, by its own thread.
Mem usage: all live bytes when the function was called and what the lines before allocated. Threads
may share a LineProfiler. Nothing is printed when the function raises, as in memory_profiler.
"""

import inspect
import linecache
import sys
import warnings

from .._lines import profiler
from .._lines.table import CALLS, HIGH, HITS, NET
from . import _mp_backends

_TEMPLATE = "{0:>6} {1:>12} {2:>12}  {3:>10}   {4:<}"


class CodeMap(dict):
    """{code: {line: (increment, memory, occurrences)}} in MiB, as it was when it was asked for."""

    def __init__(self, include_children, backend, tables=()):
        super().__init__()
        self.include_children = include_children
        self.backend = backend
        self._tables = list(tables)
        for table in self._tables:
            figures = _figures(table)
            if figures:
                self[table.code] = figures

    def items(self):
        """(file name, [(line, figures or None)]) for each function that was called."""
        for code, figures in super().items():
            yield code.co_filename, [(line, figures.get(line)) for line in _lines(code, figures)]


def _figures(table):
    """{line: (increment, memory, occurrences)} in MiB; the function's first line is its calls."""
    merged = table.merged()
    calls = merged.pop(CALLS, None)
    mib = _mp_backends.MIB
    figures = {
        line: (record[NET] / mib, record[HIGH] / mib, record[HITS])
        for line, record in sorted(merged.items())
        if record[HITS]
    }
    first = table.code.co_firstlineno
    if calls is not None and first in figures:  # a function on one line
        increment, memory, occurrences = figures[first]
        figures[first] = (increment, memory, occurrences + calls[HITS])
    elif calls is not None:
        figures[first] = (calls[HIGH] / mib, calls[HIGH] / mib, calls[HITS])
    return figures


def _lines(code, figures):
    """The lines of the function's source, or those with figures where there is none."""
    source = linecache.getlines(code.co_filename)[code.co_firstlineno - 1 :]
    if not source:
        return sorted(figures)
    try:
        length = len(inspect.getblock(source))
    except (SyntaxError, IndexError):
        length = max(figures) - code.co_firstlineno + 1
    return range(code.co_firstlineno, code.co_firstlineno + length)


class LineProfiler:
    """Records the lines of functions, by the names and arguments of memory_profiler's."""

    def __init__(self, **kw):
        self.include_children = kw.get("include_children", False)
        self.backend = _mp_backends.choose_backend(kw.get("backend"))
        self.max_mem = kw.get("max_mem")
        self.enable_count = 0
        engine = _mp_backends.engine(self.backend, self.include_children)
        self._profiler = profiler.Profiler(engine)

    @property
    def tables(self):
        """The figures in bytes: a LineTable for each function."""
        return self._profiler.tables

    @property
    def code_map(self):
        return CodeMap(self.include_children, self.backend, self._profiler.tables)

    def __call__(self, func=None, precision=1):
        if func is None:
            return lambda f: self(f, precision=precision)
        self.add_function(func)
        return self.wrap_function(func)

    def add_function(self, func):
        """Records this function's lines whenever the profiler is on."""
        code = getattr(getattr(func, "__func__", func), "__code__", None)
        if code is None:
            warnings.warn("{!r} has no lines in Python: it cannot be profiled".format(func))
            return
        self._profiler.add(code)

    def wrap_function(self, func):
        """The function, recorded while it runs."""
        if isinstance(func, (staticmethod, classmethod)):
            return type(func)(self.wrap_function(func.__func__))
        return profiler.wrap(func, self._begin, lambda _: None)

    def _begin(self):
        return self

    def on(self):
        self.enable_by_count()

    def off(self):
        self.disable_by_count()

    def hold(self):
        self._profiler.hold()

    def release(self):
        self._profiler.release()

    def runctx(self, cmd, globals, locals):
        """Runs this statement with the profiler on."""
        with self:
            exec(cmd, globals, locals)
        return self

    def run(self, cmd):
        import __main__

        return self.runctx(cmd, __main__.__dict__, __main__.__dict__)

    def enable_by_count(self):
        self.enable_count += 1
        self.enable()

    def disable_by_count(self):
        if self.enable_count > 0:
            self.enable_count -= 1
            self.disable()

    def enable(self):
        if self.max_mem is not None:
            from . import _mp_limit

            _mp_limit.start(self)
        else:
            self._profiler.on()

    def disable(self):
        if self.max_mem is not None:
            from . import _mp_limit

            _mp_limit.stop()
        else:
            self._profiler.off()

    def trace_max_mem(self, frame, event, arg):
        """A trace function that starts the debugger when memory passes max_mem."""
        from . import _mp_limit

        return _mp_limit.trace(self, frame, event)

    def trace_memory_usage(self, frame, event, arg):
        """memory_profiler's trace function. Lines are recorded without one: enable() does it."""
        return None

    def __enter__(self):
        self.enable_by_count()
        return self

    def __exit__(self, *_):
        self.disable_by_count()


def show_results(prof, stream=None, precision=1):
    """Writes the tables of the functions that were called to `stream`, or standard output."""
    if stream is None:
        stream = sys.stdout
    mib = "{{0:{0}.{1}f}} MiB".format(precision + 4, precision)
    for filename, lines in prof.code_map.items():
        header = _TEMPLATE.format(
            "Line #", "Mem usage", "Increment", "Occurrences", "Line Contents"
        )
        # One by one, as memory_profiler: a LogFile makes a record of each.
        stream.write("Filename: {}\n\n".format(filename))
        stream.write(header + "\n")
        stream.write("=" * len(header) + "\n")
        for line, figures in lines:
            shown = ("", "", "")
            if figures is not None:
                increment, memory, occurrences = figures
                shown = (mib.format(memory), mib.format(_no_minus(increment)), occurrences)
            source = linecache.getline(filename, line) or "\n"
            stream.write(_TEMPLATE.format(line, *shown, source))
        stream.write("\n\n")


def _no_minus(value):
    return value if value else 0.0


def profile(func=None, stream=None, precision=1, backend="memtrace"):
    """Decorator: after each call of the function, writes the table of its lines to `stream`."""
    backend = _mp_backends.choose_backend(backend)
    if func is None:
        return lambda f: profile(f, stream=stream, precision=precision, backend=backend)
    if isinstance(func, (staticmethod, classmethod)):
        return type(func)(profile(func.__func__, stream, precision, backend))
    recorder = _mp_backends.engine(backend).recorder

    def begin():
        recorder.meters.pause()
        try:
            prof = LineProfiler(backend=backend)
            prof.add_function(func)
            return prof
        finally:
            recorder.meters.resume()

    def end(prof):
        recorder.meters.pause()
        try:
            show_results(prof, stream=stream, precision=precision)
        finally:
            recorder.meters.resume()

    return profiler.wrap(func, begin, end)
