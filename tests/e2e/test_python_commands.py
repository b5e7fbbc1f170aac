"""What Python programs find of memtrace under `memtrace run`, and the commands that are Python's.

The tool runs from a tree of its own in which the stand-ins and the commands' modules are replaced by
ones that tell how they were started: what is tested is the way there.
"""

import json
import os
import shutil
import subprocess
import sys
import textwrap

import harness
import pytest

PYTHON = os.path.realpath(sys.executable)

TELL = """
import json, os, sys
try:
    import memtrace
    tracing = memtrace.is_tracing()
except ImportError:
    memtrace, tracing = None, None
names = ("PYTHONTRACEMALLOC", "MEMTRACE_TRACEMALLOC", "MEMTRACE_LIBRARY", "LD_PRELOAD")
print(json.dumps({
    "argv": sys.argv, "path": sys.path, "python": os.path.realpath(sys.executable),
    "pid": os.getpid(), "memtrace": memtrace and memtrace.__file__, "tracing": tracing,
    "modules": {name: getattr(sys.modules.get(name), "WHO", None)
                for name in ("tracemalloc", "memory_profiler", "memtrace")},
    "env": {name: os.environ.get(name) for name in names},
}))
"""


class Tree:
    """The tool, the library and the package in a folder, as in a build tree."""

    def __init__(self, folder):
        self.folder = folder
        self.tool = folder / "memtrace"
        self.package = folder / "python" / "memtrace"
        for name in ("memtrace", "libmemtrace.so"):
            shutil.copy(harness.BUILD_DIR / name, folder / name)
        shutil.copytree(
            harness.BUILD_DIR / "python" / "memtrace",
            self.package,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        for name in ("tracemalloc", "memory_profiler"):
            stand_in = self.package / "_instead" / name
            shutil.rmtree(stand_in, ignore_errors=True)
            stand_in.mkdir()
            (stand_in / f"{name}.py").write_text("WHO = 'stand-in'\n")
        for name in ("lines", "mprof"):
            shutil.rmtree(self.package / name, ignore_errors=True)
            (self.package / f"{name}.py").write_text(TELL + "sys.exit(7)\n")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return Tree(tmp_path_factory.mktemp("a tree"))


@pytest.fixture
def regions(tmp_path):
    folder = tmp_path / "regions"
    folder.mkdir(mode=0o700)
    return folder


def environment(regions, **extra):
    env = harness.clean_environment()
    env["MEMTRACE_DIR"] = str(regions)
    env["PATH"] = os.path.dirname(PYTHON) + ":/usr/bin:/bin"
    env.update({name: str(value) for name, value in extra.items()})
    return env


def told_under_run(tree, regions, words, program=TELL, python=PYTHON, flags=(), **extra):
    """What the program says of itself under `memtrace run FLAGS python WORDS program.py`."""
    path = regions.parent / "program.py"
    path.write_text(textwrap.dedent(program))
    argv = [tree.tool, "run", "-q", "-o", regions.parent / "run.mtr", "-f", *flags, "--"]
    done = harness.run(
        [*argv, python, *words, path], env=environment(regions, **extra), cwd=regions.parent
    )
    return json.loads(done.stdout.splitlines()[-1])


USE = "import tracemalloc\ntry:\n    import memory_profiler\nexcept ImportError:\n    pass\n" + TELL


@pytest.mark.parametrize(
    "flags, stand_ins",
    [
        ((), ()),
        (("--tracemalloc",), ("tracemalloc",)),
        (("--memory-profiler",), ("memory_profiler",)),
        (("--tracemalloc", "--memory-profiler"), ("tracemalloc", "memory_profiler")),
    ],
)
def test_stand_ins_come_first(tree, regions, flags, stand_ins):
    own = regions.parent / "own"
    own.mkdir()
    told = told_under_run(tree, regions, [], USE, flags=flags, PYTHONPATH=own)
    instead = str(tree.package / "_instead")
    expected = [os.path.join(instead, name) for name in stand_ins]
    expected += [str(own), os.path.join(instead, "memtrace")]
    assert told["path"][1 : 1 + len(expected)] == expected
    assert str(tree.package.parent) not in told["path"]
    for name in ("tracemalloc", "memory_profiler"):
        assert told["modules"][name] == ("stand-in" if name in stand_ins else None)


@pytest.mark.parametrize(
    "words, variable, expected",
    [
        ([], None, None),
        ([], "7", "7"),
        (["-X", "tracemalloc=25"], None, "25"),
        (["-Xtracemalloc"], "7", "1"),
        (["-uX", "tracemalloc=3", "-W", "default", "-X", "utf8"], None, "3"),
    ],
)
def test_the_interpreters_own_tracemalloc_does_not_start(tree, regions, words, variable, expected):
    program = "import _tracemalloc\nassert not _tracemalloc.is_tracing()\n" + USE
    extra = {"PYTHONTRACEMALLOC": variable} if variable else {}
    told = told_under_run(tree, regions, words, program, flags=["--tracemalloc"], **extra)
    assert told["env"]["MEMTRACE_TRACEMALLOC"] == expected
    assert told["env"]["PYTHONTRACEMALLOC"] is None


def test_without_the_flag_it_does(tree, regions):
    program = "import _tracemalloc\nassert _tracemalloc.is_tracing()\n" + TELL
    told = told_under_run(tree, regions, ["-X", "tracemalloc"], program, PYTHONTRACEMALLOC="7")
    assert told["env"]["PYTHONTRACEMALLOC"] == "7"
    assert told["env"]["MEMTRACE_TRACEMALLOC"] is None


def test_words_of_the_script_are_its_own(tree, regions):
    path = regions.parent / "program.py"
    path.write_text(TELL)
    words = ["-X", "tracemalloc"]
    for option in ([path], ["-c", TELL]):
        done = harness.run(
            [tree.tool, "run", "-q", "-f", "-o", "x.mtr", "--tracemalloc", PYTHON, *option, *words],
            env=environment(regions),
            cwd=regions.parent,
        )
        told = json.loads(done.stdout)
        assert told["argv"][1:] == words
        assert told["env"]["MEMTRACE_TRACEMALLOC"] is None


def test_import_memtrace_in_any_python(tree, regions, python):
    """The interpreter does not have the package; nothing but it is put on its path."""
    told = told_under_run(tree, regions, [], python=python)
    assert told["memtrace"] == str(tree.package / "__init__.py")
    assert told["tracing"] is True
    assert list(tree.package.rglob("__pycache__")) == []


def test_bytecode_is_not_written_into_the_package(tree, regions):
    """pip removes only what the package's own interpreter has written there."""
    told = told_under_run(tree, regions, [], PYTHONDONTWRITEBYTECODE="")
    assert told["memtrace"] == str(tree.package / "__init__.py")
    assert list(tree.package.rglob("__pycache__")) == []


@pytest.mark.parametrize("where", ["beside the program", "behind it on the path"])
def test_the_programs_own_module_of_that_name(tree, regions, where):
    folder = regions.parent / "own" if "behind" in where else regions.parent
    folder.mkdir(exist_ok=True)
    (folder / "memtrace.py").write_text("WHO = 'own'\ndef is_tracing(): return None\n")
    program = TELL
    if "behind" in where:
        program = f"import sys; sys.path.append({str(folder)!r})\n" + TELL
    told = told_under_run(tree, regions, [], program)
    assert told["modules"]["memtrace"] == "own"
    assert told["memtrace"] == str(folder / "memtrace.py")


# --------------------------------------------------------------------------------------------------
# memtrace lines, memtrace mprof


def command(tree, regions, *words, **extra):
    return harness.run(
        [tree.tool, *words], env=environment(regions, **extra), cwd=regions.parent, check=False
    )


def test_lines_is_handed_on_and_traced(tree, regions):
    words = ["-o", "x y", "--help", "--", "script.py", "--version"]
    done = command(tree, regions, "lines", *words)
    assert done.returncode == 7, done.stderr
    told = json.loads(done.stdout)
    assert told["argv"][1:] == words
    assert told["tracing"] is True
    assert told["python"] == PYTHON
    assert told["path"][0] == str(regions.parent)
    assert told["memtrace"] == str(tree.package / "__init__.py")
    assert list(regions.iterdir()) == []  # nothing stays behind
    assert list(tree.package.rglob("__pycache__")) == []


def test_mprof_becomes_python(tree, regions):
    process = subprocess.Popen(
        [str(tree.tool), "mprof", "run", "x.py"],
        env=environment(regions),
        cwd=regions.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    told = json.loads(process.communicate(timeout=harness.TIME_LIMIT)[0])
    assert process.returncode == 7
    assert told["pid"] == process.pid
    assert told["argv"][1:] == ["run", "x.py"]
    assert told["tracing"] is False
    assert told["env"]["MEMTRACE_LIBRARY"] == str(tree.folder / "libmemtrace.so")


@pytest.mark.parametrize("name", ["lines", "mprof"])
def test_no_python(tree, regions, name):
    done = command(tree, regions, name, PATH=regions)
    assert done.returncode == 127
    assert "there is no python3 on PATH" in done.stderr
    done = command(tree, regions, name, MEMTRACE_PYTHON="/no/such/python")
    assert done.returncode == 127
    assert "/no/such/python" in done.stderr and "MEMTRACE_PYTHON" in done.stderr


def test_the_named_interpreter(tree, regions, pythons):
    for python in (pythons[0], pythons[-1]):
        told = json.loads(command(tree, regions, "lines", MEMTRACE_PYTHON=python).stdout)
        assert told["python"] == os.path.realpath(python)
        assert told["tracing"] is True


def test_a_version_managers_script_is_not_traced(tree, regions):
    folder = regions.parent / "shims"
    folder.mkdir()
    shim = folder / "python3"
    shim.write_text(f'#!/bin/sh\necho "<$LD_PRELOAD>" >>{folder}/seen\nexec {PYTHON} "$@"\n')
    shim.chmod(0o755)
    told = json.loads(command(tree, regions, "lines", PATH=f"{folder}:/bin").stdout)
    assert told["python"] == PYTHON
    assert (folder / "seen").read_text() == "<>\n"


def test_a_python_that_is_too_old(tree, regions):
    """Its own version cannot be had here: the words are those of the file that it would run."""
    path = str(tree.package / "_command.py")
    code = (
        "import sys; sys.version_info = (3, 7, 9, 'final', 0); sys.argv = ['x', 'lines']\n"
        f"__file__ = {path!r}\nexec(compile(open(__file__).read(), __file__, 'exec'))"
    )
    done = harness.run([PYTHON, "-c", code], check=False)
    assert done.returncode == 127
    assert "is Python 3.7, and this command needs 3.8 or newer" in done.stderr


def test_python_dash_m_uses_its_own_interpreter(tree, regions, pythons):
    for python in (pythons[0], pythons[-1]):
        done = harness.run(
            [python, "-m", "memtrace", "lines", "a"],
            env=environment(regions, PYTHONPATH=tree.package.parent),
            check=False,
        )
        assert done.returncode == 7, done.stderr
        assert json.loads(done.stdout)["python"] == os.path.realpath(python)


def test_both_are_in_the_help(tree, regions):
    text = command(tree, regions, "--help").stdout
    for name in ("lines", "mprof"):
        assert f"\n  {name} " in text
        assert name in command(tree, regions, "completion", "bash").stdout
