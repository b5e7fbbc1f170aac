"""`import memtrace` in a traced program and in one that is not traced, under every Python."""

import json
import os
import textwrap

import harness
import pytest

PACKAGE_ROOT = str(harness.BUILD_DIR / "python")
UNIT_TESTS = str(harness.SOURCE_DIR / "tests" / "unit" / "python")
MIB = 1 << 20


def run_program(session, python, source, preload=True, errors=None, **extra):
    """Runs the source in the session's folder; returns what it printed as JSON.

    `errors`: a list that gets what it wrote on standard error.
    """
    path = session.work_dir / "program.py"
    path.write_text(textwrap.dedent(source))
    env = session.env(PYTHONPATH=PACKAGE_ROOT, **extra)
    if not preload:
        del env["LD_PRELOAD"]
    done = harness.run([python, path], env=env, cwd=session.work_dir)
    if errors is not None:
        errors.append(done.stderr)
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


# --------------------------------------------------------------------------------------------------
# Late start


def test_late_start(session, python):
    errors = []
    told = run_program(
        session,
        python,
        """
        import json, memtrace
        early = bytearray(7 << 20)
        was = memtrace.is_tracing()
        memtrace.start()
        memtrace.start()
        before = memtrace.current()
        block = bytearray(3 << 20)  # the line that is seen
        during = memtrace.current()
        more = bytearray(8 << 20)
        del more
        early = None
        after = memtrace.current()
        path = memtrace.snapshot("late.mtr")
        print(json.dumps([was, memtrace.is_tracing(), before, during, after, memtrace.peak(), path]))
        """,
        preload=False,
        errors=errors,
    )
    was, tracing, before, during, after, peak, path = told
    assert (was, tracing) == (False, True)
    small = 4096
    assert 0 <= during - before - (3 * MIB + 1) < small
    # The early block was never counted, so its end is not, either.
    assert abs(after - during) < small
    assert 0 <= peak - during - (8 * MIB + 1) < small
    assert errors[0].count("recording from now on") == 1
    report = session.report(path, "--by", "lineno")
    assert report["totals"]["lost"] == 0
    top = report["rows"][0]
    assert (os.path.basename(top["file"]), top["line"]) == ("program.py", 8)
    assert top["size"] - (3 * MIB + 1) in range(0, 256)


def test_late_start_is_quiet_and_sees_threads_and_children(session, python):
    errors = []
    told = run_program(
        session,
        python,
        """
        import json, memtrace, os, threading, time
        kept, stop = [], threading.Event()
        def work(number):  # busy while the library is loaded
            while not stop.is_set():
                [str(i) for i in range(100)]
            kept.append(bytearray(1 << 20))
        threads = [threading.Thread(target=work, args=[i]) for i in range(4)]
        [thread.start() for thread in threads]
        memtrace.start(quiet=True)
        time.sleep(0.05)
        stop.set()
        [thread.join() for thread in threads]
        path = memtrace.snapshot("late.mtr")
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            first = memtrace.current()
            block = bytearray(5 << 20)
            os.write(writer, str(memtrace.current() - first).encode())
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        print(json.dumps([path, int(os.read(reader, 100))]))
        """,
        preload=False,
        errors=errors,
    )
    path, of_child = told
    count, size = harness.by_line(session.report(path, "--by", "lineno"))["program.py", 7]
    assert size - 4 * (MIB + 1) in range(0, 4 * 256 + 1)  # and the objects, of the list, too
    assert count in range(8, 13)  # what is in a freelist stays its own
    assert 0 <= of_child - (5 * MIB + 1) < 4096
    assert errors == [""]


def test_late_start_does_not_see_malloc(session, pythons):
    """What the line on standard error says; and the preloaded library does see it."""
    source = """
        import ctypes, json, memtrace
        libc = ctypes.CDLL(None)
        libc.malloc.restype = ctypes.c_void_p
        libc.malloc.argtypes = [ctypes.c_size_t]
        libc.free.argtypes = [ctypes.c_void_p]
        memtrace.start()
        before = memtrace.current()
        block = libc.malloc(6 << 20)
        grown = memtrace.current() - before
        libc.free(block)
        print(json.dumps(grown))
        """
    errors = []
    assert run_program(session, pythons[-1], source, preload=False, errors=errors) < 4096
    assert "what C code gets from malloc by itself" in errors[0]
    assert 0 <= run_program(session, pythons[-1], source, errors=errors) - 6 * MIB < 4096
    assert errors[1] == ""


@pytest.mark.parametrize("preload", [True, False])
def test_stop_and_go_on(session, python, preload):
    told = run_program(
        session,
        python,
        """
        import json, memtrace
        memtrace.stop()  # where nothing is recorded, nothing happens
        memtrace.start(quiet=True)
        first = bytearray(1 << 20)
        before = memtrace.current()
        memtrace.stop()
        unseen = bytearray(2 << 20)
        stopped = memtrace.current()
        del first
        freed = memtrace.current()
        memtrace.start(quiet=True)
        del unseen
        seen = bytearray(4 << 20)
        print(json.dumps([before, stopped, freed, memtrace.current()]))
        """,
        preload=preload,
    )
    before, stopped, freed, again = told
    small = 4096
    assert abs(stopped - before) < small
    assert abs(before - freed - (MIB + 1)) < small
    assert 0 <= again - freed - (4 * MIB + 1) < small


def test_start_says_why_it_cannot(session, pythons):
    source = """
        import json, memtrace
        try:
            memtrace.start()
        except memtrace.NotTracingError as error:
            print(json.dumps(str(error)))
        """
    said = run_program(
        session, pythons[-1], source, preload=False, MEMTRACE_LIBRARY="/no/such/library.so"
    )
    assert "/no/such/library.so cannot be used" in said
    said = run_program(session, pythons[-1], source, preload=False, MEMTRACE_DISABLE="1")
    assert "does not trace this process" in said
