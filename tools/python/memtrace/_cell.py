"""What a cell of a notebook allocated: its lines by what they keep and by what they held at the peak.

Bytes. The figures are of the whole process while the cell ran, all threads. A block counts for the
innermost line of the user's own code, which is what is neither in the standard library nor in an
installed package. What is kept comes from the recorder (blocks that the cell made and that are live
still); the lines at the peak from two snapshots, before and after, which the `memtrace` tool reads.
Errors: NotTracingError where nothing is recorded.
"""

import ctypes
import gc
import json
import linecache
import os
import subprocess
import sysconfig
import tempfile

from . import NotTracingError, _inspect, _place, snapshot

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def size_text(size):
    """As tracemalloc writes sizes."""
    for unit in _UNITS:
        if abs(size) < 100 and unit != "B":
            return "{:.1f} {}".format(size, unit)
        if abs(size) < 10 * 1024 or unit == "TiB":
            return "{:.0f} {}".format(size, unit)
        size /= 1024


class Line:
    """A line of the user's own code; file None: nobody's."""

    __slots__ = ("file", "line", "kept", "blocks", "peak")

    def __init__(self, file, line):
        self.file = file
        self.line = line
        self.kept = self.blocks = self.peak = 0


class Result:
    """What a cell did. `peak` is above what was live before it; `lines`, the most first."""

    def __init__(self):
        self.kept = self.blocks = self.peak = 0
        self.lines = []
        self.path = None

    def __repr__(self):
        return "<memtrace: kept {}, peak {}, in {} lines>".format(
            size_text(self.kept), size_text(self.peak), len(self.lines)
        )


# -------------------------------------------------------------------------------------------------
# Own code


def _others():
    """Folders of code that is not the user's own."""
    paths = sysconfig.get_paths()
    found = {
        os.path.realpath(paths[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib")
    }
    found.add(os.path.dirname(os.path.realpath(__file__)))
    return tuple(path + os.sep for path in found)


class _Own:
    """Whether a file is the user's own code; answers are kept."""

    def __init__(self, left_out):
        self._folders = _others()
        self._known = dict.fromkeys(left_out, False)

    def __call__(self, file):
        if file not in self._known:
            self._known[file] = self._look(file)
        return self._known[file]

    def _look(self, file):
        if file.startswith("<ipython-input"):
            return True
        if file.startswith("<") or "site-packages" in file or "dist-packages" in file:
            return False
        return not os.path.realpath(file).startswith(self._folders)


# -------------------------------------------------------------------------------------------------
# What is kept


def _many(function, ids, kind):
    """{id: structure} of the library's answers for these ids."""
    ids = list(ids)
    answers = (kind * len(ids))()
    function((ctypes.c_uint32 * len(ids))(*ids), len(ids), answers)
    return dict(zip(ids, answers))


def _nodes(functions, ids):
    """All nodes from these to their roots."""
    found, wanted = {}, set(ids)
    while wanted:
        new = _many(functions.nodes, wanted, _inspect.Node)
        found.update(new)
        wanted = {node.parent for node in new.values()} - set(found) - {0}
    return found


class _Places:
    """(file, line) of the user's own code by node."""

    def __init__(self, functions, ids, own):
        self._functions = functions
        self._nodes = _nodes(functions, ids - {0})
        self._own = own
        self._names = {}

    def _name(self, number):
        if number not in self._names:
            self._names[number] = _inspect.string(self._functions, number)
        return self._names[number]

    def __call__(self, node):
        while node:
            frame = self._nodes[node]
            if frame.kind & _inspect.FRAME_PYTHON:
                file = self._name(frame.filename)
                if self._own(file):
                    return file, frame.line
            node = frame.parent
        return None, 0


def _groups(functions, generation):
    """[(site, bytes, blocks)] of what is live of that generation."""
    count = ctypes.c_int64()
    groups = functions.live_groups(generation, 0, ctypes.byref(count))
    if count.value < 0:
        raise NotTracingError((functions.last_error() or b"").decode("utf-8", "replace"))
    found = [(g.site, g.bytes * g.count, g.count) for g in groups[: count.value]] if groups else []
    functions.release_groups(groups, count)
    return found


def _add_kept(functions, generation, own, result, lines):
    groups = _groups(functions, generation)
    sites = _many(functions.sites, {site for site, _, _ in groups}, _inspect.Site)
    places = _Places(functions, {site.node for site in sites.values()}, own)
    for number, size, count in groups:
        site = sites[number]
        if site.domain > 3:  # address space
            continue
        result.kept += size
        result.blocks += count
        place = places(site.node)
        line = lines.setdefault(place, Line(*place))
        line.kept += size
        line.blocks += count


# -------------------------------------------------------------------------------------------------
# What was there at the peak


def _rows(path, moment):
    """{(file, line): bytes} of own lines in a snapshot, by the tool; {} where it cannot say."""
    tool = _place.tool()
    if tool is None:
        return {}
    flags = ["--own", "--at", moment, "--top", "0", "--format", "json"]
    environment = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD",)}
    done = subprocess.run(
        [tool, "report", path] + flags,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    if done.returncode != 0:
        return {}
    rows = json.loads(done.stdout.decode())["rows"]
    return {(r.get("path") or r["file"], r["line"]): r["size"] for r in rows if r.get("line")}


def _add_peak(before, after, own, lines):
    """By how much each line held more at the peak than before the cell."""
    old, new = _rows(before, "now"), _rows(after, "peak")
    for place, size in new.items():
        more = size - old.get(place, 0)
        if more > 0 and own(place[0]):
            lines.setdefault(place, Line(*place)).peak = more


# -------------------------------------------------------------------------------------------------


def _weight(line):
    """For sorting: the most first, and always in one order."""
    return -max(line.kept, line.peak), str(line.file), line.line


def measure(run, path, left_out=()):
    """Calls run() and returns its Result; a snapshot of the process afterwards goes to the path.

    Files that are left out are not taken for the user's own code."""
    functions = _inspect.functions()
    if functions is None or not functions.is_tracing():
        raise NotTracingError("this process is not traced: call memtrace.start() first")
    gc.collect()
    result, lines, own = Result(), {}, _Own(left_out)
    with tempfile.TemporaryDirectory(prefix="memtrace-cell-") as folder:
        with _inspect.own_work(functions):
            before = snapshot(os.path.join(folder, "before.mtr"))
        generation = functions.new_generation()
        functions.reset_peak()
        start = functions.total_bytes()
        try:
            run()
        finally:
            peak = max(functions.peak_bytes(), functions.total_bytes())
            with _inspect.own_work(functions):
                result.peak = peak - start
                _add_kept(functions, generation, own, result, lines)
                result.path = snapshot(path)
                _add_peak(before, result.path, own, lines)
    result.lines = sorted(lines.values(), key=_weight)
    return result


def text(result, name_of, most=10):
    """The table; name_of(file) is how a file is called."""
    head = "kept {} in {} blocks; at its peak it held {} more than before".format(
        size_text(result.kept), result.blocks, size_text(result.peak)
    )
    lines = [head, "", "{:>10} {:>9} {:>10}  {}".format("kept", "blocks", "at peak", "line")]
    shown = [line for line in result.lines if line.file is not None]
    for line in shown[:most]:
        source = linecache.getline(line.file, line.line).strip()
        place = "{}:{}".format(name_of(line.file), line.line)
        figures = (size_text(line.kept), line.blocks, size_text(line.peak), place, source)
        lines.append("{:>10} {:>9} {:>10}  {}  {}".format(*figures).rstrip())
    if len(shown) > most:
        lines.append("… and {} lines more".format(len(shown) - most))
    rest = sum(line.kept for line in result.lines if line.file is None)
    if rest:
        lines.append("{:>10}{}".format(size_text(rest), "  outside of your own code"))
    return "\n".join(lines)
