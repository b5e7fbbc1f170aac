"""The sample programs of the page on memory_profiler (programs/articles), as tests run and read them.

A program runs as it is, or with its one import changed and its figures printed with all places:
those are whole bytes.
"""

import re

import harness

ARTICLES = harness.PROGRAMS / "articles"
MIB = 1 << 20
HEADER = "Line #    Mem usage    Increment  Occurrences   Line Contents"


def put(session, name, change=lambda text: text):
    """Copies an article's program to the test's folder."""
    text = change((ARTICLES / name).read_text())
    (session.work_dir / name).write_text(text)
    return text


def collected(text):
    """The program that collects garbage before it begins, and none on its lines. No line moves."""
    return re.sub(
        r"\n.*\nif __name__", "\nimport gc; gc.collect(); gc.disable()\nif __name__", text
    )


def exact(text):
    """The program with one import changed, and figures with all places; and see collected()."""
    changed = collected(text)
    changed = changed.replace("from memory_profiler ", "from memtrace.compat.memory_profiler ")
    assert "memtrace" in changed
    changed = re.sub(r"^(@\w*profile)$", r"\1(precision=20)", changed, flags=re.M)
    return changed.replace(":.2f} MiB", ":.20f} MiB")


def traced(session, *command, flags=()):
    """What a command under `memtrace run` prints; its snapshot is run.mtr."""
    argv = ["run", "-q", "-f", "-o", "run.mtr", *flags, *command]
    done = session.tool(*argv, cwd=session.work_dir)
    return done.stdout


def both(session, python, name):
    """What the program prints as it is, and with the import changed."""
    put(session, name)
    plain = traced(session, python, name, flags=["--memory-profiler"])
    put(session, name, exact)
    return plain, traced(session, python, name)


class Row:
    def __init__(self, memory, increment, hits):
        self.shown = increment
        self.bytes = whole(increment)
        self.memory = whole(memory)
        self.hits = int(hits)


def whole(text):
    """Bytes of a figure with all places; None of one that was rounded."""
    if len(text.partition(".")[2]) < 20:
        return None
    size = float(text) * MIB
    assert size == int(size), f"{text} MiB is not a whole number of bytes"
    return int(size)


ROW = re.compile(r" *(-?[\d.]+) MiB +(-?[\d.]+) MiB +(\d+)   ")


def tables(text, source):
    """[{line's text: Row}] of all tables, which must have each line of their functions."""
    lines = source.splitlines()
    found = []
    for table in text.split("Filename: ")[1:]:
        _, empty, header, rule, *rows = table.partition("\n\n\n")[0].splitlines()
        assert (empty, header, rule) == ("", HEADER, "=" * len(HEADER))
        first = int(rows[0][:6])
        told = {}
        for number, row in enumerate(rows, first):
            assert int(row[:6]) == number, row
            assert row.endswith(lines[number - 1]), row
            figures = row[6 : len(row) - len(lines[number - 1])]
            if figures.strip():
                told[lines[number - 1].split("#")[0].strip()] = Row(
                    *ROW.fullmatch(figures).groups()
                )
            else:
                assert len(figures) == 41, row
        found.append(told)
    return found


def same(plain, full):
    """The rounded table is the other one with one place: the same lines, calls and increments."""
    assert [row.split("(precision")[0] for row in full] == list(plain)
    for row, (name, told) in zip(plain.values(), full.items()):
        assert row.hits == told.hits, name
        # The first line is all of the process, which has other modules.
        if not name.startswith("@") and abs(told.bytes) > MIB:
            # Rounded; and garbage of an import on that line may be collected or not.
            assert abs(float(row.shown) - told.bytes / MIB) <= 0.1, name


def table_of(session, python, name):
    """The only table of a program in both forms: (exact rows, output as it is)."""
    source = put(session, name)
    plain, full = both(session, python, name)
    (rounded,) = tables(plain, source)
    (told,) = tables(full, exact(source))
    same(rounded, told)
    return told, plain
