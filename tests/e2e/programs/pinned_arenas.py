"""Makes 100 MB of small objects and keeps one in each of Python's arenas, by arithmetic.

Objects of 300 to 304 bytes are of one size class, 304, or 320 where a bytes object's header makes
them so; the program says what its own take.
"""

import json
import sys

SIZE = 280
COUNT = 320000
# An arena is 256 KiB up to 3.9, then 1 MiB; a pool 4 or 16 KiB: one object in each quarter MiB.
STEP = 700


def made(i):
    return bytes(SIZE) if i else bytes(SIZE)  # kept: this line


def main():
    things = [made(i) for i in range(COUNT)]
    block = -(-sys.getsizeof(things[0]) // 16) * 16
    kept = things[::STEP]
    del things
    truth = {
        "made": COUNT * block,
        "kept": len(kept) * sys.getsizeof(kept[0]),
        "count": len(kept),
    }
    print("READY", json.dumps(truth), flush=True)
    sys.stdin.read()


main()
