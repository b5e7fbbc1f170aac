"""Control groups with a limit of memory, for tests of what happens when there is no more."""

import os
import pathlib
import time

import pytest


class Group:
    """A control group inside the one that the test runs in, with a limit of memory."""

    def __init__(self, folder, limit_name):
        self.folder = folder
        self.limit_name = limit_name

    def limit(self, text):
        (self.folder / self.limit_name).write_text(text)
        swap = self.folder / "memory.swap.max"
        if swap.exists():
            swap.write_text("0")

    def enter(self):
        """For preexec_fn: the process that calls it is in the group from then on."""
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def close(self):
        for _ in range(100):
            try:
                return self.folder.rmdir()
            except OSError:  # the last process has not left yet
                time.sleep(0.05)
        raise AssertionError(f"{self.folder} cannot be removed")


def own_groups():
    """(folder, file of the limit) of the groups of this process that may hold one with a limit."""
    mounts = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for mount in mounts:
            fields, kind = mount.split(" - ")
            root, folder = fields.split()[3:5]
            kind, _, options = kind.split(" ", 2)
            first = kind == "cgroup" and "memory" in controllers.split(",")
            second = kind == "cgroup2" and controllers == ""
            if not (first and "memory" in options.split(",")) and not second:
                continue
            if path.startswith(root.rstrip("/")):
                inside = folder + path[len(root.rstrip("/")) :]
                name = "memory.limit_in_bytes" if first else "memory.max"
                yield pathlib.Path(inside), name


def limited_group():
    """A Group for one test; skips where none can be made. For a fixture."""
    for folder, limit_name in own_groups():
        inner = folder / f"memtrace-e2e-{os.getpid()}"
        try:
            inner.mkdir()
        except OSError:
            continue
        found = Group(inner, limit_name)
        try:
            if (inner / limit_name).exists():
                yield found
                return
        finally:
            found.close()
    pytest.skip("needs root and a control group for memory that may hold others")
