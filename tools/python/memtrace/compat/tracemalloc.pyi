from tracemalloc import *
