"""A snapshot file is whole, whatever happens to its writer: killed at any moment, or a full disk.

The same profile always gives the same bytes (core/FORMAT.md), so a snapshot written anew from a
snapshot is known to the byte beforehand, and a file that was to be replaced is the old one or the
new one, to the byte.
"""

import os
import random
import resource
import shutil
import signal
import subprocess
import time

import harness
import pytest
from harness import PROGRAMS


@pytest.fixture(scope="module")
def new(memtrace, library, pythons, tmp_path_factory):
    """A snapshot of 60,000 stacks: writing it takes a while."""
    session = harness.Session(memtrace, library, tmp_path_factory.mktemp("whole"))
    traced = session.start([pythons[-1], PROGRAMS / "many_stacks.py", 12, 5000])
    traced.ready()
    path = session.snapshot(traced.pid, "new.mtr")
    session.close()
    return path


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "out"
    made.mkdir()
    return made


def start(session, *arguments, **options):
    env = {**harness.clean_environment(), "MEMTRACE_DIR": str(session.regions_dir)}
    return subprocess.Popen(
        [session.memtrace, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=env,
        **options,
    )


def end(process):
    process.stderr.close()
    return process.wait(timeout=harness.TIME_LIMIT)


def writes_into(pid, folder):
    """Whether the process has a file of that folder open, be it one without a name."""
    try:
        names = os.listdir(f"/proc/{pid}/fd")
        return any(os.readlink(f"/proc/{pid}/fd/{n}").startswith(f"{folder}/") for n in names)
    except OSError:
        return False


def wait_until_it_writes(process, folder):
    limit = time.monotonic() + harness.TIME_LIMIT
    while process.poll() is None and not writes_into(process.pid, folder):
        assert time.monotonic() < limit
    return process.poll() is None


def seconds_of_writing(session, source, folder):
    process = start(session, "snapshot", source, "-f", "-q", "-o", folder / "timed.mtr")
    assert wait_until_it_writes(process, folder)
    begin = time.monotonic()
    assert end(process) == 0
    (folder / "timed.mtr").unlink()
    return time.monotonic() - begin


def test_killed_while_it_replaces(session, new, folder):
    """Twenty writers are killed at random moments of their writing."""
    duration = seconds_of_writing(session, new, folder)
    target = folder / "target.mtr"
    old_bytes, new_bytes = b"the old snapshot, precious", new.read_bytes()
    rand = random.Random(1)
    killed_in_the_middle = 0
    for _ in range(20):
        target.write_bytes(old_bytes)
        process = start(session, "snapshot", new, "-f", "-q", "-o", target)
        if wait_until_it_writes(process, folder):
            time.sleep(rand.uniform(0, 1.1) * duration)
            process.kill()
        status = end(process)
        found = target.read_bytes()
        assert found in (old_bytes, new_bytes), f"{len(found)} bytes, {len(new_bytes)} are whole"
        assert found == new_bytes or status == -signal.SIGKILL
        killed_in_the_middle += status == -signal.SIGKILL and found == old_bytes
        others = [p.name for p in folder.iterdir() if p != target]
        assert all(name.endswith(".part") for name in others), others
    assert killed_in_the_middle >= 5, "none was killed while it wrote: nothing was tested"


def test_killed_writers_leave_nothing_where_files_need_no_name(session, new, folder):
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY))
    except OSError:
        pytest.skip("this file system gives every file a name")
    for _ in range(5):
        process = start(session, "snapshot", new, "-q", "-o", folder / "target.mtr")
        assert wait_until_it_writes(process, folder)
        process.kill()
        assert end(process) == -signal.SIGKILL
        assert list(folder.iterdir()) == []


def test_leftovers_of_the_dead_are_removed(session, new, folder):
    """Where writers cannot do without a name, the next one clears up after those that are gone."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    long_ago = time.time() - 3600
    names = {
        f"target.mtr.{gone.pid}-0.part": False,
        f"target.mtr.{os.getpid()}-0.part": True,  # its writer lives
        f"target.mtr.{gone.pid}-1.partly": True,  # somebody's own
        f"other.mtr.{gone.pid}-0.part": True,  # of another path
        f"target.mtr.{gone.pid}-2.part": True,  # too young to be sure
    }
    for name in names:
        (folder / name).write_text("begun")
        if not name.endswith("-2.part"):
            os.utime(folder / name, (long_ago, long_ago))
    session.tool("snapshot", new, "-q", "-o", folder / "target.mtr")
    left = sorted(p.name for p in folder.iterdir())
    assert left == sorted(["target.mtr", *(name for name, stays in names.items() if stays)])


def test_killed_in_a_series(session, pythons, new, folder):
    """`snapshot --every`, killed while it writes: each file is an old one or a new one."""
    traced = session.start([pythons[-1], PROGRAMS / "many_stacks.py", 12, 5000])
    traced.ready()
    duration = seconds_of_writing(session, new, folder)
    names = [folder / f"leak-{i:03}.mtr" for i in range(1, 4)]
    rand = random.Random(2)
    killed_in_the_middle = 0
    for _ in range(6):
        for path in names:
            path.write_text("old")
        process = start(
            session, "snapshot", traced.pid, "--every", "1ms", "--count", 3, "-f", "-q",
            "-o", folder / "leak",
        )  # fmt: skip
        for _ in range(rand.randint(1, 2)):
            assert wait_until_it_writes(process, folder)
            time.sleep(rand.uniform(0.1, 1) * duration)
        process.kill()
        assert end(process) == -signal.SIGKILL
        for path in names:
            if path.read_bytes() == b"old":
                killed_in_the_middle += 1
            else:
                assert session.report(path)["totals"]["alloc_blocks"] >= 60000
        assert all(p in names or p.name.endswith(".part") for p in folder.iterdir())
    assert killed_in_the_middle > 0


def test_killed_run_keeps_the_records(session, pythons, folder):
    """`memtrace run`, killed while it saves: the old file is whole, and nothing is lost."""
    target = folder / "target.mtr"
    target.write_text("old")
    process = start(
        session,
        "run",
        "-f",
        "-q",
        "-o",
        target,
        "--",
        pythons[-1],
        PROGRAMS / "many_stacks.py",
        12,
        5000,
    )
    assert wait_until_it_writes(process, folder)
    process.kill()
    assert end(process) == -signal.SIGKILL
    assert target.read_text() == "old"
    [region] = [p for p in session.regions() if session.report(p)["totals"]["now_blocks"] > 1]
    path = session.snapshot(region)
    assert session.report(path)["totals"]["alloc_blocks"] >= 60000


def limited(size):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def test_limit_on_the_size_of_files(session, new, folder):
    """`ulimit -f`: an error that says so, and the old file is as it was."""
    target = folder / "target.mtr"
    target.write_text("old")
    process = start(
        session, "snapshot", new, "-f", "-o", target, preexec_fn=limited(new.stat().st_size // 2)
    )
    error = process.stderr.read().decode()
    assert end(process) == 1, error
    assert error.splitlines() == [
        f"memtrace: {target}: cannot write: File too large; raise the limit on the size of files "
        "(ulimit -f) or choose another place with -o"
    ]
    assert target.read_text() == "old" and list(folder.iterdir()) == [target]


def small_disk(session, folder, script):
    """Runs a shell script with a tmpfs of 64 KiB at `folder`, which nobody else sees."""
    mount = f'mount -t tmpfs -o size=64k tmpfs "{folder}" && '
    if shutil.which("unshare") is None or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    probe = harness.run(["unshare", "-m", "sh", "-c", mount + "true"], check=False)
    if probe.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {probe.stderr.strip()}")
    env = {**harness.clean_environment(), "MEMTRACE_DIR": str(session.regions_dir)}
    return harness.run(
        ["unshare", "-m", "sh", "-c", mount + script], check=False, env=env, cwd=session.work_dir
    )


def test_full_disk(session, new, folder):
    target = folder / "target.mtr"
    done = small_disk(
        session,
        folder,
        f'echo old >"{target}"; "{session.memtrace}" snapshot "{new}" -f -o "{target}"; '
        f'echo "status $?"; ls -A "{folder}"; cat "{target}"',
    )
    assert done.stdout.splitlines() == ["status 1", "target.mtr", "old"], done.stdout
    assert done.stderr.splitlines() == [
        f"memtrace: {target}: cannot write: No space left on device; free space or choose another "
        "place with -o"
    ]


def test_full_disk_after_a_run(session, pythons, folder):
    """The records are kept, the message says so, and what it says works."""
    target = folder / "target.mtr"
    done = small_disk(
        session,
        folder,
        f'"{session.memtrace}" run --no-summary -o "{target}" -- '
        f'"{pythons[-1]}" "{PROGRAMS / "many_stacks.py"}" 4 2000; '
        f'echo "status $?"; ls -A "{folder}"',
    )
    assert [line for line in done.stdout.splitlines() if "READY" not in line] == ["status 125"]
    first, second = done.stderr.splitlines()
    assert first.startswith(f"memtrace: {target}: cannot write: No space left on device; free")
    assert second.startswith("memtrace: the records are kept: memtrace snapshot ")
    pid = second.split("memtrace snapshot ")[1].split()[0]
    assert session.report(session.snapshot(pid))["totals"]["alloc_blocks"] >= 8000
