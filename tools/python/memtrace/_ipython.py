"""`%load_ext memtrace`: %mprun and %memit as memory_profiler has them, and %%memtrace.

Sizes are shown in MiB as memory_profiler's, and by tracemalloc's rule in %%memtrace. The magics run
in IPython's thread. A kernel that was started without the library gets it when the extension is
loaded (`memtrace.start()`), which says once what it cannot see; where there is no library, %memit
has resident memory, and %%memtrace says what is missing.
"""

import builtins
import io
import os
import re
import sys

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_cell_magic, magics_class

from . import NotTracingError, _cell, _inspect, _memit

try:
    from IPython.core.magic import no_var_expand
except ImportError:  # before 7.3

    def no_var_expand(function):
        return function


_CELLS = "memtrace-cells"


def split_options(line, flags, valued):
    """({letter: [values]}, the rest of the line as it is). Options come first; `--` ends them."""
    found, rest = {}, line.lstrip()
    while rest.startswith("-"):
        word, _, after = rest.partition(" ")
        after = after.lstrip()
        letters = word[1:]
        rest = after
        if word == "--":
            break
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in flags:
                found.setdefault(letter, []).append(True)
            elif letter in valued:
                if not letters:
                    letters, _, rest = after.partition(" ")
                if not letters:
                    raise UsageError("option -{} needs a value".format(letter))
                found.setdefault(letter, []).append(letters)
                letters, rest = "", rest.lstrip()
            else:
                raise UsageError("option -{} not recognized ( allowed: {!r} )".format(
                    letter, flags + "".join(v + ":" for v in valued)
                ))  # fmt: skip
    return found, rest


def _number(options, letter, default, kind):
    """The option's value; UsageError if it is no number."""
    if letter not in options:
        return default
    try:
        return kind(options[letter][-1])
    except ValueError:
        raise UsageError("-{} {}: not a number".format(letter, options[letter][-1]))


def _compiled(shell, source):
    """Code whose lines IPython and linecache know."""
    name = shell.compile.cache(source)
    return compile(source, name, "exec")


class _Builtin:
    """`profile` as a builtin meanwhile."""

    def __init__(self, profiler):
        self._profiler = profiler

    def __enter__(self):
        self._had = "profile" in builtins.__dict__
        self._old = builtins.__dict__.get("profile")
        builtins.__dict__["profile"] = self._profiler

    def __exit__(self, _type, _value, _traceback):
        if self._had:
            builtins.__dict__["profile"] = self._old
        else:
            del builtins.__dict__["profile"]


@magics_class
class MemoryProfilerMagics(Magics):
    """%mprun and %memit."""

    def _functions(self, names):
        found = []
        for name in names:
            try:
                found.append(eval(name, self.shell.user_global_ns, self.shell.user_ns))
            except Exception as error:
                raise UsageError(
                    "Could not find function {!r}.\n{}: {}".format(
                        name, type(error).__name__, error
                    )
                )
        return found

    def _show(self, text):
        """By the pager in a terminal; a notebook keeps what is printed."""
        if hasattr(self.shell, "kernel"):
            print(text)
            return
        from IPython.core.page import page

        page(text)

    @no_var_expand
    @line_cell_magic
    def mprun(self, line="", cell=None):
        """Run a statement and show the memory of functions line by line.

        %mprun -f FUNCTION [-f FUNCTION …] [-T FILE] [-r] [-c] STATEMENT
        %%mprun -f FUNCTION … [STATEMENT], and the cell

        -f  a function or method to be shown; any expression without blanks. It may be defined in
            the notebook
        -T  write the tables to this file, too
        -r  return the LineProfiler
        -c  with the memory of child processes
        """
        from .compat.memory_profiler import LineProfiler, show_results

        options, statement = split_options(line, "rc", "fT")
        if cell is not None:
            statement += "\n" + cell
        profiler = LineProfiler(include_children="c" in options)
        for function in self._functions(options.get("f", [])):
            profiler(function)
        message = ""
        try:
            with _Builtin(profiler):
                profiler.runctx(
                    _compiled(self.shell, statement), self.shell.user_global_ns, self.shell.user_ns
                )
        except SystemExit:
            message = "*** SystemExit exception caught in code being profiled."
        except KeyboardInterrupt:
            message = "*** KeyboardInterrupt exception caught in code being profiled."
        stream = io.StringIO()
        show_results(profiler, stream)
        output = stream.getvalue().rstrip()
        self._show(output)
        if message:
            print(message)
        for path in options.get("T", [])[-1:]:
            with open(path, "w") as file:
                file.write(output)
            print("\n*** Profile printout saved to text file {}. {}".format(path, message))
        return profiler if "r" in options else None

    @no_var_expand
    @line_cell_magic
    def memit(self, line="", cell=None):
        """The peak of memory while a statement runs, and by how much it is above the start.

        %memit [-r N] [-t S] [-i S] [-c] [-o] [-q] STATEMENT
        %%memit [options] [SETUP, not measured], and the cell

        -r  run it N times and take the highest (1)
        -t  accepted; a statement runs to its end
        -i  seconds between samples of what can only be sampled (0.1)
        -c  with the memory of child processes
        -o  return the result
        -q  print nothing
        """
        options, statement = split_options(line, "coq", "rti")
        repeat = max(1, _number(options, "r", 1, int))
        timeout = _number(options, "t", 0, int)
        interval = _number(options, "i", 0.1, float)
        setup, measured = ("", statement) if cell is None else (statement, cell)
        space = self.shell.user_ns
        exec(_compiled(self.shell, setup), space)
        code = _compiled(self.shell, measured)
        peaks, baseline = [], None
        for _ in range(repeat):
            before, peak = _memit.measure(lambda: exec(code, space), interval, "c" in options)
            baseline = before / _memit.MIB if baseline is None else baseline
            peaks.append(peak / _memit.MIB)
        result = _memit.MemitResult(
            peaks, baseline, repeat, timeout if timeout > 0 else None, interval, "c" in options
        )
        if "q" not in options:
            print(result)
        return result if "o" in options else None


def _name_of(file, cells):
    """How a cell's file is called, and others by the shortest path."""
    old = re.match(r"<ipython-input-(\d+)-", file)
    number = int(old.group(1)) if old else cells.get(file)
    if number is not None:
        return "In [{}]".format(number)
    short = os.path.relpath(file)
    return file if short.startswith("..") else short


@magics_class
class MemtraceMagics(Magics):
    """%%memtrace."""

    def _cells(self):
        """{file: number} of the cells that have been run."""
        return dict(getattr(self.shell.compile, "_filename_map", {}))

    def _outer_file(self):
        """The file of the cell that this magic is in: it has nothing but the call of the magic."""
        frame = sys._getframe()
        while frame is not None and frame.f_globals is not self.shell.user_ns:
            frame = frame.f_back
        return frame.f_code.co_filename if frame is not None else None

    def _number_of(self, file, cells):
        old = re.match(r"<ipython-input-(\d+)-", file or "")
        return int(old.group(1)) if old else cells.get(file, self.shell.execution_count)

    @cell_magic
    def memtrace(self, line, cell):
        """Run the cell and show which lines keep memory, and which held it at the cell's peak.

        %%memtrace [-n LINES] [-o FILE] [-r]

        -n  how many lines to show (10)
        -o  where the snapshot goes; memtrace-cells/in-N.mtr if not given
        -r  return the figures
        """
        options, rest = split_options(line, "r", "no")
        if rest:
            raise UsageError("%%memtrace: {!r} is no option".format(rest))
        most = _number(options, "n", 10, int)
        outer, cells = self._outer_file(), self._cells()
        number = self._number_of(outer, cells)
        path = options.get("o", [None])[-1]
        if path is None:
            os.makedirs(_CELLS, exist_ok=True)
            path = os.path.join(_CELLS, "in-{}.mtr".format(number))
        # The line of the magic stays, so that lines have the numbers that the notebook shows.
        source = "# memtrace\n" + cell
        try:
            result = _cell.measure(lambda: self.shell.run_cell(source), path, [outer])
        except NotTracingError as error:
            raise UsageError("%%memtrace: {}".format(error))
        with _inspect.own_work(_inspect.functions()):
            # IPython counts the cell inside the magic as one of its own.
            names = {f: number if cells.get(f) != n else n for f, n in self._cells().items()}
            print(_cell.text(result, lambda file: _name_of(file, names), most))
            shown = os.path.relpath(result.path)
            print("\nSnapshot: {0}\n  memtrace report {0}".format(shown))
        return result if "r" in options else None


def load_ipython_extension(shell):
    """Called by %load_ext."""
    from . import start

    try:
        start()
    except NotTracingError as error:
        print("memtrace: {}; %memit shows resident memory".format(error))
    shell.register_magics(MemoryProfilerMagics, MemtraceMagics)


def unload_ipython_extension(shell):
    """Called by %unload_ext; recording goes on."""
    for kind, name in (("line", "mprun"), ("line", "memit")):
        shell.magics_manager.magics[kind].pop(name, None)
    for name in ("mprun", "memit", "memtrace"):
        shell.magics_manager.magics["cell"].pop(name, None)
