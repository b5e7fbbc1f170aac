"""Fixtures of the end-to-end tests; see harness.py for what they hand out.

`memtrace` and `library` are paths, `pythons` all interpreters found, `python` each of them in turn,
`session` a traced world of one test's own.
"""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import groups  # noqa: E402
import harness  # noqa: E402


def _all_pythons(config):
    if not hasattr(config, "_memtrace_pythons"):
        config._memtrace_pythons = harness.find_pythons()
    return config._memtrace_pythons


def pytest_generate_tests(metafunc):
    if "python" not in metafunc.fixturenames:
        return
    pythons = _all_pythons(metafunc.config)
    if not pythons:
        raise pytest.UsageError("no CPython 3.8-3.14 found: nothing would be tested")
    params = [pytest.param(p, id=p.name) for p in pythons]
    for version in harness.missing_versions(pythons):
        reason = f"CPython {version} is not installed"
        params.append(pytest.param(None, id=version, marks=pytest.mark.skip(reason=reason)))
    metafunc.parametrize("python", params)


@pytest.fixture(scope="session")
def memtrace():
    path = os.environ.get("MEMTRACE_TOOL_UNDER_TEST", harness.BUILD_DIR / "memtrace")
    assert os.access(path, os.X_OK), f"{path} is missing: build first"
    return str(path)


@pytest.fixture(scope="session")
def library():
    path = os.environ.get("MEMTRACE_LIBRARY_UNDER_TEST", harness.BUILD_DIR / "libmemtrace.so")
    assert os.path.exists(path), f"{path} is missing: build first"
    return str(path)


@pytest.fixture(scope="session")
def pythons(request):
    found = _all_pythons(request.config)
    assert found, "no CPython 3.8-3.14 found"
    return found


@pytest.fixture
def session(memtrace, library, tmp_path):
    session = harness.Session(memtrace, library, tmp_path)
    yield session
    session.close()


@pytest.fixture
def report(session):
    """report(path, *flags) -> the report as a dict."""
    return session.report


@pytest.fixture
def run_traced(session):
    """run_traced(argv, ...) -> path of a snapshot of the ended program."""
    return session.run_traced


@pytest.fixture
def group():
    """A control group whose memory a test may limit."""
    yield from groups.limited_group()
