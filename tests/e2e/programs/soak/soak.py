"""soak.py SECONDS ROUNDS LIBRARY...: what soak.c does, in Python, and with a READY line after each round.

Threads come and go and free each other's blocks; stacks are deep and shallow; modules are made from
source and forgotten; signal handlers allocate; libraries are loaded and unloaded; children are
forked, executed and killed. A line marked `# site: NAME` makes one block each time that it runs, and
the program counts them; so does the line of SOURCES. A third of a processor is all it takes.
"""

import _ctypes
import ctypes
import faulthandler
import gc
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

SLOTS = 1000
LATE = 300  # seconds, and it ends itself
# A call of bytes() or bytearray() would now and then make a tuple of its arguments, too.
ONE, ONE_ARRAY = b"x", bytearray(b"x")
SOURCES = [f"def f():\n    x = {i}\n    made = ONE * 1200\n    return made\n" for i in range(40)]
calls = {"shallow": 0, "deep": 0, "array": 0, "handler": 0, "generated": 0}
counting = threading.Lock()
slots = [None] * SLOTS
DEPTHS = (0, 1, 7, 50, 199)
ringing = False
choose = random.Random(20240229)


class Round:
    def __init__(self, seconds):
        self.start, self.cpu = time.monotonic(), self.used()
        self.end = self.start + seconds

    @staticmethod
    def used():
        t = os.times()
        return t.user + t.system + t.children_user + t.children_system

    def over(self):
        return time.monotonic() >= self.end

    def pace(self):
        while not self.over() and self.used() - self.cpu > (time.monotonic() - self.start) / 3:
            time.sleep(0.002)


def shallow(place):
    slots[place] = ONE * 700  # site: shallow


def deep(place, depth):
    if depth > 0:
        deep(place, depth - 1)
    else:
        slots[place] = ONE * 100  # site: deep


def array(place):
    slots[place] = ONE_ARRAY * 2000  # site: array


def ring():
    """Once, so that no handler interrupts another: its frame would be on the interrupted line."""
    signal.setitimer(signal.ITIMER_REAL, 0.01 if ringing else 0)


def on_signal(number, frame):
    place = calls["handler"] % SLOTS
    slots[place] = ONE * 900  # site: handler
    calls["handler"] += 1
    ring()


def generated(place, source):
    """Code objects that come and go, of a bounded number of texts."""
    names = {"ONE": ONE}
    exec(compile(source, "<generated>", "exec"), names)
    slots[place] = names["f"]()


def churn():
    """Nothing here is counted: what is made is gone when it ends."""
    kept = [{i: str(i) * 3} for i in range(30)]
    text = bytearray()
    for _ in kept:
        text += b"x" * 50
    return sorted(len(d) for d in kept)


def work(seed, this):
    rng = random.Random(seed)
    done = dict.fromkeys(calls, 0)
    for _ in range(rng.randrange(5, 60)):
        if this.over():
            break
        place = rng.randrange(SLOTS)
        what = rng.choice(("shallow", "deep", "array", "generated", "free", "churn"))
        if what == "shallow":
            shallow(place)
        elif what == "deep":
            deep(place, rng.choice(DEPTHS))
        elif what == "array":
            array(place)
        elif what == "generated":
            generated(place, rng.choice(SOURCES))
        elif what == "free":
            slots[place] = None
        else:
            churn()
        if what in done:
            done[what] += 1
        this.pace()
    with counting:
        for name, count in done.items():
            if name != "handler":
                calls[name] += count


def run_threads(this):
    threads = []
    while not this.over():
        thread = threading.Thread(target=work, args=(choose.random(), this))
        thread.start()
        threads.append(thread)
        if len(threads) > 4:
            threads.pop(0).join()
        if choose.randrange(50) == 0:
            gc.collect()
    for thread in threads:
        thread.join()


def forked(life):
    """A child that allocates and is killed, or exits when it is not to live for a while."""
    pid = os.fork()
    if pid == 0:
        signal.setitimer(signal.ITIMER_REAL, 0)
        end = time.monotonic() + (30 if life else 0.003)
        while time.monotonic() < end:
            churn()
        os._exit(0)
    if life:
        time.sleep(life)
        os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    assert status == (signal.SIGKILL if life else 0), status


def run_children(this, rng):
    while not this.over():
        what = rng.randrange(4)
        if what == 0:
            subprocess.run(["/bin/sh", "-c", "exec true"], check=True)
        else:
            forked(rng.random() / 100 if what == 1 else 0)
        time.sleep(rng.random() / 2)
        this.pace()


def run_libraries(this, rng, libraries):
    while not this.over():
        loaded = [ctypes.CDLL(path) for path in rng.sample(libraries, 2)]
        for library in loaded:
            library.plugin_allocates.restype = ctypes.c_void_p
            ctypes.CDLL(None).free(ctypes.c_void_p(library.plugin_allocates(rng.randrange(2000))))
        for library in loaded:
            _ctypes.dlclose(library._handle)
        time.sleep(rng.random() / 10)
        this.pace()


NAMES = {700: "shallow", 100: "deep", 2000: "array", 900: "handler", 1200: "generated"}
# What each asks for: sys.getsizeof is not rounded up. A bytearray is an object and its contents.
COST = {name: (1, sys.getsizeof(bytes(n))) for n, name in NAMES.items()}
COST["array"] = (2, sys.getsizeof(bytearray(2000)))


def live():
    """{name: (blocks, bytes)}, by what the slots hold."""
    sums = dict.fromkeys(calls, (0, 0))
    for held in slots:
        if held is not None:
            name = NAMES[len(held)]
            sums[name] = tuple(map(sum, zip(sums[name], COST[name])))
    return sums


def main():
    global ringing
    seconds, rounds, libraries = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    faulthandler.dump_traceback_later(seconds * rounds + LATE, exit=True)
    gc.disable()  # what a collection allocates would be on whatever line it interrupts
    signal.signal(signal.SIGALRM, on_signal)
    for number in range(rounds):
        this = Round(seconds)
        ringing = True
        ring()
        beside = [
            threading.Thread(target=run_children, args=(this, random.Random(number))),
            threading.Thread(target=run_libraries, args=(this, random.Random(-number), libraries)),
        ]
        for thread in beside:
            thread.start()
        run_threads(this)
        for thread in beside:
            thread.join()
        ringing = False
        ring()
        gc.collect()
        total = {name: (n * COST[name][0], n * COST[name][1]) for name, n in calls.items()}
        known = {"pid": os.getpid(), "total": total, "now": live()}
        print("READY" + json.dumps(known), flush=True)
        if not sys.stdin.readline():
            return


main()
