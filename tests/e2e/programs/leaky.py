"""A service with a leak: for each line of input some requests, then READY.

`# leak` at the end of a line: grows for ever, by 8 blocks a turn. `# cache`: fills, and is full
after 3 turns. `# bounded`: full from the first turn on. `# stops`: grows like a leak until turn 4.
`# request`: lives no longer than its request.
"""

import sys

REQUESTS = 8
leaked, cache, bounded, early = [], {}, {}, []


def leak(number):
    leaked.append(bytes(5000))  # leak


def look_up(number):
    key = number % (3 * REQUESTS)
    if key not in cache:
        cache[key] = bytes(7000)  # cache


def remember(number):
    bounded[number % REQUESTS] = bytes(9000)  # bounded


def begin(number):
    if number < 4 * REQUESTS:
        early.append(bytes(6000))  # stops


def handle(number):
    answer = bytes(20000)  # request
    for step in (leak, look_up, remember, begin):
        step(number)
    return len(answer)


turn = 0
while sys.stdin.readline():
    for number in range(turn * REQUESTS, (turn + 1) * REQUESTS):
        handle(number)
    turn += 1
    print("READY{}", flush=True)
