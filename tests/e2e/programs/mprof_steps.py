"""Memory in steps of known size, with rests between them; says at the end when the rests were.

Names are bound, frames and freelists filled beforehand, so that each step is the blocks it names.
"""

import array
import json
import sys
import time

moments = array.array("d", [0.0] * 10)


def rest(number):
    moments[2 * number] = time.time()
    time.sleep(0.35 if number else 0)
    moments[2 * number + 1] = time.time()


@profile  # noqa: F821
def make(size):
    return bytearray(size)


@profile  # noqa: F821
def outer(size):
    return make(size)


first = second = None
spare = [[] for _ in range(50)]
for number in 0, 0, 0:
    rest(number)
    second = outer(10)
    rest(number)
second = spare = None
rest(1)
first = [1] * (10**6)
rest(2)
second = outer(3 << 20)
rest(3)
rest(4)
print(json.dumps([sys.getsizeof(first), sys.getsizeof(second), list(moments)]))
