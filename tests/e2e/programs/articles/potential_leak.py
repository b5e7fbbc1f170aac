import gc

from memory_profiler import profile


@profile
def potential_memory_leak():
    """Looks for a leak"""
    data_storage = []

    for i in range(1000):
        # many objects
        large_data = [0] * 10000
        data_storage.append(large_data)

        # some are let go now and then
        if i % 100 == 0:
            # a part of them only
            data_storage = data_storage[-50:]
            gc.collect()  # collect garbage now

    return len(data_storage)


if __name__ == "__main__":
    result = potential_memory_leak()
    print(f"Kept at the end: {result}")
