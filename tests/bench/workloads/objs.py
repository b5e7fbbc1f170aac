"""Allocation-heavy pure Python: objects, tuples, strings, a growing dict; mostly live, then freed."""


class Node:
    __slots__ = ("key", "value", "next")

    def __init__(self, key, value, next_node):
        self.key = key
        self.value = value
        self.next = next_node


def build(n):
    head = None
    for i in range(n):
        head = Node(str(i), float(i), head)
    return head


def churn(n):
    total = 0
    for i in range(n):
        t = [i, i + 1.5, str(i)]
        total += len(t[2])
    return total


def group(n):
    groups = {}
    for i in range(n):
        groups.setdefault(i % 1000, []).append((i, str(i)))
    return groups


for _ in range(2):
    h = build(400000)
    d = group(300000)
    churn(600000)
    while h:
        h = h.next
