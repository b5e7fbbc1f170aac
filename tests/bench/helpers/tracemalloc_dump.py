"""tracemalloc_dump FRAMES FILE PROGRAM: runs a program under tracemalloc, saves a snapshot at its end.

What tracemalloc's users write themselves: it has no command that does so.
"""

import runpy
import sys
import tracemalloc

frames, target, program = sys.argv[1:4]
sys.argv[:] = [program]
tracemalloc.start(int(frames))
runpy.run_path(program, run_name="__main__")
tracemalloc.take_snapshot().dump(target)
