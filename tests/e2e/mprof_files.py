"""What the tests of mprof share: running it as a user would, and reading its files by themselves.

Figures are turned back into bytes here, not by the code under test.
"""

import harness

PACKAGE_ROOT = str(harness.BUILD_DIR / "python")
MIB = 1 << 20

# Without PYTHONPATH: the program under mprof is to have its environment as it is.
_MAIN = (
    "import sys; sys.path.insert(0, sys.argv[1]); from memtrace._mprof.commands import main; "
    "sys.exit(main(sys.argv[2:]))"
)


def command(python, *arguments):
    return [str(python), "-c", _MAIN, PACKAGE_ROOT, *map(str, arguments)]


def environment(session, **extra):
    env = harness.clean_environment()
    env["MEMTRACE_DIR"] = str(session.regions_dir)
    env["MEMTRACE_LIBRARY"] = session.library
    env.update(extra)
    return env


def mprof(session, python, *arguments, check=True, **extra):
    return harness.run(
        command(python, *arguments),
        env=environment(session, **extra),
        cwd=session.work_dir,
        check=check,
    )


def in_bytes(text):
    """Bytes of a figure in MiB, which must be a whole number of them."""
    size = float(text) * MIB
    assert abs(size - round(size)) < 0.06, f"{text} MiB is not a whole number of bytes"
    return round(size)


class Data:
    """A .dat file: memory in bytes, times in seconds."""

    def __init__(self, path):
        self.text = path.read_text()
        assert self.text.endswith("\n"), "the last line is not whole"
        self.command = None
        self.samples = []  # (time, bytes)
        self.children = {}  # pid -> [(time, bytes)]
        self.marks = []  # (name, bytes before, time, bytes after, time, level)
        for line in self.text.splitlines():
            self._add(*line.split(" "))

    def _add(self, kind, *fields):
        if kind == "CMDLINE":
            self.command = " ".join(fields)
        elif kind == "MEM":
            self.samples.append((float(fields[1]), in_bytes(fields[0])))
        elif kind == "CHLD":
            points = self.children.setdefault(int(fields[0]), [])
            points.append((float(fields[2]), in_bytes(fields[1])))
        else:
            assert kind == "FUNC", kind
            name, before, start, after, end, level = fields
            self.marks.append(
                (name, in_bytes(before), float(start), in_bytes(after), float(end), int(level))
            )

    def mark(self, name):
        """The only mark of that name."""
        found = [mark for mark in self.marks if mark[0] == name]
        assert len(found) == 1, self.text
        return found[0]

    def grown(self, name):
        """By how much memory grew in the only call of that function."""
        _, before, _, after, _, _ = self.mark(name)
        return after - before

    def peak(self):
        return max(size for _, size in self.samples)


def between(points, start, end):
    """The one figure that all samples between two moments have.

    The machine may stop the sampler between its look at the clock and its look at the process."""
    found = {size for when, size in points if start + 0.04 <= when <= end - 0.04}
    assert found, f"no sample between {start} and {end}: {points}"
    assert len(found) == 1, f"memory at rest is not one figure: {found}"
    return found.pop()


def data(session, name=None):
    """The file of that name, or the only one that mprof has named."""
    if name is None:
        names = list(session.work_dir.glob("mprofile_*.dat"))
        assert len(names) == 1, names
        return Data(names[0])
    return Data(session.work_dir / name)
