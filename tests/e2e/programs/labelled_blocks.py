"""The blocks of labelled.py: nothing else that stays is allocated by a line of this file.

A bytes object is one block, and making it by an operator needs no tuple of arguments, which would go
to a freelist.
"""

kept = [None] * 20000


def keep(at, size):
    kept[at] = b"x" * size
