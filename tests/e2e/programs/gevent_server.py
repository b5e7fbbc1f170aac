"""A gevent server and its clients in one process: greenlets of the hub's, sockets and timers."""

from gevent import monkey

monkey.patch_all()

import gc  # noqa: E402
import threading  # noqa: E402

import gevent  # noqa: E402
from gevent.pool import Pool  # noqa: E402
from gevent.queue import Queue  # noqa: E402
from gevent.server import StreamServer  # noqa: E402
from gevent.socket import create_connection  # noqa: E402

gc.disable()
CLIENTS, MESSAGES = 12, 15
kept = []
queue = Queue()


def keep(block):
    kept.append(block)


def serve(connection, _):
    with connection.makefile("rwb") as stream:
        for line in stream:
            block = bytes(3000)  # known: 180 x 3033
            keep(block)
            gevent.sleep(0)
            stream.write(line)
            stream.flush()


def ask(number):
    connection = create_connection(("127.0.0.1", server.server_port))
    with connection, connection.makefile("rwb") as stream:
        for i in range(MESSAGES):
            stream.write(b"%d %d\n" % (number, i))
            stream.flush()
            if stream.readline() == b"%d %d\n" % (number, i):
                block = bytes(4000)  # known: 180 x 4033
                keep(block)
            queue.put(number)


def count():
    for _ in range(CLIENTS * MESSAGES):
        queue.get()
        block = bytearray(5000)  # known: 180 x 56 + 180 x 5001
        keep(block)


def patched_thread():
    for _ in range(10):
        block = bytes(6000)
        keep(block)
        gevent.sleep(0.001)


keep(None)  # to 3.10 a function keeps its first frame
server = StreamServer(("127.0.0.1", 0), serve)
server.start()
counter = gevent.spawn(count)
thread = threading.Thread(target=patched_thread)
thread.start()
Pool(CLIENTS).map(ask, range(CLIENTS))
counter.join()
thread.join()
server.stop()
