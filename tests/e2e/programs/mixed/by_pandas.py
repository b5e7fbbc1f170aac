"""A table, read by pandas. Argument: the file to read."""

import sys

import pandas


def load(path):
    return pandas.read_csv(path)  # load


table = load(sys.argv[1])  # module
assert table.shape == (200000, 2), table.shape
