"""`pip install .`: one wheel for every Python, which brings the tool, the library and the package.

The wheel is made from a copy of the sources, once for each state of theirs; it stays in the build
tree.
"""

import fcntl
import hashlib
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import textwrap
import zipfile

import harness
import pytest

FOLDER = harness.BUILD_DIR / "tests" / "e2e" / "wheel"
SOURCES = ("CMakeLists.txt", "pyproject.toml", "README.md", "LICENSE", "core", "interpose", "tools")
MIB = 1 << 20


def source_files():
    for name in SOURCES:
        path = harness.SOURCE_DIR / name
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                yield file


def state_of_sources():
    digest = hashlib.sha1()
    for file in source_files():
        digest.update(f"{file.relative_to(harness.SOURCE_DIR)}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def copy_sources(target):
    """A clean copy with the times of the originals, so that only what changed is built again."""
    shutil.rmtree(target, ignore_errors=True)
    for file in source_files():
        copy = target / file.relative_to(harness.SOURCE_DIR)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, copy)


def command(argv, timeout=harness.TIME_LIMIT, **options):
    options.setdefault("env", harness.clean_environment())
    return harness.run(argv, timeout=timeout, **options)


def build(out):
    venv = FOLDER / "builder"
    if not (venv / "bin" / "pip").exists():
        command([sys.executable, "-m", "venv", venv], timeout=300)
    copy_sources(FOLDER / "sources")
    env = dict(harness.clean_environment(), CMAKE_BUILD_PARALLEL_LEVEL="2")
    pip = [venv / "bin" / "pip", "wheel", "-q", "--no-deps", "--disable-pip-version-check"]
    settings = [f"--config-settings=build-dir={FOLDER / 'build'}"]
    command([*pip, *settings, "-w", out, FOLDER / "sources"], timeout=1500, env=env)


@pytest.fixture(scope="module")
def wheel():
    os.makedirs(FOLDER, exist_ok=True)
    with open(FOLDER / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        out = FOLDER / "wheels" / state_of_sources()
        if not list(out.glob("*.whl")):
            shutil.rmtree(FOLDER / "wheels", ignore_errors=True)
            build(out)
    found = list(out.glob("*.whl"))
    assert len(found) == 1, found
    return found[0]


class Installed:
    """A virtual environment with the wheel in it and nothing else."""

    def __init__(self, folder, python, wheel):
        self.folder = folder
        self.python = folder / "bin" / "python"
        self.tool = folder / "bin" / "memtrace"
        command([python, "-m", "venv", folder], timeout=300)
        self.before = self.files()
        self.pip("install", "-q", "--no-index", wheel)
        self.site = next(folder.glob("lib/python*/site-packages"))

    def pip(self, *words):
        pip = [self.python, "-m", "pip", "--disable-pip-version-check"]
        return command([*pip, *words], timeout=300).stdout

    def files(self):
        found = {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}
        return {name for name in found if "/pip" not in name and "/setuptools" not in name}

    def env(self, regions, **extra):
        env = harness.clean_environment()
        env["PATH"] = f"{self.folder / 'bin'}:/usr/bin:/bin"
        env["MEMTRACE_DIR"] = str(regions)
        env.update(extra)
        return env


@pytest.fixture(scope="module", params=[0, -1], ids=["oldest", "newest"])
def installed(request, wheel, pythons, tmp_path_factory):
    if request.param == -1 and len(pythons) == 1:
        pytest.skip("there is one Python here")
    return Installed(tmp_path_factory.mktemp("venv"), pythons[request.param], wheel)


@pytest.fixture
def regions(tmp_path):
    folder = tmp_path / "regions"
    folder.mkdir(mode=0o700)
    return folder


def test_name_and_contents(wheel):
    version = command([harness.BUILD_DIR / "memtrace", "--version"]).stdout.split()[-1]
    tag = f"py3-none-linux_{platform.machine()}"
    assert wheel.name == f"memtrace_profiler-{version}-{tag}.whl"
    info = f"memtrace_profiler-{version}.dist-info/"
    data = f"memtrace_profiler-{version}.data/"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(info + "METADATA").decode()
    package = harness.SOURCE_DIR / "tools" / "python" / "memtrace"
    expected = {
        f"memtrace/{path.relative_to(package)}"
        for path in package.rglob("*")
        if path.suffix in (".py", ".pyi") or path.name == "py.typed"
    }
    expected |= {"memtrace/_version.py", "memtrace/libmemtrace.so"}
    expected |= {data + "scripts/memtrace", data + "data/share/man/man1/memtrace.1"}
    assert {name for name in names if not name.startswith(info)} == expected
    for line in (
        "Name: memtrace-profiler",
        f"Version: {version}",
        "License-Expression: Apache-2.0",
        "Requires-Python: >=3.8",
        "Provides-Extra: ipython",
        "Provides-Extra: plot",
    ):
        assert line in metadata.splitlines()
    assert "Requires-Dist" not in metadata.replace("extra ==", "").split("Provides-Extra")[0]
    assert wheel.stat().st_size < 4 * MIB


def test_the_tool_needs_the_c_library_alone(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    tool = next(tmp_path.glob("*.data/scripts/memtrace"))
    for file in (tool, tmp_path / "memtrace" / "libmemtrace.so"):
        needed = [
            line.split("[")[1].rstrip("]")
            for line in command(["readelf", "-dW", file]).stdout.splitlines()
            if "(NEEDED)" in line
        ]
        assert set(needed) <= {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2"}, file
        assert str(FOLDER).encode() not in file.read_bytes()
        assert ".debug_info" not in command(["readelf", "-SW", file]).stdout


PROGRAM = """
import json, sys
import memtrace
kept = [bytearray(1 << 20) for _ in range(5)]  # five
memtrace.snapshot("within.mtr")
print(json.dumps([sys.path, memtrace.__file__, memtrace.is_tracing()]))
"""


def line_of_five(tool, snapshot, env):
    """The line of main.py that held most at the peak, which must be the one with the five blocks."""
    argv = [tool, "report", snapshot, "--at", "peak", "--top", "0", "--format", "json"]
    rows = json.loads(command(argv, env=env).stdout)["rows"]
    top = next(row for row in rows if (row["file"] or "").endswith("main.py"))
    assert top["size"] - 5 * (MIB + 1) in range(0, 1024)  # and six objects
    return top["line"]


def test_run_in_its_environment(installed, regions, tmp_path):
    (tmp_path / "main.py").write_text(PROGRAM)
    env = installed.env(regions)
    done = command(["memtrace", "run", "-o", "x.mtr", "python", "main.py"], cwd=tmp_path, env=env)
    path, module, tracing = json.loads(done.stdout)
    assert tracing is True
    assert module == str(installed.site / "memtrace" / "__init__.py")
    assert line_of_five(installed.tool, tmp_path / "x.mtr", env) == 4
    assert line_of_five(installed.tool, tmp_path / "within.mtr", env) == 4


def test_run_another_interpreter(installed, pythons, regions, tmp_path):
    """It gets memtrace, and nothing else of what the environment holds."""
    (tmp_path / "main.py").write_text(PROGRAM)
    env = installed.env(regions)
    for other in (pythons[0], pythons[-1]):
        argv = [installed.tool, "run", "-f", "-o", "x.mtr", other, "main.py"]
        path, module, tracing = json.loads(command(argv, cwd=tmp_path, env=env).stdout)
        assert tracing is True
        assert module == str(installed.site / "memtrace" / "__init__.py")
        assert str(installed.site) not in path
        assert line_of_five(installed.tool, tmp_path / "x.mtr", env) == 4
        assert line_of_five(installed.tool, tmp_path / "within.mtr", env) == 4


def test_other_commands(installed, regions, tmp_path):
    env = installed.env(regions)
    version = command([installed.tool, "--version"], env=env).stdout
    assert version == command([installed.python, "-m", "memtrace", "--version"], env=env).stdout
    assert "_memtrace" in command([installed.tool, "completion", "bash"], env=env).stdout
    doctor = command([installed.tool, "doctor"], env=env, check=False).stdout
    assert str(installed.site / "memtrace" / "libmemtrace.so") in doctor
    own = command([harness.BUILD_DIR / "memtrace", "doctor"], env=env, check=False)
    assert command([installed.tool, "doctor"], env=env, check=False).returncode == own.returncode


def test_late_start(installed, regions, tmp_path):
    (tmp_path / "main.py").write_text(
        textwrap.dedent(
            """
            import memtrace
            memtrace.start()
            kept = [bytearray(1 << 20) for _ in range(5)]
            memtrace.snapshot("late.mtr")
            """
        )
    )
    env = installed.env(regions)
    done = command(["python", "main.py"], cwd=tmp_path, env=env)
    assert done.stderr.startswith("memtrace: recording from now on")
    assert line_of_five(installed.tool, tmp_path / "late.mtr", env) == 4


def test_a_folder_of_its_own(wheel, regions, tmp_path):
    """pip install --target: the tool, the library and the package find each other there, too."""
    target = tmp_path / "a folder"
    pip = [FOLDER / "builder" / "bin" / "pip", "install", "-q", "--disable-pip-version-check"]
    command([*pip, "--no-index", "--target", target, wheel], timeout=300)
    (tmp_path / "main.py").write_text(PROGRAM)
    env = dict(harness.clean_environment(), MEMTRACE_DIR=str(regions))
    tool = target / "bin" / "memtrace"
    done = command([tool, "run", "-o", "x.mtr", sys.executable, "main.py"], cwd=tmp_path, env=env)
    assert json.loads(done.stdout)[1] == str(target / "memtrace" / "__init__.py")
    assert line_of_five(tool, tmp_path / "within.mtr", env) == 4


def test_processes_start_at_once(installed):
    """The command is the tool itself, not a script that starts an interpreter first."""
    with open(installed.tool, "rb") as file:
        assert file.read(4) == b"\x7fELF"
    done = subprocess.run(
        [installed.tool, "--version"], env={}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    assert done.returncode == 0


def test_uninstall_leaves_nothing(installed, pythons, regions, tmp_path):
    """Neither after use under its own interpreter nor under others'. Last: it takes it away."""
    (tmp_path / "main.py").write_text(PROGRAM)
    env = installed.env(regions)
    del env["PYTHONDONTWRITEBYTECODE"]
    for python in (installed.python, pythons[0], pythons[-1]):
        argv = [installed.tool, "run", "-f", "-o", "x.mtr", python, "main.py"]
        command(argv, cwd=tmp_path, env=env)
    installed.pip("uninstall", "-q", "-y", "memtrace-profiler")
    left = installed.files() - installed.before
    # pip leaves the folders of data files.
    assert {name for name in left if not pathlib.PurePath(name).parts[0] == "share"} == set()
    assert [name for name in left if (installed.folder / name).is_file()] == []
