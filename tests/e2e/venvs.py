"""Virtual environments with other people's packages, one for each interpreter, made once a build tree.

The packages are the newest that the index offers for that interpreter. An interpreter that it offers
none for is skipped by name; anything else that goes wrong is a failure.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys

import harness
import pytest

FOLDER = harness.BUILD_DIR / "tests" / "e2e" / "venvs"
NONE_OFFERED = ("No matching distribution found", "Could not find a version that satisfies")
INSTALL = ["install", "-q", "--disable-pip-version-check", "--only-binary=:all:"]
PIP = "pip==24.3.1"  # runs under 3.8 to 3.13


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


def _pip(python):
    """A command: pip for an environment that has none of its own, which would take longer to make
    than all that is installed in it."""
    folder = FOLDER / "pip"
    with open(FOLDER / "pip.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _command([sys.executable, "-m", "venv", folder], "making an environment for pip")
            own = [folder / "bin" / "python", "-m", "pip", *INSTALL, PIP]
            _command(own, f"installing {PIP}")
            (folder / "complete").touch()
    return [folder / "bin" / "python", "-m", "pip", "--python", python]


def python_with(python, packages):
    """Path of an interpreter like `python` that has these packages; skips if there are none."""
    folder = _folder(python, packages)
    path = folder / "bin" / "python"
    if (folder / "complete").exists() and path.exists():
        return str(path)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder.parent, exist_ok=True)
    _command(
        [python, "-m", "venv", "--without-pip", folder],
        f"making a virtual environment with {python}",
    )
    refused = _command([*_pip(path), *INSTALL, *packages], f"installing {' '.join(packages)}")
    if refused:
        pytest.skip(f"the index has nothing for CPython {python.name}: {refused}")
    (folder / "complete").touch()
    return str(path)
