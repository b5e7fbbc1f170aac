"""Four Python threads that make and drop lists of short strings."""

import threading


def work():
    for _ in range(150):
        names = [str(x) for x in range(3000)]
        assert names


threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
