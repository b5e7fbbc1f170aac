import time

import numpy as np
from memory_profiler import memory_usage


def memory_heavy_task():
    """Arrays that come and go"""
    # Step 1: a large array
    arr1 = np.random.random((1000, 1000))
    time.sleep(0.3)

    # Step 2: a larger one
    arr2 = np.random.random((2000, 2000))
    time.sleep(0.3)

    # Step 3: without the first
    del arr1
    time.sleep(0.3)

    # Step 4: the result
    result = np.sum(arr2)
    time.sleep(0.3)

    return result


# a sample each 0.1 seconds
mem_usage = memory_usage((memory_heavy_task, ()), interval=0.1, timeout=3)

print("Memory over time:")
for i, usage in enumerate(mem_usage):
    print(f"Time {i * 0.1:.1f}s: {usage:.2f} MiB")
