"""Where the live region may be: /dev/shm, a folder in TMPDIR, private memory; and below chroot.

Library and tool agree about it, and what is not as it should be is said in one line. The folders
are mounted in a mount namespace of the program's own; the tool is run in the same one.
"""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from harness import by_function, clean_environment, program, run

# Shell commands that make /dev/shm unfit, and what is said of it.
UNFIT = {
    "read_only": ("mount -t tmpfs -o ro none /dev/shm", "it is read-only"),
    "small": ("mount -t tmpfs -o size=64k none /dev/shm", "no room is left there"),
    "full": (
        "mount -t tmpfs -o size=4m none /dev/shm && "
        "dd if=/dev/zero of=/dev/shm/other bs=4096 count=1022 2>/dev/null",
        "no room is left there",
    ),
    "no_inodes": ("mount -t tmpfs -o nr_inodes=1 none /dev/shm", "no room is left there"),
    "missing": (
        "mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && mknod /dev/urandom c 1 9",
        "there is no such folder",
    ),
    "open_to_others": (
        "mount -t tmpfs none /dev/shm && mkdir /dev/shm/memtrace-0 && "
        "chmod 777 /dev/shm/memtrace-0",
        "not a folder of yours with mode 0700",
    ),
    "a_file": (
        "mount -t tmpfs none /dev/shm && : > /dev/shm/memtrace-0",
        "not a folder of yours with mode 0700",
    ),
}
UNFIT_TMPDIR = 'mount -t tmpfs -o ro none "$TMPDIR"'


def why_no_mounts():
    if os.geteuid() != 0:
        return "needs root, to mount file systems"
    if not shutil.which("unshare") or not shutil.which("nsenter"):
        return "needs unshare and nsenter (util-linux)"
    mounts = "mount -t tmpfs none /dev/shm"
    done = subprocess.run(["unshare", "-m", "sh", "-c", mounts], stderr=subprocess.PIPE, text=True)
    return f"may not mount file systems: {done.stderr.strip()}" if done.returncode else ""


NO_MOUNTS = why_no_mounts()
mounting = pytest.mark.skipif(bool(NO_MOUNTS), reason=NO_MOUNTS)


class Place:
    """Programs and the tool among mounts of their own, with a TMPDIR of their own."""

    def __init__(self, session, tmp_path):
        self.session = session
        self.tmp = tmp_path / "tmp"
        self.tmp.mkdir()
        self.traced = None
        self.env = {**clean_environment(), "TMPDIR": str(self.tmp)}

    def argv(self, mounts, argv, preload=True):
        """Only the program itself is traced, not the shell that prepares its mounts."""
        library = f"LD_PRELOAD={self.session.library}" if preload else "NO_PRELOAD=1"
        script = f'set -e\n{mounts}\nexec env {library} "$@"\n'
        return ["unshare", "-m", "sh", "-c", script, "sh", *map(str, argv)]

    def start(self, mounts, argv, **variables):
        self.traced = self.session.start(self.argv(mounts, argv), {**self.env, **variables})
        return self.traced

    def tool(self, *arguments, check=True):
        inside = ["nsenter", "-m", "-t", self.traced.pid, self.session.memtrace, *arguments]
        return run(inside, env=self.env, check=check)

    def listed(self):
        done = self.tool("list", "--json")
        return {p["pid"]: p["state"] for p in json.loads(done.stdout)["processes"]}


@pytest.fixture
def place(session, tmp_path):
    return Place(session, tmp_path)


def region_folder(place):
    return place.tmp / "memtrace-0"


@mounting
@pytest.mark.parametrize("unfit", UNFIT)
def test_the_next_folder_is_used(place, tmp_path, unfit):
    mounts, reason = UNFIT[unfit]
    traced = place.start(mounts, [program("alloc_family")])
    known = traced.ready()
    assert place.listed() == {traced.pid: "running"}
    place.tool("snapshot", traced.pid, "-o", tmp_path / "a.mtr")
    rows = by_function(place.session.report(tmp_path / "a.mtr", "--by", "function", "--at", "now"))
    expected = {n: (s["live_blocks"], s["live_bytes"]) for n, s in known["sites"].items()}
    assert {name: rows.get(name, (0, 0)) for name in expected} == expected
    assert traced.finish() == 0
    (line,) = traced.stderr().splitlines()
    assert line.startswith("memtrace: /dev/shm/memtrace-0 cannot hold the live region (")
    assert line.endswith(f"{reason}): it is in {region_folder(place)}")
    assert [p.suffix for p in region_folder(place).iterdir()] == [".region"]


@mounting
def test_with_little_room_left_the_first_folder_is_used(place):
    """Two MiB are enough to begin with; so no line is said."""
    traced = place.start("mount -t tmpfs -o size=2m none /dev/shm", [program("alloc_family")])
    traced.ready()
    assert place.listed() == {traced.pid: "running"}
    assert (traced.finish(), traced.stderr()) == (0, "")
    assert not region_folder(place).exists()


@mounting
@pytest.mark.parametrize("unfit", UNFIT)
def test_without_any_folder_the_program_goes_on(place, unfit):
    mounts, reason = UNFIT[unfit]
    traced = place.start(f"{mounts}\n{UNFIT_TMPDIR}", [program("alloc_family")])
    traced.ready()
    assert place.listed() == {}
    refused = place.tool("snapshot", traced.pid, "-o", "-", check=False)
    assert refused.returncode == 1 and str(traced.pid) in refused.stderr
    assert traced.finish() == 0
    (line,) = traced.stderr().splitlines()
    assert line.startswith("memtrace: no folder for the live region (/dev/shm/memtrace-0: ")
    assert reason in line and f"{region_folder(place)}: it is read-only" in line
    assert "private memory, no snapshot can be taken" in line


@mounting
@pytest.mark.parametrize("mounts", [UNFIT["full"][0], f"{UNFIT['full'][0]}\n{UNFIT_TMPDIR}"])
def test_quiet_says_nothing(place, mounts):
    traced = place.start(mounts, [program("alloc_family")], MEMTRACE_QUIET="1")
    traced.ready()
    assert (traced.finish(), traced.stderr()) == (0, "")


@mounting
@pytest.mark.parametrize("unfit", UNFIT)
def test_run_uses_the_next_folder(place, tmp_path, unfit):
    argv = [place.session.memtrace, "run", "-o", tmp_path / "a.mtr", program("hazards"), "children"]
    done = run(place.argv(UNFIT[unfit][0], argv, preload=False), env=place.env, check=False)
    assert done.returncode == 0 and done.stdout
    first, *rest = done.stderr.splitlines()
    assert first.startswith("memtrace: /dev/shm/memtrace-0: ")
    assert first.endswith(f"the records are in {region_folder(place)}")
    assert not any("cannot hold" in line or "nothing was recorded" in line for line in rest), rest
    assert place.session.report(tmp_path / "a.mtr", "--at", "total")["totals"]["lost"] == 0
    assert list(region_folder(place).iterdir()) == []


@mounting
def test_run_without_any_folder_says_so_beforehand(place):
    mounts = f"{UNFIT['full'][0]}\n{UNFIT_TMPDIR}"
    argv = [place.session.memtrace, "run", "echo", "started"]
    done = run(place.argv(mounts, argv, preload=False), env=place.env, check=False)
    assert (done.returncode, done.stdout) == (125, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("memtrace: no place for the records: /dev/shm/memtrace-0: no room")
    assert f"{region_folder(place)}: cannot be made: Read-only file system" in line


@mounting
def test_doctor_knows_the_folder(place):
    mounts, _ = UNFIT["read_only"]
    argv = [place.session.memtrace, "doctor"]
    done = run(place.argv(mounts, argv, preload=False), env=place.env, check=False)
    assert str(region_folder(place)) in done.stdout
    assert "/dev/shm/memtrace-0: cannot be made: Read-only file system" in done.stdout


@mounting
def test_a_folder_that_fills_up_costs_events_alone(place, tmp_path):
    """The first folder has room for the beginning; what comes later is counted as lost."""
    alone = run([sys.executable, "-c", FILLING], env=clean_environment())
    traced = place.start(
        "mount -t tmpfs -o size=1400k none /dev/shm", [sys.executable, "-c", FILLING]
    )
    assert traced.ready() == json.loads(alone.stdout.splitlines()[0][len("READY") :])
    place.tool("snapshot", traced.pid, "-o", tmp_path / "a.mtr")
    totals = place.session.report(tmp_path / "a.mtr", "--at", "total")["totals"]
    assert totals["lost"] > 0 and totals["alloc_blocks"] > 1000, totals
    assert (traced.finish(), traced.stderr()) == (0, "")


FILLING = """
import json, sys
source = "".join("def f%d(n):\\n  return [bytes(100) for i in range(n)]\\n" % i for i in range(3000))
space = {}
exec(compile(source, "many", "exec"), space)
print("READY", json.dumps({"sum": sum(len(space["f%d" % i](5)) for i in range(3000))}), flush=True)
sys.stdin.read()
"""


FORKING = """
import os, sys
source = "".join("def f%d(n):\\n  return [bytes(9) for i in range(n)]\\n" % i for i in range(6000))
space = {}
exec(compile(source, "many", "exec"), space)
held = [space["f%d" % i](3) for i in range(6000)]
room = os.statvfs("/dev/shm")
left = room.f_bavail * room.f_bsize - int(sys.argv[1])
with open("/dev/shm/other", "wb", buffering=0) as other:
    while left > 0:
        left -= other.write(bytes(min(left, 4096)))
child = os.fork()
if child == 0:
    kept = []
    for i in range(500):
        kept.append(bytes(1000))
    os._exit(5)
print("READY", "{}", flush=True)
status = os.waitpid(child, 0)[1]
sys.stdin.read()
sys.exit(os.WEXITSTATUS(status))
"""


@mounting
@pytest.mark.parametrize("left", [0, 1200 << 10])
def test_a_forked_child_uses_the_next_folder(place, left):
    """The parent's folder has no room for the child's copy, at all or to its end."""
    traced = place.start(
        "mount -t tmpfs -o size=64m none /dev/shm", [sys.executable, "-c", FORKING, left]
    )
    traced.ready()
    assert traced.finish() == 5
    assert traced.stderr() == ""
    (region,) = region_folder(place).glob("*.region")
    rows = place.session.report(region, "--domain", "python.obj", "--at", "now")["rows"]
    assert (500, 500 * 1033) in [(row["count"], row["size"]) for row in rows]


@pytest.mark.parametrize(
    "name",
    [
        "relative",
        "/no/such/folder",
        "/dev/null",
        "/proc/self",
        "/" + "x" * 300,
        "/" + "y/" * 2000,
        "\n",
    ],
)
def test_hostile_folder_names(session, tmp_path, name):
    """Nothing is made elsewhere, the program goes on, and one line says why, unless it works."""
    alone = run([program("hazards"), "long_jumps"], cwd=tmp_path)
    before = set(tmp_path.iterdir())
    env = session.env(MEMTRACE_DIR=name)
    traced = run([program("hazards"), "long_jumps"], env=env, cwd=tmp_path)
    assert traced.stdout == alone.stdout
    made = {str(p) for p in set(tmp_path.iterdir()) - before}
    if made:
        assert made == {str(tmp_path / name)} and traced.stderr == ""
        return
    assert traced.stderr.startswith("memtrace: MEMTRACE_DIR=")
    assert "no snapshot can be taken" in traced.stderr


def test_a_name_that_is_too_long_is_not_cut(session, tmp_path):
    """A folder of the cut name would be somebody else's, or nobody's."""
    inner = tmp_path
    while len(str(inner)) < 700:
        inner /= "d" * 50
        inner.mkdir(mode=0o700)
    before = sorted(tmp_path.rglob("*"))
    done = run([program("nothing")], env=session.env(MEMTRACE_DIR=inner / "regions"))
    assert "its name is too long" in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


# -------------------------------------------------------------------------------------------------
# chroot

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may change its root folder")


@pytest.fixture
def jail(tmp_path, library):
    """A folder with a program, the libraries it needs, and nothing else: no /proc, no /dev."""
    jail = tmp_path / "jail"
    listed = run(["ldd", program("confined"), library]).stdout
    copies = {path: path for path in re.findall(r"(/lib\S+) \(0x", listed)}
    copies.update({program("confined"): "/program", library: "/library.so"})
    for path, name in copies.items():
        copy = jail / name.lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    return jail


class Inside:
    """The program below chroot, which waits at its end."""

    def __init__(self, jail, **variables):
        def enter():
            os.chroot(jail)
            os.chdir("/")

        self.process = subprocess.Popen(
            ["/program", "nothing"],
            env=variables,
            preexec_fn=enter,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.line = self.process.stdout.readline()

    def finish(self):
        rest, errors = self.process.communicate(timeout=60)
        return self.process.returncode, self.line + rest, errors


@root
def test_started_below_chroot_without_anything(jail):
    before = set(jail.rglob("*"))
    status, alone, errors = Inside(jail).finish()
    assert (status, errors) == (0, "")
    status, traced, errors = Inside(jail, LD_PRELOAD="/library.so").finish()
    assert (status, traced) == (0, alone)
    (line,) = errors.splitlines()
    assert "no such folder" in line and "private memory, no snapshot can be taken" in line
    assert set(jail.rglob("*")) == before


@root
def test_started_below_chroot_with_a_temporary_folder(session, jail):
    """Without /proc nobody knows when a process started; its region can be read all the same."""
    (jail / "tmp").mkdir()
    regions = jail / "tmp/memtrace-0"
    inside = Inside(jail, LD_PRELOAD="/library.so")
    pid = inside.process.pid
    env = {**clean_environment(), "MEMTRACE_DIR": str(regions)}
    listed = json.loads(session.tool("list", "--json", env=env).stdout)["processes"]
    assert {p["pid"]: p["state"] for p in listed}[pid] == "running" and len(listed) == 2
    session.tool("clean", env=env)
    (region,) = regions.iterdir()
    assert region.name == f"{pid}-0-0.region", "a living process keeps its region"
    totals = session.report(region, "--at", "total")["totals"]
    assert totals["lost"] == 0 and totals["alloc_blocks"] > 6000
    status, _, errors = inside.finish()
    assert (status, len(errors.splitlines())) == (0, 1)
    session.tool("clean", env=env)
    assert list(regions.iterdir()) == []


@root
def test_changes_its_root_folder_later(session, tmp_path):
    """The region is mapped already; the child's has no folder any more, which is said."""
    empty = tmp_path / "empty"
    empty.mkdir()
    alone = run([program("confined"), "chroot", empty])
    traced = session.start([program("confined"), "chroot", empty])
    assert traced.line() == alone.stdout.strip()
    assert traced.finish() == 0
    (line,) = traced.stderr().splitlines()
    assert "private memory, no snapshot can be taken" in line
    assert list(empty.iterdir()) == []
    totals = session.report(session.last_region(traced.pid), "--at", "total")["totals"]
    assert totals["lost"] == 0 and totals["alloc_blocks"] > 4000
