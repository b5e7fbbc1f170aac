"""Allocates at many different stacks in many threads: many_stacks.py THREADS STACKS.

Every thread keeps one block at each of its STACKS stacks; no stack is another thread's. For each
line of input every thread allocates all of it once more, and frees every second block that its
neighbour made before. The threads live until standard input ends.

A stack is the number of its block, written in lines: each level of recursion is called from one of
four.
"""

import sys
import threading

LEVELS = 10
BLOCK = 64
threading.stack_size(256 * 1024)


def descend(number, level):
    if level == 0:
        return bytes(BLOCK)
    digit = number & 3
    if digit == 0:
        return descend(number >> 2, level - 1)
    if digit == 1:
        return descend(number >> 2, level - 1)
    if digit == 2:
        return descend(number >> 2, level - 1)
    return descend(number >> 2, level - 1)


def work(me, stacks, kept, turn, done):
    first = me * stacks
    neighbour = (me + 1) % len(kept)
    while True:
        kept[me].append([descend(number, LEVELS) for number in range(first, first + stacks)])
        done.wait()
        turn.wait()
        del kept[neighbour][-1][::2]
        done.wait()


def main():
    threads, stacks = map(int, sys.argv[1:])
    assert threads * stacks <= 4**LEVELS
    turn, done = threading.Barrier(threads + 1), threading.Barrier(threads + 1)
    kept = [[] for _ in range(threads)]
    for me in range(threads):
        work_of_me = (me, stacks, kept, turn, done)
        threading.Thread(target=work, args=work_of_me, daemon=True).start()
    done.wait()
    print('READY{"blocks": %d}' % (threads * stacks), flush=True)
    while sys.stdin.readline():
        turn.wait()
        done.wait()  # all have freed
        done.wait()  # all have allocated
        print("READY{}", flush=True)


main()
