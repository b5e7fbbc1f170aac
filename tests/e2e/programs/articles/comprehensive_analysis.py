# comprehensive_analysis.py
# ruff: noqa: F841
import numpy as np
from line_profiler import LineProfiler
from memory_profiler import profile as memory_profile


@memory_profile
def analyze_both_time_and_memory():
    """Takes time and memory"""
    # a large array (memory)
    data = np.random.random((300, 300))

    # long computing (time)
    result1 = np.linalg.svd(data)

    # more memory
    processed = data * 2 + 1

    # more computing
    result2 = np.fft.fft2(processed)

    return result2


# time, by line_profiler
def time_analysis():
    lp = LineProfiler()
    lp_wrapper = lp(analyze_both_time_and_memory)
    lp_wrapper()
    lp.print_stats()


if __name__ == "__main__":
    # memory is measured because of the decorator
    print("=== Memory ===")
    result = analyze_both_time_and_memory()

    print("\n=== Time ===")
    time_analysis()
