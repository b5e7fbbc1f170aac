"""Modules with the names, arguments and output of other tools, over memtrace's engine.

from memtrace.compat import tracemalloc
from memtrace.compat.memory_profiler import profile
"""
