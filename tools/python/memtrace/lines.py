"""`memtrace lines`: what each line of a program's own functions allocates; nothing is decorated.

    memtrace lines main.py arguments
    memtrace lines main.py:function        memtrace lines main.py:Class.method
    memtrace lines -m module arguments

Tables go to standard output when the program has ended, whatever its end; its exit status is passed
on. Sizes are exact bytes, shown in MiB or, with --time, in bytes. Each thread's events count for the
lines that it ran. Needs the library in the process: `memtrace lines` sees to that.
"""

import argparse
import builtins
import os
import sys
import threading

_USAGE_ERROR = 2


def _parser():
    parser = argparse.ArgumentParser(
        prog="memtrace lines",
        usage="memtrace lines [options] SCRIPT[:FUNCTION] [arguments]\n"
        "       memtrace lines [options] -m MODULE[:FUNCTION] [arguments]",
        description="Show what each line of the program's own functions allocates, with all that it "
        "calls. Own means: outside the standard library and installed packages.",
        epilog="Examples: memtrace lines main.py   memtrace lines --time main.py:Parser.feed x.json",
    )
    parser.add_argument("-m", dest="module", action="store_true", help="run a module, not a file")
    parser.add_argument("-o", dest="output", metavar="FILE", help="write the tables to this file")
    parser.add_argument(
        "--time",
        action="store_true",
        help="also hits and time of each line, and bytes allocated, net and at the line's peak",
    )
    parser.add_argument(
        "--precision", type=int, default=3, metavar="N", help="digits of MiB after the point (3)"
    )
    parser.add_argument("program", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def _split(target, module):
    """(program, function or None) of SCRIPT:FUNCTION."""
    program, colon, function = target.rpartition(":")
    if colon and function and (module or not os.path.exists(target)):
        return program, function
    return target, None


def main(arguments=None):
    parser = _parser()
    options = parser.parse_args(arguments)
    if not options.program:
        parser.error("name a script, or -m and a module")
    if not 0 <= options.precision <= 20:
        parser.error("--precision is a number from 0 to 20, not {}".format(options.precision))
    program, function = _split(options.program[0], options.module)
    if not options.module and not os.path.isfile(program):
        parser.error("there is no script {}".format(program))
    from ._lines import own_code
    from .compat import _mp_backends

    backend = _mp_backends.choose_backend(None)
    engine = _mp_backends.engine(backend, detailed=options.time)
    watch = own_code.OwnCode(engine, function)
    status = _run(watch, engine, program, options)
    _show(watch, options, function)
    return status


def _run(watch, engine, program, options):
    """The program's exit status; a traceback is printed as Python would."""
    passed = options.program[1:]
    sys.argv = [program, *passed]
    sys.path[0] = os.getcwd() if options.module else os.path.dirname(os.path.abspath(program))
    builtins.profile = _profile
    watch.start()
    try:
        watch.run_module(program) if options.module else watch.run_script(program)
        status = 0
    except SystemExit as ended:
        status = _status(ended.code)
    except BaseException:
        _print_traceback()
        status = 1
    finally:
        _wait_for_threads()
        watch.stop()
    return status


def _profile(function=None, **_options):
    """The decorator that kernprof and memory_profiler make a builtin: all is recorded without it."""
    return _profile if function is None else function


def _status(code):
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    sys.stderr.write("{}\n".format(code))
    return 1


def _print_traceback():
    """Without the frames of this package."""
    kind, error, trace = sys.exc_info()
    here = os.path.dirname(os.path.abspath(__file__))
    while trace is not None and _is_ours(trace.tb_frame.f_code.co_filename, here):
        trace = trace.tb_next
    sys.excepthook(kind, error.with_traceback(trace), trace)


def _is_ours(filename, here):
    return filename.startswith(here) or filename.startswith("<frozen") or "runpy" in filename


def _wait_for_threads():
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()


def _show(watch, options, function):
    from ._lines import tables

    sys.stdout.flush()
    out = sys.stdout
    if options.output and options.output != "-":
        try:
            out = open(options.output, "w", encoding="utf-8")
        except OSError as error:
            sys.stderr.write(
                "memtrace: cannot write {}: {}\n".format(options.output, error.strerror)
            )
            return
    shown = tables.write(out, watch.profiler.tables, options.time, options.precision)
    if out is not sys.stdout:
        out.close()
    if not shown:
        sys.stderr.write(
            "memtrace: {} was not called\n".format(function)
            if function
            else "memtrace: no function of the program's own was called\n"
        )


if __name__ == "__main__":
    from memtrace import lines

    sys.exit(lines.main())
