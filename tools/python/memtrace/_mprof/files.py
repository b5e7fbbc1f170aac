"""mprof's data files: mprofile_YYYYMMDDhhmmss.dat in the current folder.

Lines in any order, MiB and seconds since the epoch:

    CMDLINE <command>
    MEM <memory> <time>
    CHLD <pid> <memory> <time>
    FUNC <module.function> <memory> <time> <memory> <time> <level>

Each line is written at once, by one system call at the end of the file, so several processes may
write to one file and what is there is whole, whoever is killed. Memory has seven digits after the
point, one more than mprof writes: with them every byte is exact. Lines of other kinds are left out
when a file is read. Errors are `FileError`s, whose text is for the user.
"""

import glob
import os
import time

MIB = 1 << 20
_PATTERN = "mprofile_??????????????.dat"


class FileError(Exception):
    """A file that cannot be used; the text says which, why and what to do."""


def mem_line(size, when):
    return "MEM {:.7f} {:.4f}\n".format(size / MIB, when)


def child_line(pid, size, when):
    return "CHLD {} {:.7f} {:.4f}\n".format(pid, size / MIB, when)


def function_line(name, start, end, level):
    """start, end: (bytes, time). A name with blanks would be taken for several fields."""
    return "FUNC {} {:.7f} {:.4f} {:.7f} {:.4f} {}\n".format(
        "_".join(name.split()), start[0] / MIB, start[1], end[0] / MIB, end[1], level
    )


def command_line(arguments):
    """The command as mprof shows it: arguments with blanks in quotes."""
    shown = ["'{}'".format(a) if " " in a or "\t" in a else a for a in arguments]
    return " ".join(shown).replace("\n", " ")


def new_name():
    """The name of a file for a program that starts now; it is made, so that nobody else has it."""
    second = time.time()
    while True:
        name = time.strftime("mprofile_%Y%m%d%H%M%S.dat", time.localtime(second))
        try:
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
            return name
        except FileExistsError:
            second += 1
        except OSError as error:
            raise FileError("{}: cannot be made: {}".format(name, error.strerror))


def existing():
    """mprof's files in the current folder, oldest first."""
    return sorted(glob.glob(_PATTERN))


class Profile:
    """What a file says."""

    def __init__(self, name):
        self.name = name
        self.command = None
        self.memory = []  # (time, MiB)
        self.children = {}  # pid as text -> [(time, MiB)]
        self.functions = {}  # name -> [(start time, end time, MiB, MiB, level)]

    def add(self, line):
        """Takes one line; ValueError if it is not what its first word says."""
        kind, _, rest = line.rstrip("\n").partition(" ")
        if kind == "CMDLINE":
            self.command = rest
            return
        if kind == "FUNC":
            name, *fields = rest.rsplit(" ", 5) if rest.count(" ") >= 5 else rest.split(" ")
            memory0, start, memory1, end = map(float, fields[:4])
            level = int(fields[4]) if len(fields) > 4 else 0
            self.functions.setdefault(name, []).append((start, end, memory0, memory1, level))
            return
        fields = rest.split(" ")
        if kind == "MEM":
            self.memory.append((float(fields[1]), float(fields[0])))
        elif kind == "CHLD":
            point = (float(fields[2]), float(fields[1]))
            self.children.setdefault(fields[0], []).append(point)

    def sort(self):
        for series in (self.memory, *self.children.values()):
            series.sort(key=lambda point: point[0])


def read(name):
    """The profile in a file. A last line that was cut short is left out."""
    profile = Profile(name)
    try:
        with open(name, errors="replace") as file:
            for number, line in enumerate(file, 1):
                try:
                    profile.add(line)
                except (ValueError, IndexError):
                    if line.endswith("\n"):
                        raise FileError(
                            "{}, line {}: not a line of mprof's: {!r}".format(
                                name, number, line[:80]
                            )
                        )
    except OSError as error:
        raise FileError("{}: cannot be read: {}".format(name, error.strerror))
    profile.sort()
    return profile
