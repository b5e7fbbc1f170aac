"""Unit tests of the package `memtrace`, without the preloaded library.

Standard library only, so that they run under every supported Python:

    PYTHONPATH=build/release/python python3 -m unittest discover -s tests/unit/python

What needs the real library is in tests/e2e/test_python_api.py.
"""

import errno
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import unittest
from unittest import mock

import memtrace
from memtrace import _library


class FakeLibrary:
    """Stands for libmemtrace.so: the C functions by name, and the calls that were made."""

    def __init__(self, tracing=1, code=0, error=b""):
        self.paths = []
        self.resets = 0
        self.code = code
        self.functions = {
            "memtrace_is_tracing": lambda: tracing,
            "memtrace_current_bytes": lambda: 1000,
            "memtrace_peak_bytes": lambda: 5_000_000_000,
            "memtrace_reset_peak": self.reset_peak,
            "memtrace_snapshot": self.snapshot,
            "memtrace_last_error": lambda: error,
        }

    def reset_peak(self):
        self.resets += 1
        return self.code

    def snapshot(self, path):
        self.paths.append(path)
        return self.code

    def __enter__(self):
        self.patch = mock.patch.object(_library, "_functions", self.functions)
        self.patch.start()
        return self

    def __exit__(self, *exc):
        self.patch.stop()


class Untraced(unittest.TestCase):
    def setUp(self):
        if "libmemtrace" in os.environ.get("LD_PRELOAD", ""):
            self.skipTest("these tests are about a process that is not traced")

    def test_is_tracing_is_false(self):
        self.assertIs(memtrace.is_tracing(), False)

    def test_functions_say_how_to_start(self):
        for call in (
            memtrace.current,
            memtrace.peak,
            memtrace.reset_peak,
            lambda: memtrace.snapshot("x.mtr"),
        ):
            with self.assertRaises(memtrace.NotTracingError) as caught:
                call()
            self.assertIn("memtrace run python main.py", str(caught.exception))
            self.assertIn("LD_PRELOAD=", str(caught.exception))
        self.assertFalse(os.path.exists("x.mtr"))

    def test_error_is_a_runtime_error(self):
        self.assertTrue(issubclass(memtrace.NotTracingError, RuntimeError))

    def test_import_loads_no_other_module(self):
        # -S -E: without what site or the environment would import.
        program = (
            "import sys; sys.path.insert(0, sys.argv[1]); before = set(sys.modules); import memtrace;"
            "print(sorted(set(sys.modules) - before))"
        )
        root = os.path.dirname(os.path.dirname(os.path.abspath(memtrace.__file__)))
        out = subprocess.check_output([sys.executable, "-S", "-E", "-c", program, root], text=True)
        self.assertEqual(out.strip(), "['memtrace', 'memtrace._version']")

    def test_version(self):
        self.assertRegex(memtrace.__version__, re.compile(r"^\d+\.\d+\.\d+$"))


class WithLibrary(unittest.TestCase):
    def test_figures(self):
        with FakeLibrary():
            self.assertIs(memtrace.is_tracing(), True)
            self.assertEqual(memtrace.current(), 1000)
            self.assertEqual(memtrace.peak(), 5_000_000_000)

    def test_reset_peak(self):
        with FakeLibrary() as library:
            self.assertIsNone(memtrace.reset_peak())
            self.assertEqual(library.resets, 1)

    def test_switched_off(self):
        with FakeLibrary(tracing=0, error=b"MEMTRACE_DISABLE=1 is set"):
            self.assertIs(memtrace.is_tracing(), False)
            with self.assertRaisesRegex(memtrace.NotTracingError, "MEMTRACE_DISABLE=1 is set"):
                memtrace.current()

    def test_snapshot_paths(self):
        here = os.getcwd()
        for given, expected in (
            ("a.mtr", os.path.join(here, "a.mtr")),
            (b"b.mtr", os.path.join(here, "b.mtr")),
            (pathlib.Path("c.mtr"), os.path.join(here, "c.mtr")),
            ("/d/../e.mtr", "/e.mtr"),
            ("größe.mtr", os.path.join(here, "größe.mtr")),
            (b"\xff.mtr", os.path.join(here, os.fsdecode(b"\xff.mtr"))),
        ):
            with FakeLibrary() as library:
                self.assertEqual(memtrace.snapshot(given), expected)
                self.assertEqual(library.paths, [os.fsencode(expected)])

    def test_snapshot_follows_a_change_of_folder(self):
        before = os.getcwd()
        with tempfile.TemporaryDirectory() as folder, FakeLibrary():
            try:
                os.chdir(folder)
                expected = os.path.join(os.getcwd(), "a.mtr")
                self.assertEqual(memtrace.snapshot("a.mtr"), expected)
            finally:
                os.chdir(before)

    def test_bad_names(self):
        with FakeLibrary() as library:
            for name in ("", "a\0b"):
                with self.assertRaises(ValueError):
                    memtrace.snapshot(name)
            with self.assertRaises(TypeError):
                memtrace.snapshot(3)
            self.assertEqual(library.paths, [])

    def test_failures_become_os_errors(self):
        with FakeLibrary(code=errno.EACCES, error=b"no right to write there"):
            with self.assertRaises(PermissionError) as caught:
                memtrace.snapshot("/x/a.mtr")
        self.assertEqual(caught.exception.filename, "/x/a.mtr")
        self.assertIn("no right to write there", str(caught.exception))
        with FakeLibrary(code=errno.EBUSY):
            with self.assertRaisesRegex(OSError, os.strerror(errno.EBUSY)):
                memtrace.reset_peak()

    def test_threads(self):
        with FakeLibrary() as library:
            threads = [threading.Thread(target=memtrace.reset_peak) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(library.resets, 8)


class Tool(unittest.TestCase):
    """`python -m memtrace` becomes the tool."""

    def run_module(self, *arguments, root=None, **environment):
        root = root or os.path.dirname(os.path.dirname(os.path.abspath(memtrace.__file__)))
        return subprocess.run(
            [sys.executable, "-m", "memtrace"] + list(arguments),
            env=dict(os.environ, PYTHONPATH=root, **environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )

    def make_tool(self, folder, text):
        path = os.path.join(folder, "memtrace")
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, stat.S_IRWXU)
        return path

    def test_arguments_and_status_pass_through(self):
        with tempfile.TemporaryDirectory() as folder:
            tool = self.make_tool(folder, '#!/bin/sh\nprintf "<%s>" "$@"\nexit 7\n')
            done = self.run_module("run", "--", "a b", MEMTRACE_TOOL=tool)
        self.assertEqual((done.returncode, done.stdout), (7, "<run><--><a b>"))

    def test_no_tool(self):
        package = os.path.dirname(os.path.abspath(memtrace.__file__))
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(package, os.path.join(folder, "a", "b", "c", "memtrace"))
            done = self.run_module(
                root=os.path.join(folder, "a", "b", "c"), MEMTRACE_TOOL="", PATH=folder
            )
        self.assertEqual(done.returncode, 127)
        self.assertIn("cannot find the `memtrace` tool", done.stderr)

    def test_a_tool_that_cannot_be_executed(self):
        with tempfile.TemporaryDirectory() as folder:
            tool = self.make_tool(folder, "#!/nonexistent/interpreter\n")
            done = self.run_module(MEMTRACE_TOOL=tool)
        self.assertEqual(done.returncode, 126)
        self.assertIn("cannot run " + tool, done.stderr)


if __name__ == "__main__":
    unittest.main()
