"""Sizes as people read them: binary units by tracemalloc's rule, for all that the package prints.

Below 10,240 a figure stays in its unit; other than bytes it has one decimal below 100.
"""

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def size(number, signed=False):
    """`number` bytes in words: 10239 -> "10239 B", 10240 -> "10.0 KiB"; signed: "+10.0 KiB"."""
    sign = "+" if signed else ""
    for unit in _UNITS:
        if abs(number) < 100 and unit != "B":
            return "{:{}.1f} {}".format(number, sign, unit)
        if abs(number) < 10 * 1024 or unit == _UNITS[-1]:
            return "{:{}.0f} {}".format(number, sign, unit)
        number /= 1024


def share(part, whole):
    """`part` of `whole` in percent, "-" of nothing."""
    return "{:.1f}%".format(100 * part / whole) if whole else "-"


def table(header, rows, left=()):
    """Lines of a table: columns as wide as their cells, aligned right but for those in `left`."""
    widths = [max(map(len, column)) for column in zip(header, *rows)]
    lines = []
    for row in [header] + list(rows):
        cells = [
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
