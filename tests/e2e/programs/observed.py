"""Runs a Python program under tracemalloc, the witness for what memtrace says of the same run.

    observed.py plain|events DEPTH PROGRAM RESULT

`plain` is tracemalloc as it is. `events` is tracemalloc without the two things in which it is not a
record of allocator events of the `mem` and `obj` domains: it leaves `raw` alone, and a block that an
object takes over from a freelist stays where it was allocated.

Modules that the environment variable IMPORTED_BEFORE names are imported before all that.

Two READY lines are printed: before tracemalloc starts, and when the program has ended but all its
objects are alive. At the first the test takes memtrace's figures of what came before, at the second
those of the same moment as tracemalloc's. Then RESULT is written: live blocks and bytes by stack
(innermost frame first).

Nothing here runs a Python function between tracemalloc's snapshot and the second READY: a new frame
could take a block from a freelist. Nor is an attribute looked up that was not looked up just before:
it could take the place of another in the cache of types' attributes, which holds the last reference
to the name of that one.
"""

import _tracemalloc
import ctypes
import gc
import json
import os
import sys

RAW_DOMAIN = 0
# Made now: looking one up allocates, in ctypes' own lines.
get_allocator = ctypes.pythonapi.PyMem_GetAllocator
set_allocator = ctypes.pythonapi.PyMem_SetAllocator
set_tracer = ctypes.pythonapi.PyRefTracer_SetTracer if sys.version_info >= (3, 13) else None
UNLIKELY_DEPTH = 12345  # to recognise tracemalloc's settings in 3.12's runtime state


class Allocator(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("ctx", "malloc", "calloc", "realloc", "free")]


class Settings(ctypes.Structure):
    """struct _PyTraceMalloc_Config, 3.8 to 3.12."""

    _fields_ = [("initialized", ctypes.c_int), ("tracing", ctypes.c_int), ("depth", ctypes.c_int)]


def mapped_end(address):
    """Where the mapping that holds the address ends."""
    with open("/proc/self/maps") as maps:
        for line in maps:
            begin, end = (int(part, 16) for part in line.split()[0].split("-"))
            if begin <= address < end:
                return end
    raise LookupError("address is not mapped")


def settings_in_runtime():
    """3.12 keeps the settings inside _PyRuntime at an offset that is not published."""
    begin = ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, "_PyRuntime"))
    state = ctypes.string_at(begin, mapped_end(begin) - begin)
    wanted = bytes(Settings(1, 1, UNLIKELY_DEPTH))
    found = [i for i in range(0, len(state) - 12, 4) if state[i : i + 12] == wanted]
    if len(found) != 1:
        raise LookupError("tracemalloc's settings were found %d times" % len(found))
    return Settings.from_address(begin + found[0])


def start_events():
    """Starts tracemalloc as a plain record of events; returns its settings where they are kept."""
    raw = Allocator()
    get_allocator(RAW_DOMAIN, ctypes.byref(raw))
    _tracemalloc.start(UNLIKELY_DEPTH)
    set_allocator(RAW_DOMAIN, ctypes.byref(raw))
    if set_tracer:
        set_tracer(None, None)
        return Settings()
    if sys.version_info >= (3, 12):
        settings = settings_in_runtime()
    else:
        settings = Settings.in_dll(ctypes.pythonapi, "_Py_tracemalloc_config")
    settings.tracing = 0
    return settings


def write_result(path, traces):
    """Live blocks and bytes by tracemalloc's domain and stack; a stack is a list of frames' numbers."""
    frames, stacks = {}, {}
    for domain, size, stack, *_ in traces:
        key = (domain, stack)
        count, total = stacks.get(key, (0, 0))
        stacks[key] = (count + 1, total + size)
    rows = []
    for (domain, stack), (count, size) in stacks.items():
        rows.append([domain, count, size, [frames.setdefault(f, len(frames)) for f in stack]])
    result = {"version": list(sys.version_info[:3]), "frames": list(frames), "stacks": rows}
    with open(path + ".part", "w") as out:
        out.write(json.dumps(result))
    os.rename(path + ".part", path)


mode, depth, program, result_path = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
sys.path.insert(0, os.path.dirname(program))
with open(program) as source:
    code = compile(source.read(), program, "exec")
namespace = {"__name__": "__main__", "__file__": program}
sys.argv = [program]
settings = Settings()
for module in os.environ.get("IMPORTED_BEFORE", "").split():
    __import__(module)

os.write(1, b"READY\n")
os.read(0, 1)
if mode == "events":
    settings = start_events()
else:
    _tracemalloc.start(depth)
try:
    exec(code, namespace)
except BaseException:
    sys.excepthook(*sys.exc_info())
    os._exit(1)
# Threads of a pool may still be ending, and free what tracemalloc has just seen.
if "threading" in sys.modules:
    for thread in sys.modules["threading"].enumerate():
        if thread is not sys.modules["threading"].current_thread():
            thread.join(10)
gc.collect()
gc.disable()
get_traces, write, read = _tracemalloc._get_traces, os.write, os.read
settings.tracing = 1
traces = get_traces()
settings.tracing = 0
write(1, b"READY\n")
read(0, 1)
if mode == "plain":
    _tracemalloc.stop()
write_result(result_path, traces)
os._exit(0)
