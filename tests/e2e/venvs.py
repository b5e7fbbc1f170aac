"""Virtual environments with other people's packages, one for each interpreter, made once a build tree.

The packages are the newest that the index offers for that interpreter. An interpreter that it offers
none for is skipped by name; anything else that goes wrong is a failure.
"""

import hashlib
import os
import shutil
import subprocess

import harness
import pytest

FOLDER = harness.BUILD_DIR / "tests" / "e2e" / "venvs"
NONE_OFFERED = ("No matching distribution found", "Could not find a version that satisfies")
PIP = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "--only-binary=:all:"]


def _folder(python, packages):
    """A folder for these packages and this very interpreter."""
    of = hashlib.sha1("\0".join([str(python), *packages]).encode()).hexdigest()[:8]
    return FOLDER / f"{python.name}-{of}"


def _command(argv, what):
    done = subprocess.run(
        [str(a) for a in argv],
        env=harness.clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    if any(words in done.stdout for words in NONE_OFFERED):
        return done.stdout.strip().splitlines()[-1]
    assert done.returncode == 0, f"{what} failed:\n{done.stdout[-2000:]}"
    return None


def python_with(python, packages):
    """Path of an interpreter like `python` that has these packages; skips if there are none."""
    folder = _folder(python, packages)
    path = folder / "bin" / "python"
    if (folder / "complete").exists() and path.exists():
        return str(path)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder.parent, exist_ok=True)
    _command([python, "-m", "venv", folder], f"making a virtual environment with {python}")
    refused = _command([path, *PIP, *packages], f"installing {' '.join(packages)}")
    if refused:
        pytest.skip(f"the index has nothing for CPython {python.name}: {refused}")
    (folder / "complete").touch()
    return str(path)
