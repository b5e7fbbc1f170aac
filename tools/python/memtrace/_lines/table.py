"""Figures of a function's lines.

Bytes and nanoseconds as integers. Each thread writes lists of its own, so that no event is lost and
nothing waits; readers add them up.
"""

HITS, NET, HIGH, ALLOC, PEAK, TIME = range(6)

# Key of the record of the function's calls, beside those of its lines.
CALLS = 0


def new_record():
    return [0, 0, 0, 0, 0, 0]


class LineTable:
    """One function's lines, those of functions inside it among them."""

    __slots__ = ("code", "codes", "_threads")

    def __init__(self, code):
        self.code = code
        self.codes = list(_all_codes(code))
        self._threads = {}

    def lines_of(self, thread):
        """{line: record} that this thread writes."""
        lines = self._threads.get(thread)
        if lines is None:
            lines = self._threads[thread] = {}
        return lines

    def merged(self):
        """{line: record} of all threads together."""
        total = {}
        for lines in list(self._threads.values()):
            for line, record in list(lines.items()):
                _add(total.setdefault(line, new_record()), record)
        return total


def _add(total, record):
    for index in (HITS, NET, ALLOC, TIME):
        total[index] += record[index]
    for index in (HIGH, PEAK):
        if record[index] > total[index]:
            total[index] = record[index]


def _all_codes(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, type(code)):
            yield from _all_codes(constant)
