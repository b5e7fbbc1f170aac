"""The peak of memory while a piece of code runs, for `%memit`.

Bytes, of the heap where this process is traced and of resident memory otherwise. Exact for what the
calling thread does; with other threads at work the process's peak may be short by 32 KiB for each.
Making the peak anew (`memtrace.reset_peak()`) is part of it. Errors of the code pass through.
"""

import gc
import os
import threading

from . import NotTracingError, _inspect
from ._mprof import meters, regions, system

MIB = 1 << 20


class MemitResult:
    """What `%memit -o` returns; MiB and seconds. Prints as memory_profiler's."""

    def __init__(self, mem_usage, baseline, repeat, timeout, interval, include_children):
        self.mem_usage = mem_usage
        self.baseline = baseline
        self.repeat = repeat
        self.timeout = timeout
        self.interval = interval
        self.include_children = include_children

    def __str__(self):
        highest = max(self.mem_usage)
        return "peak memory: {:.02f} MiB, increment: {:.02f} MiB".format(
            highest, highest - self.baseline
        )

    def _repr_pretty_(self, printer, _cycle):
        printer.text("<MemitResult : {}>".format(self))


class _Watch:
    """Samples what only sampling can tell, in a thread, while code runs: the highest figure."""

    def __init__(self, read, interval):
        self._read = read
        self._interval = interval
        self._end = threading.Event()
        self.highest = 0
        self._thread = threading.Thread(target=self._work, daemon=True)

    def _work(self):
        while not self._end.wait(self._interval):
            self.highest = max(self.highest, self._read())

    def __enter__(self):
        self.highest = self._read()
        self._thread.start()
        return self

    def __exit__(self, _type, _value, _traceback):
        self._end.set()
        self._thread.join()
        self.highest = max(self.highest, self._read())


def _children(backend):
    """What all child processes have."""
    total, folders = 0, regions.folders()
    for pid in system.descendants(os.getpid()):
        meter = meters.meter(pid, backend, folders)
        total += meter.bytes() or 0
        meter.close()
    return total


def _resident(run, interval, include_children):
    def read():
        return (system.rss(os.getpid()) or 0) + (_children("psutil") if include_children else 0)

    before = read()
    with _Watch(read, interval) as watch:
        run()
    return before, watch.highest


def _heap(functions, run):
    """(bytes before, bytes at the peak) of this process."""
    pause, resume = functions.pause, functions.resume
    meter = functions.meter_start()
    if not meter:
        raise NotTracingError("this thread's allocations cannot be counted: no room is left")
    pause()  # what this function itself allocates is not in the figures
    try:
        seen = meter.contents
        functions.reset_peak()
        before = functions.total_bytes()
        seen.peak_bytes = here = seen.allocated_bytes - seen.freed_bytes
        resume()
        try:
            run()
        finally:
            pause()
        # This thread's own peak is exact, that of the process counts the others, too.
        return before, max(before + seen.peak_bytes - here, functions.peak_bytes())
    finally:
        functions.meter_stop()
        resume()


def measure(run, interval=0.1, include_children=False):
    """Calls run(); (bytes before, bytes at the peak)."""
    gc.collect()
    functions = _inspect.functions()
    if functions is None or not functions.is_tracing():
        return _resident(run, interval, include_children)
    if not include_children:
        return _heap(functions, run)
    of_children = _children(meters.DEFAULT)
    watch = _Watch(lambda: functions.total_bytes() + _children(meters.DEFAULT), interval)
    with watch:
        before, peak = _heap(functions, run)
    return before + of_children, max(peak + of_children, watch.highest)
