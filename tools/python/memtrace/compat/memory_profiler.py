"""memory_profiler 0.61's names, arguments and output, over memtrace's exact figures.

    from memtrace.compat.memory_profiler import profile, memory_usage
    python -m memtrace.compat.memory_profiler script.py

Increment is what a line allocated, net, with all that it called: bytes of live blocks, shown in MiB,
of the thread that runs the line. Without the library in the process everything goes on with resident
memory, and one line on standard error says so. Any thread; unknown backends are a KeyError.
"""

__version__ = "0.61.0"
