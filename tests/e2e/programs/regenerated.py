"""Code that is made, run and freed, so that the next code object lies at the same address.

Each generation allocates one block at a line of its own in a file of its own. A tracer that knows
code by its address alone gives old names to new code.
"""

GENERATIONS = 300
kept = [None] * GENERATIONS
addresses = set()


def make(number):
    source = "\n" * (number % 40) + "def made():\n    return bytes(%d)\n" % (1000 + number)
    namespace = {}
    exec(compile(source, "generation_%d.py" % number, "exec"), namespace)
    made = namespace["made"]
    addresses.add(id(made.__code__))
    block = made()
    namespace.clear()  # the function and its globals hold each other
    return block


for number in range(GENERATIONS):
    kept[number] = make(number)
assert len(addresses) < GENERATIONS // 2, "no address was used twice: nothing was tried"
