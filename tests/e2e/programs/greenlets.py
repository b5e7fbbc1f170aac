"""Greenlets that allocate, keep and free while they take turns: each stack is its own greenlet's.

A switch swaps the frames of the thread's state for another greenlet's; in C the stack is copied away.
`# known: N x BYTES` is arithmetic; the whole stacks are compared with tracemalloc's.
"""

import gc
import os
import threading
import time

from greenlet import getcurrent, greenlet

gc.disable()
ROUNDS, MANY = 40, 20  # below 1024 turns, where 3.8 to 3.10 make caches of instructions
kept = []


def keep(block):
    kept.append(block)


def turn():
    getcurrent().parent.switch()


def shallow():
    for i in range(ROUNDS):
        block = bytes(700)  # known: 800 x 733
        keep(block)
        turn()


def dive(depth):
    if depth:
        dive(depth - 1)
        return
    for i in range(ROUNDS):
        block = bytearray(1200)  # known: 800 x 56 + 800 x 1201
        keep(block)
        turn()
        keep(bytes(900 + i % 2))
        if i % 3 == 0:
            kept.pop()


def deep():
    dive(5 + len(kept) % 23)


def produced():
    for i in range(ROUNDS):
        yield bytes(1300)  # known: 800 x 1333


def generating():
    for block in produced():
        keep(block)
        turn()


def failing():
    """Ends with an exception that passes its parent."""
    block = bytes(1700)  # known: 20 x 1733
    keep(block)
    turn()
    raise KeyError(bytes(60))


def run_all(functions):
    waiting = [greenlet(function) for function in functions * MANY]
    while waiting:
        for one in list(waiting):
            try:
                one.switch()
            except KeyError:
                pass
        waiting = [one for one in waiting if not one.dead]


def starter():
    """A greenlet starts others from its own depth, which outlive what it was started from."""

    def inner():
        block = bytes(2100)  # known: 20 x 2133
        keep(block)
        outer_again.switch()
        block = bytes(2200)  # known: 20 x 2233
        keep(block)

    for _ in range(20):
        outer_again = getcurrent()
        one = greenlet(inner)
        one.switch()
        one.switch()


def in_thread():
    def two_turns():
        block = bytes(2600)  # known: 40 x 2633
        keep(block)
        turn()
        block = bytes(2700)  # known: 40 x 2733
        keep(block)

    for _ in range(10):
        one = greenlet(two_turns)
        one.switch()
        one.switch()


keep(None)  # to 3.10 a function keeps its first frame
run_all([shallow, deep, generating, failing])
greenlet(starter).switch()
threads = [threading.Thread(target=in_thread) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
# What greenlet keeps of a thread goes when the thread itself does, after join.
while len(os.listdir("/proc/self/task")) > 1:
    time.sleep(0.001)
time.sleep(0.001)
