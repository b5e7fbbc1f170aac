"""Memory over time on the terminal: the highest figure of each column's time, in MiB over seconds.

Plain characters; as wide as the terminal, 80 columns where there is none.
"""

import shutil

_ROWS = 16
_MARGIN = 11  # of the axis' figures


def _columns(series, begin, end, width):
    """The highest figure of each column; where nothing was sampled, the one before goes on."""
    found = [None] * width
    step = (end - begin) / width or 1
    before = None
    for when, memory in series:
        if when < begin:
            before = memory
        elif when <= end:
            place = min(int((when - begin) / step), width - 1)
            found[place] = max(memory, found[place] or 0)
    for place in range(width):
        before = found[place] = before if found[place] is None else found[place]
    return found


def _draw_one(profile, window, width):
    series = profile.memory
    start = series[0][0]
    begin, end = window or (0, series[-1][0] - start)
    columns = _columns([(t - start, m) for t, m in series], begin, end, width)
    highest = max((c for c in columns if c is not None), default=0)
    top = highest or 1
    for row in range(_ROWS, 0, -1):
        line = "".join(
            "#" if c is not None and c > top * (row - 0.5) / _ROWS else " " for c in columns
        )
        figure = "{:.2f}".format(top * row / _ROWS) if row % 5 == 1 else ""
        print("{:>{}} |{}".format(figure, _MARGIN - 2, line).rstrip())
    print("{:>{}} +{}".format("MiB", _MARGIN - 2, "-" * width))
    left, right = "{:g}".format(begin), "{:.1f} s".format(end)
    print(" " * _MARGIN + left + right.rjust(width - len(left)))


def draw(profiles, title, window):
    """Prints the profiles, one below the other."""
    width = max(20, shutil.get_terminal_size((80, 24)).columns - _MARGIN - 1)
    if title:
        print(title)
    for profile in profiles:
        highest = max(memory for _, memory in profile.memory)
        print("{}: highest {:.3f} MiB".format(profile.name, highest))
        _draw_one(profile, window, width)
        for pid, child in profile.children.items():
            print("child {}: highest {:.3f} MiB".format(pid, max(m for _, m in child)))
