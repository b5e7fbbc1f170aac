# ruff: noqa: F841
import numpy as np
from memory_profiler import profile


@profile
def memory_optimization_patterns():
    """Ways to take less memory"""

    # 1. a generator, not a list
    def data_generator(n):
        for i in range(n):
            yield i**2

    # what it yields, one by one
    gen_sum = sum(data_generator(100000))

    # 2. let go of what is done with
    large_array = np.random.random((1000, 1000))
    processed = np.sum(large_array, axis=1)
    del large_array  # at once

    # 3. a view of an array
    base_array = np.random.random((2000, 2000))
    view_array = base_array[::2, ::2]  # no copy

    # 4. large data in chunks
    def process_large_data_in_chunks(data, chunk_size=1000):
        results = []
        for i in range(0, len(data), chunk_size):
            chunk = data[i : i + chunk_size]
            result = np.sum(chunk)  # of this chunk
            results.append(result)
            del chunk  # let go of the chunk
        return results

    large_data = np.random.random(10000)
    chunk_results = process_large_data_in_chunks(large_data)

    return chunk_results


if __name__ == "__main__":
    results = memory_optimization_patterns()
