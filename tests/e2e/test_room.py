"""Regions outlive their processes: a folder of them does not fill, and nothing that lives goes.

The regions are real ones' first pages, copied under the names of processes that are long gone.
"""

import os
import signal
import struct
import subprocess
import time

import pytest
from harness import clean_environment, program, run

MOST, MOST_HALF_FULL = 1000, 64  # core/places.h
STARTS = 20  # among so many processes one looks
GONE = 1 << 22  # a pid beyond the kernel's largest


def header(path):
    with open(path, "rb") as f:
        return f.read(8192)


@pytest.fixture
def ended(session):
    """{"exited": bytes, "killed": bytes}"""
    run([program("hazards"), "children"], env=session.env())
    exited = header(session.regions()[0])
    sleeper = session.start(["/bin/sh", "-c", "echo; read x"])
    sleeper.line()
    killed = header(session.last_region(sleeper.pid))
    sleeper.kill()
    for path in session.regions():
        path.unlink()
    return {"exited": exited, "killed": killed}


def fill(folder, ended, how, count, first_start, namespace=None):
    """Regions of `count` processes that are gone; {name}, the oldest first."""
    names = []
    for i in range(count):
        content = bytearray(ended[how])
        if namespace is not None:
            ours = struct.pack("<I", os.stat("/proc/self/ns/pid").st_ino)
            assert content.count(ours) == 1
            content = content.replace(ours, struct.pack("<I", namespace))
        name = f"{GONE + i}-{first_start + i}-0.region"
        (folder / name).write_bytes(content)
        names.append(name)
    return names


def start_some(session, **extra):
    for _ in range(STARTS):
        subprocess.run(["/bin/true"], env=session.env(**extra), check=True)


def left(folder):
    return {p.name for p in folder.iterdir()}


def test_the_oldest_go_and_the_killed_stay_longer(session, ended):
    folder = session.regions_dir
    killed = fill(folder, ended, "killed", 200, 10)
    exited = fill(folder, ended, "exited", 810, 1000)
    before = left(folder)
    start_some(session)
    gone = before - left(folder)
    assert set(exited[: len(gone)]) == gone
    assert set(killed) <= left(folder)
    assert len(left(folder)) <= MOST and len(gone) >= MOST // 4
    # What has just ended is there.
    assert len(left(folder) - before) == STARTS


def test_what_was_never_finished_goes_as_well(session, ended):
    """Their makers were killed before they could say who they are; after a minute they are past."""
    folder = session.regions_dir
    names = fill(folder, {"none": bytes(8192)}, "none", 510, 10)
    names += fill(folder, {"none": b""}, "none", 510, 1000)
    fresh, old = set(names[::2]), set(names[1::2])
    for name in old:
        os.utime(folder / name, (1, 1))
    start_some(session)
    assert fresh <= left(folder)
    assert len(old & left(folder)) <= MOST - len(fresh)


def test_killed_ones_go_when_nothing_else_can(session, ended):
    folder = session.regions_dir
    killed = fill(folder, ended, "killed", 1010, 10)
    start_some(session)
    gone = set(killed) - left(folder)
    assert gone == set(killed[: len(gone)]) and gone


def test_few_stay(session, ended):
    folder = session.regions_dir
    names = fill(folder, ended, "exited", 900, 10)
    start_some(session)
    assert set(names) <= left(folder)


def test_other_pid_namespaces_are_left_alone(session, ended):
    """A container that shares the folder: what looks like a pid that is gone may well live."""
    folder = session.regions_dir
    names = fill(folder, ended, "exited", 1010, 10, namespace=12345)
    start_some(session)
    assert set(names) <= left(folder)


def test_foreign_regions_are_no_loose_ends(session, ended, tmp_path):
    """`list` and `clean` take a process of another namespace for a living one, too."""
    program_ = session.start(["/bin/sh", "-c", "echo; read x"])
    program_.line()
    region = session.last_region(program_.pid)
    ours = struct.pack("<I", os.stat("/proc/self/ns/pid").st_ino)
    with open(region, "r+b") as f:
        at = f.read(8192).index(ours)
        f.seek(at)
        f.write(struct.pack("<I", 12345))
    program_.kill()
    session.tool("clean")
    assert region.exists()
    assert " running " in session.tool("list").stdout


@pytest.mark.parametrize("size", [0, 1 << 20])
def test_a_region_that_was_never_finished_goes_when_its_maker_has(session, size):
    """The maker is known by its pid and when it started: the pid alone may be another's by now."""
    maker = session.start(["/bin/sh", "-c", "echo; read x"], env=clean_environment())
    maker.line()
    with open(f"/proc/{maker.pid}/stat") as stat:
        start = int(stat.read().rsplit(")", 1)[1].split()[19])
    now, earlier, gone = (
        session.regions_dir / f"{name}-0.region"
        for name in (f"{maker.pid}-{start}", f"{maker.pid}-{start - 1}", f"{GONE}-{start}")
    )
    for path in now, earlier, gone:
        path.write_bytes(bytes(size))
    session.tool("clean")
    assert left(session.regions_dir) == {now.name}
    maker.kill()
    session.tool("clean")
    assert left(session.regions_dir) == set()


def test_a_watched_folder_is_left_to_memtrace_run(session, ended):
    folder = session.regions_dir / f"run-{os.getpid()}-abcdef"
    folder.mkdir(mode=0o700)
    names = fill(folder, ended, "exited", 1010, 10)
    start_some(session, MEMTRACE_DIR=folder)
    assert set(names) <= left(folder)
    assert len(left(folder)) == 1010 + STARTS
    # As soon as the tool is gone, they may go.
    orphan = session.regions_dir / f"run-{GONE}-abcdef"
    folder.rename(orphan)
    start_some(session, MEMTRACE_DIR=orphan)
    assert len(left(orphan)) <= MOST


@pytest.fixture
def small(tmp_path):
    """A file system of 8 MiB of its own."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", folder], check=False)
    if mount.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs: {mount.stderr.strip()}")
    yield folder
    run(["umount", "-l", folder])


def test_a_file_system_half_full_keeps_fewer(session, ended, small):
    """Of any age; the living stay."""
    folder = small / "regions"
    folder.mkdir(mode=0o700)
    living = session.start(["/bin/sh", "-c", "echo; read x"], env=session.env(MEMTRACE_DIR=folder))
    living.line()
    (alive,) = left(folder)
    (small / "other").write_bytes(bytes(4 << 20))
    now = int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))
    # The living one is the oldest, and would go first.
    fill(folder, ended, "killed", MOST_HALF_FULL, now + 100)
    start_some(session, MEMTRACE_DIR=folder)
    assert len(left(folder)) <= MOST_HALF_FULL
    assert alive in left(folder)
    living.kill(signal.SIGKILL)


def test_a_hundred_processes_and_a_small_file_system(session, small):
    """Where all records do not fit by far, the last processes are still traced there."""
    folder = small / "regions"
    folder.mkdir(mode=0o700)
    env = clean_environment()
    env.update(session.env(MEMTRACE_DIR=folder))
    for _ in range(300):
        done = run(["/bin/sh", "-c", "true"], env=env)
        assert done.stderr == ""
    assert 16 <= len(left(folder)) <= MOST_HALF_FULL + 20
