"""Threads that keep and free blocks at the same lines, and free each other's."""

import threading

THREADS = 6
ROUNDS = 400
kept = [[None] * ROUNDS for _ in range(THREADS)]
passed_on = [[None] * ROUNDS for _ in range(THREADS)]
barrier = threading.Barrier(THREADS)


def work(number):
    mine, others = kept[number], passed_on[(number + 1) % THREADS]
    for i in range(ROUNDS):
        mine[i] = bytes(300)  # known: 2400 x 333
        passed_on[number][i] = bytearray(1500)  # known: 600 x 56 + 600 x 1501
    barrier.wait()
    for i in range(ROUNDS):
        if i % 4:
            others[i] = None


threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
