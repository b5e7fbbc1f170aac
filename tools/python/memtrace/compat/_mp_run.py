"""`python -m memtrace.compat.memory_profiler [options] program [arguments]`.

The program's exit status is passed on, and the tables are printed whatever its end.
"""

import argparse
import builtins
import os
import runpy
import sys

from . import _mp_backends
from ._mp_lines import LineProfiler, show_results
from ._mp_stamps import TimeStamper


def exec_with_profiler(filename, profiler, backend="memtrace", passed_args=()):
    """Runs a script with `profile` among the builtins."""
    _mp_backends.choose_backend(backend)
    sys.argv = [filename, *passed_args]
    sys.path.insert(0, os.path.dirname(os.path.abspath(filename)))
    with _Builtin(profiler), open(filename, "rb") as file:
        code = compile(file.read(), filename, "exec")
        import __main__

        namespace = {"__file__": filename, "__name__": "__main__", "__builtins__": builtins}
        before = dict(vars(__main__))
        vars(__main__).update(namespace, profile=profiler, __spec__=None)
        try:
            exec(code, vars(__main__))
        finally:
            vars(__main__).update(before)


def run_module_with_profiler(module, profiler, backend="memtrace", passed_args=()):
    """Runs a module as __main__ with `profile` among the builtins."""
    _mp_backends.choose_backend(backend)
    sys.argv = [module, *passed_args]
    with _Builtin(profiler):
        runpy.run_module(module, run_name="__main__", alter_sys=True)


class _Builtin:
    """The decorator as the builtin `profile`."""

    def __init__(self, profiler):
        self._profiler = profiler

    def __enter__(self):
        builtins.__dict__["profile"] = self._profiler

    def __exit__(self, *_):
        builtins.__dict__.pop("profile", None)


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m memtrace.compat.memory_profiler",
        description="Print what each line of the functions marked @profile allocates.",
    )
    from .memory_profiler import __version__

    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument(
        "--pdb-mmem",
        dest="max_mem",
        metavar="MAXMEM",
        type=float,
        help="start the debugger when memory passes this many MiB",
    )
    parser.add_argument("--precision", type=int, default=3, help="digits after the point (3)")
    parser.add_argument("-o", dest="out_filename", help="append the tables to this file")
    parser.add_argument(
        "--timestamp",
        action="store_true",
        help="print memory and time at the beginning and end of each call instead",
    )
    parser.add_argument(
        "--include-children", action="store_true", help="add the memory of child processes"
    )
    parser.add_argument("--backend", choices=_mp_backends.NAMES, default="memtrace")
    parser.add_argument(
        "program", nargs=argparse.REMAINDER, help="script or module, and its arguments"
    )
    return parser


def main(arguments=None):
    options = _parser().parse_args(arguments)
    if not options.program:
        sys.stderr.write("A program to run must be provided. Use -h for help\n")
        return 1
    program, passed = options.program[0], options.program[1:]
    backend = _mp_backends.choose_backend(options.backend)
    if program.endswith(".py") and not os.path.isfile(program):
        sys.stderr.write("Could not find script {}\n".format(program))
        return 1
    if options.timestamp:
        prof = TimeStamper(backend, include_children=options.include_children)
    else:
        prof = LineProfiler(
            max_mem=options.max_mem, backend=backend, include_children=options.include_children
        )
    try:
        if program.endswith(".py"):
            exec_with_profiler(program, prof, backend, passed)
        else:
            run_module_with_profiler(program, prof, backend, passed)
    finally:
        _show(prof, options)
    return 0


def _show(prof, options):
    out = sys.stdout
    if options.out_filename:
        out = open(options.out_filename, "a")
    try:
        if options.timestamp:
            prof.show_results(stream=out)
        elif options.max_mem is None:
            show_results(prof, stream=out, precision=options.precision)
    finally:
        if options.out_filename:
            out.close()
