"""Lines that allocate and throw away, and lines that keep.

`# temporary: 40 x 3000` at the end of a line: of its blocks of that size so many are freed before
their thread's next allocation; `# kept:` and `# later:` live on, or are freed after others.
"""

import sys

N = 40
bytes(N)  # what the interpreter does once is done here


def churn():
    kept = [None] * N
    later = [None] * N
    for i in range(N):
        bytes(3000)  # temporary: 40 x 3033
        kept[i] = bytes(3100)  # kept: 40 x 3133
        later[i] = bytes(3200)  # later: 40 x 3233
    for i in range(N):
        later[i] = None
    return kept


kept = churn()
print("READY{}", flush=True)
sys.stdin.readline()
