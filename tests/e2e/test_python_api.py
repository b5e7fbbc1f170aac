"""`import memtrace` in a traced program and in one that is not traced, under every Python."""

import json
import os
import textwrap

import harness
import pytest

PACKAGE_ROOT = str(harness.BUILD_DIR / "python")
UNIT_TESTS = str(harness.SOURCE_DIR / "tests" / "unit" / "python")
MIB = 1 << 20


def run_program(session, python, source, preload=True, **extra):
    """Runs the source in the session's folder; returns what it printed as JSON."""
    path = session.work_dir / "program.py"
    path.write_text(textwrap.dedent(source))
    env = session.env(PYTHONPATH=PACKAGE_ROOT, **extra)
    if not preload:
        del env["LD_PRELOAD"]
    done = harness.run([python, path], env=env, cwd=session.work_dir)
    return json.loads(done.stdout)


def test_unit_tests_of_the_package(python):
    env = dict(harness.clean_environment(), PYTHONPATH=PACKAGE_ROOT)
    done = harness.run(
        [python, "-m", "unittest", "discover", "-s", UNIT_TESTS], env=env, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Ran 0 tests" not in done.stderr


def test_current_and_peak_follow_a_block_of_known_size(session, python):
    told = run_program(
        session,
        python,
        """
        import json, memtrace
        memtrace.current()  # loads ctypes
        before = memtrace.current()
        block = bytearray(8 << 20)
        during = memtrace.current()
        del block
        after = memtrace.current()
        peak = memtrace.peak()
        memtrace.reset_peak()
        reset = memtrace.peak()
        block = bytearray(2 << 20)
        del block
        again = memtrace.peak()
        print(json.dumps([before, during, after, peak, reset, again]))
        """,
    )
    before, during, after, peak, reset, again = told
    # A bytearray takes its bytes and one for the terminating zero; its object and the integers of
    # this program are a few small blocks, less than a thousandth of it.
    small = 4096
    assert 0 <= during - before - (8 * MIB + 1) < small
    assert abs(after - before) < small
    assert peak >= during
    assert abs(reset - after) < small
    assert 0 <= again - reset - (2 * MIB + 1) < small


def test_snapshot_from_within(session, python):
    (session.work_dir / "sub").mkdir()
    told = run_program(
        session,
        python,
        """
        import json, os, memtrace
        kept = [bytearray(1 << 20) for _ in range(3)]
        first = memtrace.snapshot("first.mtr")
        more = bytearray(5 << 20)  # the line that grows
        second = memtrace.snapshot(os.path.join("sub", "second.mtr").encode())
        print(json.dumps([first, second, memtrace.is_tracing(), memtrace.__version__]))
        """,
    )
    first, second, tracing, version = told
    assert tracing is True
    assert first == str(session.work_dir / "first.mtr")
    assert second == str(session.work_dir / "sub" / "second.mtr")
    assert session.tool("--version").stdout.split()[-1] == version
    rows = session.compare(first, second, "--by", "lineno")["rows"]
    assert rows[0]["file"].endswith("program.py")
    assert rows[0]["line"] == 5
    assert rows[0]["size_diff"] - (5 * MIB + 1) in range(0, 256)


def test_snapshot_replaces_a_file_and_names_what_it_cannot_write(session, python):
    told = run_program(
        session,
        python,
        """
        import json, memtrace
        with open("x.mtr", "w") as file:
            file.write("old")
        memtrace.snapshot("x.mtr")
        try:
            memtrace.snapshot("no/such/folder/x.mtr")
        except OSError as error:
            print(json.dumps([error.filename, str(error)]))
        """,
    )
    assert told[0] == str(session.work_dir / "no/such/folder/x.mtr")
    assert "no/such/folder" in told[1]
    assert session.report(session.work_dir / "x.mtr")["totals"]["now_bytes"] > 0


def test_calls_from_threads(session, python):
    told = run_program(
        session,
        python,
        """
        import json, memtrace, threading
        behind = []
        def work():
            for _ in range(1000):
                now = memtrace.current()
                behind.append(now - memtrace.peak())
                assert now > 0
        threads = [threading.Thread(target=work) for _ in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        print(json.dumps([len(behind), max(behind)]))
        """,
    )
    calls, behind = told
    assert calls == 4000
    # With threads the peak may be behind by 32 KiB for each of them and as much again.
    assert behind <= (4 + 1 + 1) * 32 * 1024


def test_forked_child_speaks_of_itself(session, python):
    told = run_program(
        session,
        python,
        """
        import json, os, memtrace
        memtrace.current()
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            before = memtrace.current()
            block = bytearray(3 << 20)
            told = [memtrace.is_tracing(), memtrace.current() - before]
            os.write(writer, json.dumps(told).encode())
            os._exit(0)
        os.waitpid(child, 0)
        print(os.read(reader, 1000).decode())
        """,
    )
    assert told[0] is True
    assert told[1] - (3 * MIB + 1) in range(0, 4096)


@pytest.mark.parametrize("how", ["without the library", "switched off"])
def test_not_traced(session, pythons, how):
    preload = how == "switched off"
    told = run_program(
        session,
        pythons[-1],
        """
        import json, memtrace
        said = []
        for call in (memtrace.current, memtrace.peak, memtrace.reset_peak,
                     lambda: memtrace.snapshot("x.mtr")):
            try:
                call()
            except memtrace.NotTracingError as error:
                said.append(str(error))
        print(json.dumps([memtrace.is_tracing(), said]))
        """,
        preload=preload,
        **({"MEMTRACE_DISABLE": "1"} if preload else {}),
    )
    tracing, said = told
    assert tracing is False
    assert len(said) == 4
    for words in said:
        assert (
            "does not trace this process" if preload else "memtrace run python main.py"
        ) in words
    assert not os.path.exists(session.work_dir / "x.mtr")


def test_module_runs_the_tool(session, pythons):
    env = dict(harness.clean_environment(), PYTHONPATH=PACKAGE_ROOT)
    done = harness.run([pythons[-1], "-m", "memtrace", "--version"], env=env)
    assert done.stdout == session.tool("--version").stdout
