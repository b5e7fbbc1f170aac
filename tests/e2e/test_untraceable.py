"""Programs that cannot be traced: they run as they do alone, and `memtrace run` says why.

Alone, preloaded by hand, and under `memtrace run` each has the same output and the same status.
"""

import os
import pathlib
import shutil
import struct
import subprocess
import tempfile

import pytest
from harness import BUILD_DIR, PROGRAMS, clean_environment, program, run

SOURCE = '#include <stdio.h>\nint main(void) { return puts("it ran") < 0 ? 1 : 5; }\n'


def compile_c(folder, compiler, *flags, source=None):
    """A program of C; skips where the compiler cannot make it."""
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    path = folder / "program.c"
    path.write_text(source or SOURCE)
    made = folder / "program"
    argv = [compiler, *flags, "-O1", "-o", made, path]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        pytest.skip(f"{compiler} {' '.join(flags)}: {done.stdout.splitlines()[0]}")
    return made


def same_everywhere(session, argv, reason, status=5, output="it ran\n"):
    """Runs it in all ways; returns what `memtrace run` says."""
    alone = run(argv, env=clean_environment(), check=False)
    assert (alone.returncode, alone.stdout, alone.stderr) == (status, output, "")
    preloaded = run(argv, env=session.env(), check=False)
    assert (preloaded.returncode, preloaded.stdout) == (status, output), preloaded.stderr
    assert session.regions() == []
    done = session.tool("run", "-o", session.work_dir / "a.mtr", *argv, check=False)
    assert (done.returncode, done.stdout) == (status, output), done.stderr
    first = f"memtrace: {argv[0]} cannot be traced: {reason}; it runs all the same"
    assert done.stderr.splitlines()[0] == first
    assert not (session.work_dir / "a.mtr").exists()
    return preloaded.stderr


STATIC = "it is statically linked, so that no library can be preloaded into it"
MUSL = "it uses the C library musl, and this memtrace is made for glibc"


@pytest.mark.parametrize("flag", ["-static", "-static-pie"])
def test_statically_linked(session, tmp_path, flag):
    assert same_everywhere(session, [compile_c(tmp_path, "cc", flag)], STATIC) == ""


def test_script_of_a_static_interpreter(session, tmp_path):
    made = compile_c(tmp_path, "cc", "-static")
    script = tmp_path / "script"
    script.write_text(f"#!{made}\n")
    script.chmod(0o755)
    assert same_everywhere(session, [script], STATIC) == ""


def test_go(session, tmp_path):
    """Go's programs are static unless they call C."""
    if not shutil.which("go"):
        pytest.skip("go is not installed")
    source = tmp_path / "program.go"
    source.write_text(
        'package main\nimport "os"\nfunc main() { os.Stdout.WriteString("it ran\\n"); os.Exit(5) }\n'
    )
    env = {
        **clean_environment(),
        "CGO_ENABLED": "0",
        "GOCACHE": str(BUILD_DIR / "tests" / "e2e" / "go-cache"),
        "GOFLAGS": "-p=2",
        "GO111MODULE": "off",
    }
    run(["go", "build", "-o", tmp_path / "program", source], env=env, timeout=240)
    assert same_everywhere(session, [tmp_path / "program"], STATIC) == ""


def test_32_bits(session, tmp_path):
    """mov $1, %eax; mov $5, %ebx; int $0x80: exit(5)."""
    code = bytes.fromhex("b801000000bb05000000cd80")
    base, start = 0x08048000, 52 + 32
    header = struct.pack(
        "<4s12B2HI3II6H",
        *(b"\x7fELF", 1, 1, 1, *[0] * 9, 2, 3, 1, base + start, 52, 0, 0, 52, 32, 1, 0, 0, 0),
    )
    size = start + len(code)
    segment = struct.pack("<8I", 1, 0, base, base, size, size, 5, 4096)
    made = tmp_path / "program"
    made.write_bytes(header + segment + code)
    made.chmod(0o755)
    try:
        subprocess.run([made])
    except OSError as error:
        pytest.skip(f"this system runs no 32-bit programs: {error}")
    reason = "it is a 32-bit program, and this memtrace is made for 64-bit ones"
    assert same_everywhere(session, [made], reason, output="") == ""


def test_musl(session, tmp_path):
    """musl's loader takes the library; it would end the program if a symbol were missing."""
    assert same_everywhere(session, [compile_c(tmp_path, "musl-gcc")], MUSL) == ""


def test_musl_with_threads_and_forks(session, tmp_path):
    source = (PROGRAMS / "confined.c").read_text()
    made = compile_c(tmp_path, "musl-gcc", "-D_GNU_SOURCE", "-pthread", source=source)
    output = run([program("confined"), "nothing"]).stdout
    assert same_everywhere(session, [made, "nothing"], MUSL, 0, output) == ""


@pytest.mark.parametrize("compiler, flag", [("cc", "-static"), ("musl-gcc", "-O1")])
def test_children_of_a_traced_program(session, tmp_path, compiler, flag):
    """The shell is traced, its children are not, and all runs as it does alone."""
    made = compile_c(tmp_path, compiler, flag)
    script = f"{made}; {made}; exit 3"
    done = session.tool("run", "-o", tmp_path / "a.mtr", "sh", "-c", script, check=False)
    assert (done.returncode, done.stdout) == (3, "it ran\n" * 2)
    assert "cannot be traced" not in done.stderr
    commands = [p["command"][0] for p in session.report(tmp_path / "a.mtr")["processes"]]
    assert set(commands) == {"sh"}


# -------------------------------------------------------------------------------------------------
# Programs that gain rights

NOBODY = 65534
root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a program away")


@pytest.fixture
def open_folder():
    """A folder that other users may look into, on a file system that honours setuid."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="memtrace-e2e-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def helper(open_folder):
    if os.statvfs(open_folder).f_flag & os.ST_NOSUID:
        pytest.skip(f"{open_folder} is mounted nosuid")
    return shutil.copy(program("hazards"), open_folder / "helper")


RIGHTS = {"setuid": (NOBODY, 0, 0o4755), "setgid": (0, NOBODY, 0o2755)}


@root
@pytest.mark.parametrize("kind", RIGHTS)
def test_gains_rights(session, helper, kind):
    user, group, bits = RIGHTS[kind]
    output = run([helper, "long_jumps"]).stdout
    os.chown(helper, user, group)
    helper.chmod(bits)
    reason = f"it is {kind}, and the system keeps preloaded libraries out of such programs"
    assert same_everywhere(session, [helper, "long_jumps"], reason, 0, output) == ""


@root
def test_gains_nothing(session, helper):
    """setuid to the user who runs it: an ordinary program, which is traced."""
    os.chown(helper, 0, 0)
    helper.chmod(0o4755)
    path = session.work_dir / "a.mtr"
    done = session.tool("run", "-o", path, helper, "long_jumps", check=False)
    assert done.returncode == 0 and "cannot be traced" not in done.stderr
    assert session.report(path)["totals"]["alloc_blocks"] > 2000


@root
def test_file_capabilities(session, helper, open_folder):
    """Seen by another user: for root they are no gain."""
    net_raw = 1 << 13
    try:
        value = struct.pack("<5I", 0x02000001, net_raw, 0, 0, 0)
        os.setxattr(helper, "security.capability", value)
    except OSError as error:
        pytest.skip(f"no file capabilities here: {error}")
    tool = shutil.copy(session.memtrace, open_folder / "memtrace")
    shutil.copy(session.library, open_folder / "libmemtrace.so")
    regions = open_folder / "regions"
    regions.mkdir(mode=0o700)
    os.chown(regions, NOBODY, NOBODY)

    def as_nobody():
        os.setgid(NOBODY)
        os.setuid(NOBODY)

    env = {**clean_environment(), "MEMTRACE_DIR": str(regions), "TMPDIR": str(regions)}
    alone = run([helper, "long_jumps"], env=env, preexec_fn=as_nobody, cwd=regions)
    argv = [tool, "run", "-o", "a.mtr", helper, "long_jumps"]
    done = run(argv, check=False, env=env, preexec_fn=as_nobody, cwd=regions)
    assert (done.returncode, done.stdout) == (0, alone.stdout)
    reason = (
        "it has file capabilities, and the system keeps preloaded libraries out of such programs"
    )
    assert f"memtrace: {helper} cannot be traced: {reason}; it runs all the same" in done.stderr
    assert list(regions.iterdir()) == []
