"""Python, C, Python, C: by a C extension. Arguments: its folder, the size of the block."""

import sys

sys.path.insert(0, sys.argv[1])
import extension

size = int(sys.argv[2])


def innermost():
    extension.blocks(size)  # innermost


def call_back():
    innermost()  # call back


def start():
    extension.call(call_back)  # start


start()  # module
