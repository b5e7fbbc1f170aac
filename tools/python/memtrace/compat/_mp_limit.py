"""The debugger where memory passes a limit (--pdb-mmem): once, in the function that passed it."""

import pdb
import sys

from . import _mp_backends


def start(prof):
    sys.settrace(prof.trace_max_mem)


def stop():
    if getattr(sys.gettrace(), "__name__", "") == "trace_max_mem":
        sys.settrace(None)


def trace(prof, frame, event):
    """The trace function of `prof`."""
    if event == "line" and prof._profiler.table_of(frame.f_code) is not None:
        now = _mp_backends.measure(prof.backend) / _mp_backends.MIB
        if now >= prof.max_mem:
            sys.stdout.write(
                "Current memory {:.2f} MiB exceeded the maximum of {:.2f} MiB\n"
                "Stepping into the debugger \n".format(now, prof.max_mem)
            )
            sys.settrace(None)
            debugger = pdb.Pdb(nosigint=True)
            debugger.set_trace(frame)
            if sys.version_info >= (3, 13):  # it stops at once, not at the next line
                return sys.gettrace()
            return debugger.trace_dispatch(frame, event, None)
    return prof.trace_max_mem
