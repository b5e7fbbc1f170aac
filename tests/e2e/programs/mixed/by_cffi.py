"""Python, C, Python, C: by cffi. Arguments: the library, the size of the block."""

import sys

import cffi

ffi = cffi.FFI()
ffi.cdef("void mixed_leaf(int); int mixed_call(int (*)(int), int);")
library = ffi.dlopen(sys.argv[1])
size = int(sys.argv[2])


def innermost(number):
    library.mixed_leaf(number)  # innermost


@ffi.callback("int(int)")
def call_back(number):
    innermost(number)  # call back
    return 0


def start():
    library.mixed_call(call_back, size)  # start


start()  # module
