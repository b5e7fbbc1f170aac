"""Maps memory in the ways that Python has, and says in its comments what each line maps.

`# maps: 1 x 8192 mmap` at the end of a line: so many mappings, bytes and domain of what is mapped
there when it pauses. Run with a folder to work in.
"""

import mmap
import os
import sys
from multiprocessing import shared_memory

folder = sys.argv[1]
path = os.path.join(folder, "mapped")
with open(path, "wb") as f:
    f.write(b"x" * 100000)


def deeper(n):
    """Deep enough for frames that do not fit the first part of the interpreter's stack."""
    return 0 if n == 0 else 1 + deeper(n - 1)


kept = [mmap.mmap(-1, 10000)]  # maps: 1 x 12288 mmap
for n in range(1, 4):
    kept.append(mmap.mmap(-1, n * 4096))  # maps: 3 x 24576 mmap
with open(path, "r+b") as f:
    kept.append(mmap.mmap(f.fileno(), 5000))  # maps: 1 x 8192 mmap.file
    kept.append(mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ))  # maps: 1 x 102400 mmap.file
closed = mmap.mmap(-1, 4096 * 50)
closed.close()
grown = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
grown.resize(4096 * 9)  # maps: 1 x 36864 mmap
shared = shared_memory.SharedMemory(create=True, size=99999)  # maps: 1 x 102400 mmap.file
objects = [object() for _ in range(200000)]  # arenas are the interpreter's own
sys.setrecursionlimit(20000)
deeper(9000)
if "numpy" in sys.argv:
    import numpy

    array = numpy.memmap(path, dtype="u1", mode="r", shape=(50, 1000))  # maps: 1 x 53248 mmap.file

print("READY{}", flush=True)
sys.stdin.read()
shared.close()
shared.unlink()
