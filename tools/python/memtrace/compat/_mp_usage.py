"""memory_profiler's memory_usage, and its result and timer of %memit. MiB as floats; any thread.

A callable runs once, however short it is. With the backend `memtrace` no peak of its thread is missed:
a sample in whose interval a new peak was reached shows that peak. Exceptions of the callable go to
the caller, and no process is ended. Other processes are measured by resident memory.
"""

import os
import subprocess
import threading
import time

from . import _mp_backends
from ._mp_backends import MIB


def memory_usage(
    proc=-1,
    interval=0.1,
    timeout=None,
    timestamps=False,
    include_children=False,
    multiprocess=False,
    max_usage=False,
    retval=False,
    stream=None,
    backend=None,
    max_iterations=None,
):
    """Memory of a callable while it runs, of a process, or of this one; see the module."""
    samples = _Samples(backend, include_children, multiprocess, max_usage, timestamps, stream)
    call = _call_of(proc)
    if call is not None:
        result = samples.of_call(call, interval, timeout)
        shown = samples.shown()
        return (shown, result) if retval else shown
    if isinstance(proc, subprocess.Popen):
        samples.of_process(proc.pid, interval, timeout, max_iterations, proc.poll)
        return samples.shown(of_call=False)
    pid = os.getpid() if proc in (-1, None) else int(proc)
    if timeout is None and max_iterations is None:
        max_iterations = 1
    samples.of_process(pid, interval, timeout, max_iterations, lambda: None)
    return samples.shown(of_call=False)


def _call_of(proc):
    if callable(proc):
        return proc, (), {}
    if not isinstance(proc, (list, tuple)):
        return None
    if not 1 <= len(proc) <= 3:
        raise ValueError("a callable with its arguments: (f,), (f, args) or (f, args, kwargs)")
    args = proc[1] if len(proc) > 1 else ()
    return proc[0], args, proc[2] if len(proc) > 2 else {}


class _Samples:
    def __init__(self, backend, include_children, multiprocess, max_usage, timestamps, stream):
        self.backend = _mp_backends.choose_backend(backend)
        self.include_children = include_children
        self.multiprocess = multiprocess
        self.max_usage = max_usage
        self.timestamps = timestamps
        self.stream = stream
        self.taken = []  # (MiB, seconds since 1970)

    def take(self, pid, nested, at_least=0):
        """Adds what the process holds now; `nested`: with its children beside it."""
        now = time.time()
        size = max(_mp_backends.measure(self.backend, pid), at_least) / MIB
        children = []
        if self.include_children or self.multiprocess:
            children = _mp_backends.measure_children(self.backend, pid)
        if self.include_children:
            size += sum(child for _, child in children) / MIB
        if self.stream is not None:
            self.stream.write("MEM {:.6f} {:.4f}\n".format(size, now))
            if self.multiprocess:
                for number, child in children:
                    self.stream.write("CHLD {} {:.6f} {:.4f}\n".format(number, child / MIB, now))
            self.stream.flush()
        elif nested and self.multiprocess:
            self.taken.append(([size] + [child / MIB for _, child in children], now))
        else:
            self.taken.append((size, now))

    def shown(self, of_call=True):
        if self.stream is not None:
            return None
        taken = self.taken
        if self.max_usage:
            largest = max(taken, key=lambda sample: sample[0])
            return largest if self.timestamps else largest[0]
        return list(taken) if self.timestamps else [size for size, _ in taken]

    def of_process(self, pid, interval, timeout, most, ended):
        count = most
        if timeout is not None:
            count = max(1, int(round(timeout / interval))) if interval else 1
            count = min(count, most) if most else count
        done = 0
        while ended() is None and (count is None or done < count):
            try:
                self.take(pid, nested=True)
            except OSError:
                break
            done += 1
            if count is None or done < count:
                time.sleep(interval)

    def of_call(self, call, interval, timeout):
        function, args, kwargs = call
        meters = _mp_backends.engine(self.backend).meters
        exact = meters.exact
        meters.pause()
        view = meters.start() if exact else None
        begun = meters.total() - view[0] + view[1] if exact else 0
        peaks = _Peaks(view, begun)
        self.take(os.getpid(), nested=False)
        stop = threading.Event()
        thread = threading.Thread(
            target=self._sample, args=(meters, peaks, interval, timeout, stop), daemon=True
        )
        if exact:
            view[4] = view[0] - view[1]
        peaks.seen = meters.total() if exact else 0
        thread.start()
        meters.resume()
        try:
            return function(*args, **kwargs)
        finally:
            meters.pause()
            stop.set()
            thread.join()
            highest = peaks.new()
            if highest:
                self.take(os.getpid(), nested=False, at_least=highest)
            self.take(os.getpid(), nested=False)
            if exact:
                meters.stop()
            meters.resume()

    def _sample(self, meters, peaks, interval, timeout, stop):
        meters.pause()  # for this thread's whole life
        end = None if timeout is None else time.monotonic() + timeout
        while not stop.wait(max(interval, 1e-4)):
            if end is not None and time.monotonic() > end:
                break
            self.take(os.getpid(), nested=False, at_least=peaks.new())


class _Peaks:
    """New peaks of a thread's meter."""

    def __init__(self, view, begun):
        self.view = view
        self.begun = begun
        self.seen = 0

    def new(self):
        """The peak in bytes when it is higher than when last asked, else 0."""
        if self.view is None:
            return 0
        peak = self.begun + self.view[4]
        if peak <= self.seen:
            return 0
        self.seen = peak
        return peak


class MemitResult:
    """What %memit shows."""

    def __init__(self, mem_usage, baseline, repeat, timeout, interval, include_children):
        self.mem_usage = mem_usage
        self.baseline = baseline
        self.repeat = repeat
        self.timeout = timeout
        self.interval = interval
        self.include_children = include_children

    def __str__(self):
        highest = max(self.mem_usage)
        return "peak memory: {:.2f} MiB, increment: {:.2f} MiB".format(
            highest, highest - self.baseline
        )

    def _repr_pretty_(self, p, cycle):
        p.text("<MemitResult : {}>".format(self))


class MemTimer(threading.Thread):
    """Samples a process until its pipe says so, and sends (samples, number) back.

    A thread here, not a process: nothing is forked.
    """

    def __init__(self, monitor_pid, interval, pipe, backend, max_usage=False, *args, **kw):
        self.monitor_pid = monitor_pid
        self.interval = interval
        self.pipe = pipe
        self.max_usage = max_usage
        self._samples = _Samples(
            backend, kw.pop("include_children", False), False, max_usage,
            kw.pop("timestamps", False), None
        )  # fmt: skip
        super().__init__(*args, daemon=True, **kw)

    def run(self):
        self._samples.take(self.monitor_pid, nested=False)
        self.pipe.send(0)  # ready
        while not self.pipe.poll(self.interval):
            self._samples.take(self.monitor_pid, nested=False)
        self._samples.take(self.monitor_pid, nested=False)
        shown = self._samples.shown()
        self.pipe.send(shown)
        self.pipe.send(len(self._samples.taken))
