"""What each of interpreters_at_once.py's four interpreters runs: the figures are of all together."""

import os

pipes = globals()["pipes"]  # from who runs it
N = 50
kept = [None] * 400


def inner(i):
    kept[i] = bytes(1000)  # known: 200 x 1033


def outer():
    for i in range(N):
        kept[i + 100] = bytearray(2000)  # known: 200 x 56 + 200 x 2001
        inner(i)
        kept[i + 200] = "x" * 500 + str(i)
        kept[i + 200] = None


def numbers():
    for i in range(N):
        yield 1 << 30000  # known: 200 x 4028


def recursive(depth):
    kept[300 + depth] = bytes(700)  # known: 44 x 733
    if depth:
        recursive(depth - 1)


outer()
for i, number in enumerate(numbers()):
    kept[i + 250] = number
recursive(10)
os.write(pipes["started"], b".")
os.read(pipes["over"], 1)
