"""Which files the commands are about, and the commands that do little more: list, rm, clean, peak.

Files are named by themselves or by their index among the folder's: 0 the oldest, -1 the newest.
Output is mprof's, to the letter; figures are in MiB. Errors are `FileError`s.
"""

import os
import sys

from . import files


def _by_index(text, all_files):
    """The file with that index; None if the text is no number."""
    try:
        index = int(text)
    except ValueError:
        return None
    try:
        return all_files[index]
    except IndexError:
        raise files.FileError(
            "Invalid index (non-existing file): {}; `mprof list` shows them".format(text)
        )


def _named(arguments):
    """Files as the arguments name them, each once."""
    everything, found = files.existing(), []
    for argument in arguments:
        if os.path.isdir(argument):
            raise files.FileError("Path {} is a directory".format(argument))
        name = argument if os.path.isfile(argument) else _by_index(argument, everything)
        if name is None:
            raise files.FileError("File {} not found".format(argument))
        if name not in found:
            found.append(name)
    return found


def _with_marks(names):
    """The files, and those of marks which old versions of mprof have put beside them."""
    found = list(names)
    for name in reversed(names):
        root, extension = os.path.splitext(name)
        marks = root + "_ts" + extension
        if os.path.isfile(marks) and marks not in found:
            found.append(marks)
    return found


def shown(arguments):
    """The files to be shown: those that are named, or the newest."""
    if arguments:
        return _named(arguments)
    everything = files.existing()
    if not everything:
        raise files.FileError(
            "No input file found.\nThis command looks for mprofile_*.dat files in this folder, "
            "which `mprof run` makes."
        )
    print("Using last profile data.")
    return [everything[-1]]


def list_files():
    for index, name in enumerate(files.existing()):
        stamp = os.path.splitext(name)[0].split("_")[-1]
        print(
            "{} {} {}:{}:{} {}/{}/{}".format(
                index,
                name,
                stamp[8:10],
                stamp[10:12],
                stamp[12:14],
                stamp[6:8],
                stamp[4:6],
                stamp[:4],
            )
        )
    return 0


def _remove(names, dry_run):
    if dry_run:
        print("Files to be removed: ")
    for name in _with_marks(names):
        if dry_run:
            print(name)
            continue
        try:
            os.remove(name)
        except OSError as error:
            raise files.FileError("{}: cannot be removed: {}".format(name, error.strerror))
    return 0


def remove(arguments, dry_run):
    if not arguments:
        print("A profile to remove must be provided (number or filename)")
        return 1
    return _remove(_named(arguments), dry_run)


def clean(dry_run):
    return _remove(files.existing(), dry_run)


def _within(profile, function):
    """Memory while the function ran; None if the file has no such function."""
    if function is None:
        return [memory for _, memory in profile.memory]
    ranges = profile.functions.get(function)
    if ranges is None:
        return None
    found = [m for t, m in profile.memory if any(r[0] <= t <= r[1] for r in ranges)]
    # A call between two samples has been measured all the same, at its ends.
    return found + [m for r in ranges for m in r[2:4]]


def peak(arguments, function):
    for name in shown(arguments):
        profile = files.read(name)
        memory = _within(profile, function)
        if not memory:
            print("{}\tNaN MiB".format(name))
            if function is not None and profile.functions:
                known = ", ".join(sorted(profile.functions))
                sys.stderr.write("mprof: {} has marks of: {}\n".format(name, known))
            continue
        print("{}\t{:.3f} MiB".format(name, max(memory)))
        for child, points in profile.children.items():
            print("  Child {}\t\t\t{:.3f} MiB".format(child, max(m for _, m in points)))
    return 0
