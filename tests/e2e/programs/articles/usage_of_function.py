import time

from memory_profiler import memory_usage


def my_function():
    # some computing
    data = [i**2 for i in range(100000)]
    time.sleep(0.1)  # what takes time
    return sum(data)


# memory while the function runs
mem_usage = memory_usage((my_function, ()))
print(f"Memory: {mem_usage}")
print(f"Highest: {max(mem_usage):.2f} MiB")
print(f"Lowest: {min(mem_usage):.2f} MiB")
