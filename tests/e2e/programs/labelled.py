"""Blocks of known sizes in labels of all kinds; the table of what is where is in test_labels.py."""

import _thread
import asyncio
import contextlib
import json
import sys
import threading

import memtrace
from labelled_blocks import keep, kept

LARGE = 100003


class Nothing:
    """As contextlib.nullcontext, which makes a tuple of its arguments."""

    def __enter__(self):
        pass

    def __exit__(self, kind, error, trace):
        pass


nothing = Nothing()


def plain():
    keep(0, 1001)
    with memtrace.label("plain"):
        keep(1, 1003)
        kept[13] = b"x" * LARGE  # by a line of the function that has the block
        keep(2, 1007)
    keep(3, 1009)


def deep():
    with memtrace.label("deep"):
        keep(5, 2003)


def nested():
    with memtrace.label("outer"):
        keep(4, 2001)
        deep()
        with memtrace.label("inner"):
            keep(6, 2007)
            deep_again = deep
        with memtrace.label("outer"):
            keep(7, 2009)
        keep(8, 2011)
    keep(9, 2013)
    return deep_again


def fails():
    try:
        with memtrace.label("fails"):
            keep(10, 3001)
            raise KeyError
    except KeyError:
        keep(11, 3003)


def recursive(depth):
    with memtrace.label("recursive"):
        keep(20 + depth, 3007)
        if depth:
            recursive(depth - 1)


def one_thread(barrier, number, label):
    barrier.wait()
    for turn in range(10):
        with label:
            keep(100 + number * 20 + turn, 4001)
        keep(100 + number * 20 + 10 + turn, 4003)


def threads():
    barrier = threading.Barrier(6)
    labels = [memtrace.label("thread one"), memtrace.label("thread two"), nothing]
    started = [
        threading.Thread(target=one_thread, args=(barrier, n, labels[n % 3])) for n in range(6)
    ]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()


async def inner_work(at):
    keep(at, 5001)
    await asyncio.sleep(0)
    keep(at + 1, 5003)


async def work(at, label):
    with label:
        for turn in range(3):
            keep(at + turn, 5007)
            await asyncio.sleep(0)
        await inner_work(at + 3)
    keep(at + 5, 5009)


async def started_inside():
    keep(380, 5011)


async def tasks():
    await asyncio.gather(
        work(300, memtrace.label("task one")),
        work(310, nothing),
        work(320, memtrace.label("task two")),
        work(330, nothing),
        work(340, memtrace.label("task one")),
    )
    with memtrace.label("starts a task"):
        task = asyncio.ensure_future(started_inside())
        await task


def suspended(at):
    with memtrace.label("generator"):
        keep(at, 6001)
        yield
        keep(at + 1, 6003)
        yield
    keep(at + 2, 6007)


def generators():
    generator = suspended(400)
    next(generator)
    keep(410, 6009)
    with memtrace.label("consumer"):
        next(generator)
        keep(411, 6011)
    list(generator)
    closed = suspended(420)
    next(closed)
    closed.close()
    for at in (430, 433, 436):
        keep(at, 6013)


def switched():
    """At the same instruction with the label and without it, and nothing else is allocated."""
    label = memtrace.label("switched")
    for at, context in ((440, label), (441, nothing), (442, label), (443, nothing)):
        with context:
            keep(at, 1013)


def moves(steps):
    """Suspended and resumed at the same places, labelled or not."""
    for at, context in steps:
        with context:
            keep(at, 7001)
            yield


def other_thread(generator, mine, others):
    for _turn in range(2):
        mine.acquire()
        next(generator)
        others.release()


def moved():
    """First here, with the label; it ends there; then here again, where nothing has happened since."""
    mine, others = _thread.allocate_lock(), _thread.allocate_lock()
    mine.acquire()
    others.acquire()
    first = (450, memtrace.label("moves"))
    generator = moves((first, (451, nothing), (452, nothing), (453, nothing)))
    thread = threading.Thread(target=other_thread, args=(generator, others, mine))
    thread.start()
    for _turn in range(2):
        next(generator)
        others.release()
        mine.acquire()
    thread.join()


async def travels():
    with memtrace.label("travels"):
        keep(470, 7003)
        await asyncio.sleep(0)
        keep(471, 7007)
        await asyncio.sleep(0)
        keep(472, 7009)
    keep(473, 7011)


def run_steps(coroutine, steps):
    """A loop of our own: what the coroutine waits for is ready at once."""
    try:
        for _step in range(steps):
            coroutine.send(None)
    except StopIteration:
        pass


def travelled():
    coroutine = travels()
    run_steps(coroutine, 1)
    for steps in (1, 2):
        thread = threading.Thread(target=run_steps, args=(coroutine, steps))
        thread.start()
        thread.join()
        keep(480 + steps, 7013)


@memtrace.label
def named_by_itself():
    keep(500, 8001)


@memtrace.label("decorated")
def decorated(at):
    keep(at, 8003)
    return at


@memtrace.label("coroutine")
async def decorated_coroutine(at):
    keep(at, 8007)
    await asyncio.sleep(0)
    keep(at + 1, 8007)
    return at


@memtrace.label("decorated generator")
def decorated_generator(at):
    got = yield at
    keep(at, 8009)
    yield got
    return at + 1


@memtrace.label("async generator")
async def decorated_async_generator(at):
    keep(at, 8011)
    try:
        got = yield at
        await asyncio.sleep(0)
        keep(at + 1, 8011)
        yield got
    finally:
        keep(at + 2, 8011)


class Class:
    @memtrace.label("method")
    def method(self):
        keep(560, 8013)

    @memtrace.label("static")
    @staticmethod
    def static():
        keep(561, 8017)


async def use_async():
    assert await decorated_coroutine(510) == 510
    generator = decorated_async_generator(520)
    assert await generator.__anext__() == 520
    keep(530, 8019)
    assert await generator.asend("sent") == "sent"
    await generator.aclose()
    assert [at async for at in decorated_async_generator(540)] == [540, None]
    keep(531, 8019)


def decorators():
    named_by_itself()
    assert decorated(501) == 501
    generator = decorated_generator(550)
    assert next(generator) == 550
    assert generator.send("sent") == "sent"
    try:
        next(generator)
    except StopIteration as end:
        assert end.value == 551
    asyncio.run(use_async())
    Class().method()
    Class.static()
    assert decorated.__name__ == "decorated"


@contextlib.contextmanager
def through_contextlib():
    with memtrace.label("contextlib"):
        yield


def contexts():
    with through_contextlib():
        keep(600, 9001)
    keep(601, 9003)
    with contextlib.ExitStack() as stack:
        stack.enter_context(memtrace.label("stack"))
        keep(602, 9007)
        stack.enter_context(through_contextlib())
        keep(603, 9009)
    keep(604, 9011)


def set_up(label, at):
    label.__enter__()
    keep(at, 9013)


def tear_down(label):
    label.__exit__(None, None, None)


def by_hand():
    """Entered in one function and left in another: it belongs to the first one."""
    label = memtrace.label("by hand")
    set_up(label, 610)
    keep(611, 9017)
    tear_down(label)
    set_up(nothing, 612)


def crowd_member(at):
    with memtrace.label("crowd"):
        yield
        keep(at, 997)


def crowd():
    """Thousands that are suspended in a label at once."""
    members = [crowd_member(1000 + n) for n in range(5000)]
    for member in members:
        next(member)
    for member in members:
        next(member, None)


def many():
    for n in range(2000):
        with memtrace.label("many {:04}".format(n)):
            keep(10000 + n, 999)


def main():
    for _turn in range(2000):
        keep(0, 1)  # up to 3.10 code that runs often is given a cache
    switched()  # while there is one thread
    plain()
    nested()
    fails()
    recursive(40)
    threads()
    asyncio.run(tasks())
    generators()
    moved()
    travelled()
    decorators()
    contexts()
    by_hand()
    crowd()
    many()
    told = {
        "object": sys.getsizeof(b""),
        "ctypes": "ctypes" in sys.modules,
        "blocks": sum(block is not None for block in kept),
    }
    sys.stdout.write("READY " + json.dumps(told) + "\n")
    sys.stdout.flush()
    sys.stdin.read()


main()
