"""Keeps blocks for ever and prints a mark after every 500: "MARK k"."""

import os

kept = []
k = 0
while True:
    k += 1
    for i in range(500):
        kept.append(bytes(700))  # kept: block
        bytes(9000)  # freed: block
    os.write(1, b"MARK %d\n" % k)
