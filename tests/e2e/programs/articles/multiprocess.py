import multiprocessing as mp
import time

from memory_profiler import memory_usage


def worker_function(data_size):
    """What a worker does"""
    # data of this size
    data = [0] * data_size
    time.sleep(0.3)
    return sum(data)


def monitor_multiprocess():
    """Workers at once"""
    # the pool
    with mp.Pool(processes=4) as pool:
        # hand out the work
        results = []
        for i in range(4):
            result = pool.apply_async(worker_function, (100000 * (i + 1),))
            results.append(result)

        # wait for all
        for result in results:
            result.get()


# memory of a program of several processes
if __name__ == "__main__":
    mem_usage = memory_usage((monitor_multiprocess, ()), interval=0.2, multiprocess=True)

    print(f"Highest with several processes: {max(mem_usage):.2f} MiB")
