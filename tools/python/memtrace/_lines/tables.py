"""Tables of `memtrace lines`: memory_profiler's, and one with line_profiler's columns. Any thread."""

import linecache

from .table import ALLOC, CALLS, HITS, NET, PEAK, TIME

_TIMED = "{:>6} {:>9} {:>12} {:>9} {:>8} {:>13} {:>13} {:>13}  {}"


class _Shown:
    """What show_results wants of a profiler."""

    def __init__(self, tables):
        from ..compat._mp_lines import CodeMap

        self.code_map = CodeMap(False, "memtrace", tables)


def write(stream, tables, timed, precision):
    """Writes the tables of functions that were called; returns their number."""
    called = [table for table in tables if any(r[HITS] for r in table.merged().values())]
    if timed:
        for table in called:
            _write_timed(stream, table)
    else:
        from ..compat._mp_lines import show_results

        show_results(_Shown(called), stream, precision)
    return len(called)


def _write_timed(stream, table):
    from ..compat import _mp_lines

    merged = table.merged()
    calls = merged.pop(CALLS, None)
    whole = sum(record[TIME] for record in merged.values())
    code = table.code
    name = getattr(code, "co_qualname", code.co_name)
    stream.write(
        "Filename: {}\nFunction: {} at line {}, {} calls, {:.6f} s\n\n".format(
            code.co_filename, name, code.co_firstlineno, calls[HITS] if calls else 0, whole / 1e9
        )
    )
    header = _TIMED.format(
        "Line #", "Hits", "Time (us)", "Per Hit", "% Time", "Alloc (B)", "Net (B)", "Peak (B)",
        "Line Contents",
    )  # fmt: skip
    stream.write("{}\n{}\n".format(header, "=" * len(header)))
    for line in _mp_lines._lines(code, merged):
        cells = _cells(merged.get(line), whole)
        source = linecache.getline(code.co_filename, line).rstrip("\n")
        stream.write(_TIMED.format(line, *cells, source).rstrip() + "\n")
    stream.write("\n\n")


def _cells(record, whole):
    if record is None or not record[HITS]:
        return [""] * 7
    microseconds = record[TIME] / 1e3
    return [
        record[HITS],
        "{:.1f}".format(microseconds),
        "{:.1f}".format(microseconds / record[HITS]),
        "{:.1f}".format(100 * record[TIME] / whole if whole else 0),
        record[ALLOC],
        record[NET],
        max(record[PEAK], 0),
    ]
