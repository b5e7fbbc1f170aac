from memory_profiler import profile


# the decorator alone, imported
@profile
def memory_intensive_function():
    # much memory
    data = []
    for i in range(100000):
        data.append([0] * 100)

    # work on it
    processed = [sum(row) for row in data]

    # without the first part
    del data

    return processed


# one call
if __name__ == "__main__":
    result = memory_intensive_function()
