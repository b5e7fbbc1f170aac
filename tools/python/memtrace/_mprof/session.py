"""The world that `mprof run` starts a program in: the library, and a folder for its regions.

Nothing of it reaches the program but LD_PRELOAD, to which the library is added, and MEMTRACE_DIR.
The folder is named like one of `memtrace run`, so `memtrace list` and `memtrace clean` know what to
do with it should this process be killed. Errors are `files.FileError`s.
"""

import os
import shutil
import tempfile

from . import files, regions

_LEAST_ROOM = 1 << 20  # kLeastRoom of core/places.h


def _why_not(root):
    """Makes the folder if it is missing; why it cannot be used, or ""."""
    try:
        os.mkdir(root, 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        return "{}: cannot be made: {}".format(root, error.strerror)
    if not regions.is_own(root):
        return "{}: not a folder of yours that is closed to others".format(root)
    room = os.statvfs(root)
    if room.f_blocks and room.f_bavail * room.f_frsize < _LEAST_ROOM:
        return "{}: no room is left there".format(root)
    return ""


def make_folder():
    """A new folder for the regions of one run."""
    reasons = []
    for root in regions.roots():
        why = _why_not(root)
        if not why:
            try:
                made = tempfile.mkdtemp(prefix="run-{}-".format(os.getpid()), dir=root)
                return os.path.realpath(made)
            except OSError as error:
                why = "{}: no folder can be made in it: {}".format(root, error.strerror)
        reasons.append(why)
    raise files.FileError(
        "no place for the records: {}; free some room, set MEMTRACE_DIR to a folder of yours, or "
        "use --backend psutil".format("; ".join(reasons))
    )


def _preloadable(library, folder):
    """A path of the library without blanks and colons, at which the loader would split it."""
    if not set(library) & set(" :\t\n"):
        return library
    link = os.path.join(folder, "libmemtrace.so")
    os.symlink(library, link)
    return link


class Session:
    """A program's environment; `folder` is None where it is not traced."""

    def __init__(self, library):
        self.folder = make_folder() if library else None
        self.environment = dict(os.environ)
        if library is None:
            return
        preload = self.environment.get("LD_PRELOAD")
        path = _preloadable(library, self.folder)
        self.environment["LD_PRELOAD"] = preload + ":" + path if preload else path
        self.environment["MEMTRACE_DIR"] = self.folder

    def close(self):
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
