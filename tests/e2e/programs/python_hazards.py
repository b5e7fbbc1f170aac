"""Things that Python programs do and a tracer may trip over: `python_hazards.py NAME` does one.

What it prints is the same whether it is traced or not.
"""

import asyncio
import faulthandler
import gc
import multiprocessing
import os
import sys
import threading


def work(rounds=300):
    kept = []
    for i in range(rounds):
        kept.append([str(i) * (i % 50), {i: bytes(i)}, bytearray(i * 3)])
        if i % 3 == 0:
            kept.pop(i // 3 % len(kept))
    return sum(len(text) + len(array) for text, _, array in kept)


def deep(n):
    return bytes(1 << 24) if n == 0 else deep(n - 1)


def deep_recursion():
    sys.setrecursionlimit(20000)
    threading.stack_size(512 << 20)
    found = []
    thread = threading.Thread(target=lambda: found.append(len(deep(10000))))
    thread.start()
    thread.join()
    print(found, work())


def endless(n):
    return endless(n + 1)


def recursion_errors():
    for _ in range(20):
        try:
            endless(0)
        except RecursionError as error:
            print(type(error).__name__, work(10))


def subinterpreters():
    try:
        import _interpreters as interpreters  # 3.13
    except ImportError:
        import _xxsubinterpreters as interpreters
    for i in range(5):
        one = interpreters.create()
        interpreters.run_string(one, f"x = [str(i) * {i} for i in range(2000)]; del x")
        interpreters.destroy(one)
    print(work())


def generators():
    def numbers(n):
        kept = bytearray(n)
        for i in range(n):
            kept = kept + bytes(1)
            yield len(kept)

    many = [numbers(n) for n in range(1, 200)]
    total = 0
    while many:
        many = [g for g in many if next(g, None) is not None]
        total += len(many)
    print(total)


def coroutines():
    async def one(i):
        await asyncio.sleep(0)
        kept = [bytes(i) for i in range(50)]
        await asyncio.sleep(0)
        return len(kept) + i

    async def all_of_them():
        return sum(await asyncio.gather(*(one(i) for i in range(500))))

    print(asyncio.run(all_of_them()))


def new_code_at_old_addresses():
    total = 0
    for i in range(3000):
        space = {}
        exec(compile(f"def f{i}(n):\n    return bytes(n + {i % 7})", f"<made {i}>", "exec"), space)
        total += len(space[f"f{i}"](i % 100))
    print(total)


def trace_functions():
    lines = []

    def tracer(frame, event, argument):
        lines.append(event)
        return tracer

    sys.settrace(tracer)
    work(20)
    sys.settrace(None)
    sys.setprofile(lambda *_: None)
    work(20)
    sys.setprofile(None)
    print(len(lines) > 100)


def tracemalloc_meanwhile():
    import tracemalloc

    for _ in range(5):
        tracemalloc.start(10)
        kept = [bytes(100) for _ in range(1000)]
        print(len(tracemalloc.take_snapshot().statistics("lineno")) > 0)
        tracemalloc.stop()
        del kept
        work(50)


def fork_in_threads():
    def forks():
        for _ in range(5):
            pid = os.fork()
            if pid == 0:
                os._exit(0 if work(100) == expected else 1)
            statuses.append(os.waitpid(pid, 0)[1])

    statuses, expected = [], work(100)
    threads = [threading.Thread(target=forks) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(statuses)


def processes():
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            print(method, pool.map(work, [10, 100, 200]))


def daemon_threads():
    def forever():
        while True:
            work(20)

    for _ in range(4):
        threading.Thread(target=forever, daemon=True).start()
    print(work())


def garbage():
    class Node:
        pass

    for _ in range(50):
        nodes = [Node() for _ in range(200)]
        for a, b in zip(nodes, nodes[1:] + nodes[:1]):
            a.next, b.previous = b, a
    gc.collect()
    print(len(gc.garbage), work())


def faults():
    faulthandler.enable()
    faulthandler.dump_traceback_later(0.05, repeat=True, file=open(os.devnull, "w"))
    for _ in range(100):
        work(100)
    faulthandler.cancel_dump_traceback_later()
    print(work())


if __name__ == "__main__":
    globals()[sys.argv[1]]()
