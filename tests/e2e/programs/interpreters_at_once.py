"""Interpreters with a GIL of their own, at work at the same time, each in a thread: 3.12 and later.

Each one runs in_interpreter.py and pauses with all its objects alive; they share nothing but pipes.
After each round they are destroyed.
"""

import os
import signal
import sys
import threading

try:
    import _interpreters as interpreters  # 3.13
except ImportError:
    import _xxsubinterpreters as interpreters

INTERPRETERS, ROUNDS = 4, 3


PROGRAM = os.path.join(os.path.dirname(__file__), "in_interpreter.py")


def program(started, over):
    names = f"name, pipes = {PROGRAM!r}, {dict(started=started, over=over)}"
    return f"{names}\nexec(compile(open(name).read(), name, 'exec'))"


def work(started, over):
    one = interpreters.create()
    failed = interpreters.run_string(one, program(started, over))
    interpreters.destroy(one)
    if failed:
        os.write(2, str(failed).encode())


def one_round():
    started, over = os.pipe(), os.pipe()
    threads = [
        threading.Thread(target=work, args=(started[1], over[0])) for _ in range(INTERPRETERS)
    ]
    for thread in threads:
        thread.start()
    waiting = INTERPRETERS
    while waiting:
        waiting -= len(os.read(started[0], waiting))
    os.write(1, b"READY\n")
    sys.stdin.readline()
    os.write(over[1], b"." * INTERPRETERS)
    for thread in threads:
        thread.join()
    for pipe in (*started, *over):
        os.close(pipe)


def main():
    signal.alarm(60)
    for _ in range(ROUNDS):
        one_round()
    os.write(1, b"READY\n")
    sys.stdin.readline()


if __name__ == "__main__":
    main()
