"""`python -m memtrace.mprof COMMAND …`: memory over time, as memory_profiler's `mprof` has it.

    python -m memtrace.mprof run main.py     samples the program's heap, writes mprofile_*.dat
    python -m memtrace.mprof plot -o out.png

Commands, options and files are mprof's; each reads the other's files. Figures are in MiB, and by
default exact bytes in live blocks (backend `memtrace`), where mprof has resident memory. Errors
are one sentence on standard error and a status other than 0.
"""

import sys

from ._mprof.commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
