"""The installed tree works by itself, from a folder that it was not built for."""

import os
import pathlib

import harness
import pytest
from harness import by_function, program


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """An install tree in a new folder; the build tree's paths must not matter to it."""
    folder = tmp_path_factory.mktemp("prefix")
    harness.run(["cmake", "--install", harness.BUILD_DIR, "--prefix", folder])
    return folder


def installed_library(prefix):
    found = sorted(prefix.glob("lib*/**/memtrace/libmemtrace.so"))
    assert len(found) == 1, found
    return found[0]


def test_tree(prefix):
    assert os.access(prefix / "bin" / "memtrace", os.X_OK)
    assert installed_library(prefix).stat().st_size > 0
    assert (prefix / "include" / "memtrace.h").exists()
    assert list(prefix.glob("share/man/man1/memtrace.1*"))
    assert list(prefix.glob("share/memtrace/python/memtrace/__init__.py"))


def test_no_path_of_the_build_tree(prefix):
    """Nothing in the tree names the folder that it was built in, but for debugging information."""
    for path in (prefix / "bin" / "memtrace", installed_library(prefix)):
        assert str(harness.BUILD_DIR) not in harness.run(["readelf", "-dW", path]).stdout


def test_run_finds_its_library(prefix, tmp_path):
    out = tmp_path / "x.mtr"
    env = harness.clean_environment()
    done = harness.run(
        [prefix / "bin" / "memtrace", "run", "-o", out, "--", program("endings")],
        env=env,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 7, done.stderr
    session = harness.Session(str(prefix / "bin" / "memtrace"), installed_library(prefix), tmp_path)
    try:
        rows = by_function(session.report(out, "--by", "function", "--at", "total"))
    finally:
        session.close()
    assert rows["site_first"] == (200, sum(range(10, 210)))
    assert rows["site_last"] == (1, 12345)


def test_python_package(prefix, pythons, tmp_path):
    """`import memtrace` from the install tree, in the newest Python."""
    out = tmp_path / "taken.mtr"
    folder = next(prefix.glob("share/memtrace/python"))
    env = harness.clean_environment()
    env["PYTHONPATH"] = str(folder)
    code = (
        f"import memtrace; assert memtrace.is_tracing(); b = bytearray(1 << 20);"
        f"assert memtrace.current() > 1 << 20; memtrace.snapshot({str(out)!r})"
    )
    harness.run(
        [
            prefix / "bin" / "memtrace",
            "run",
            "-o",
            tmp_path / "run.mtr",
            "--",
            pythons[-1],
            "-c",
            code,
        ],
        env=env,
        cwd=tmp_path,
    )
    assert out.stat().st_size > 0 and (tmp_path / "run.mtr").stat().st_size > 0


def test_moved_tree(prefix, tmp_path):
    """The library is found next to the tool, wherever the tree is."""
    moved = tmp_path / "moved to a folder with spaces"
    harness.run(["cp", "-a", prefix, moved])
    done = harness.run(
        [
            moved / "bin" / "memtrace",
            "run",
            "-o",
            tmp_path / "x.mtr",
            "--",
            "/bin/ls",
            pathlib.Path("/"),
        ],
        cwd=tmp_path,
    )
    assert done.stdout == harness.run(["/bin/ls", "/"]).stdout
    assert (tmp_path / "x.mtr").stat().st_size > 0
