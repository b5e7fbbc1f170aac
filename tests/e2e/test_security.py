"""Nobody gets in: regions are their user's alone, and readers doubt every file they are shown."""

import os
import stat

import pytest
from harness import content, program, run


def trace(session, folder):
    """A small program traced into a folder; returns what it wrote on standard error."""
    return run([program("nothing")], env=session.env(MEMTRACE_DIR=folder)).stderr


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.fixture
def region(session, tmp_path):
    folder = tmp_path / "regions"
    assert trace(session, folder) == ""
    (found,) = folder.glob("*.region")
    return found


def refused(session, path):
    done = session.tool("report", path, check=False, timeout=10)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("memtrace: ") and len(done.stderr.splitlines()) == 1
    return done.stderr


def test_modes(region):
    assert (mode(region.parent), mode(region)) == (0o700, 0o600)


def test_modes_with_loose_umask(session, tmp_path):
    """A loose umask opens nothing."""
    before = os.umask(0)
    try:
        trace(session, tmp_path / "loose")
    finally:
        os.umask(before)
    assert {mode(p) for p in (tmp_path / "loose").iterdir()} == {0o600}
    assert mode(tmp_path / "loose") == 0o700


@pytest.mark.parametrize("bits", [0o777, 0o770, 0o750, 0o701])
def test_a_folder_open_to_others_is_not_used(session, tmp_path, bits):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(bits)
    assert "0700" in trace(session, folder)
    assert list(folder.iterdir()) == []


def test_a_link_instead_of_the_folder_is_not_followed(session, tmp_path):
    (tmp_path / "target").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("target")
    assert "0700" in trace(session, tmp_path / "link")
    assert list((tmp_path / "target").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_not_used(session, tmp_path):
    folder = tmp_path / "others"
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, 65534)
    assert "yours" in trace(session, folder)
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_region_of_another_user_is_refused(session, region):
    os.chown(region, 65534, 65534)
    assert "another user" in refused(session, region)


def test_links_to_a_region_are_refused(session, region, tmp_path):
    (tmp_path / "soft.region").symlink_to(region)
    assert "symbolic link" in refused(session, tmp_path / "soft.region")
    os.link(region, tmp_path / "hard.region")
    assert "hard link" in refused(session, tmp_path / "hard.region")


def test_what_is_no_file_is_refused_at_once(session, tmp_path):
    os.mkfifo(tmp_path / "fifo.region")
    assert "not a plain file" in refused(session, tmp_path / "fifo.region")
    (tmp_path / "folder.region").mkdir()
    refused(session, tmp_path / "folder.region")


def test_nothing_of_the_environment_is_kept(session, tmp_path):
    secret = "hunter2-" * 4
    env = session.env(MEMTRACE_DIR=tmp_path / "regions", DATABASE_PASSWORD=secret)
    run([program("nothing")], env=env)
    (found,) = (tmp_path / "regions").glob("*.region")
    data = content(found)
    assert program("nothing").encode() in data, "the command line is kept"
    assert secret.encode() not in data
