"""Python, C, Python, C: by ctypes. Arguments: the library, the size of the block."""

import ctypes
import sys

library = ctypes.CDLL(sys.argv[1])
size = int(sys.argv[2])
CallBack = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)


def innermost(number):
    library.mixed_leaf(number)  # innermost


@CallBack
def call_back(number):
    innermost(number)  # call back
    return 0


def start():
    library.mixed_call(call_back, size)  # start


start()  # module
