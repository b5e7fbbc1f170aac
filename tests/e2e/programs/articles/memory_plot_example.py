# memory_plot_example.py
# ruff: noqa: F401, F821
import time

import matplotlib.pyplot as plt
import numpy as np
from memory_profiler import memory_usage


@profile
def create_large_arrays():
    """Large arrays"""
    print("Arrays are made...")

    # Step 1: the first array
    arr1 = np.zeros((1000, 1000))
    time.sleep(0.3)
    print("The first array is there")

    # Step 2: the second array
    arr2 = np.ones((1500, 1500))
    time.sleep(0.3)
    print("The second array is there")

    # Step 3: computing
    result = np.dot(arr1[:500, :500], arr2[:500, :500])
    time.sleep(0.3)
    print("The product is there")

    # Step 4: without the arrays
    del arr1, arr2
    time.sleep(0.3)
    print("The arrays are gone")

    return result


if __name__ == "__main__":
    result = create_large_arrays()
