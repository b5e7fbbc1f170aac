"""Watches all functions of a program's own files, from the moment they are compiled or imported.

Own are files outside the standard library, site-packages and dist-packages, and this package. Code of
modules is seen where the import system hands it out (importlib's SourceLoader.get_code), the script's
where it is compiled. Figures of all threads.
"""

import builtins
import importlib.machinery
import os
import runpy
import sys
import sysconfig
import threading
import types

from .profiler import Profiler

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def _foreign_folders():
    paths = sysconfig.get_paths()
    folders = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return tuple(os.path.realpath(folder) + os.sep for folder in folders) + (_HERE + os.sep,)


class OwnCode:
    """A profiler of the program's own functions, or of the one that is named."""

    def __init__(self, engine, function=None):
        self.engine = engine
        self.profiler = Profiler(engine)
        self._function = function
        self._foreign = _foreign_folders()

    def start(self):
        """From now on, in all threads."""
        self._get_code = importlib.machinery.SourceFileLoader.get_code
        get_code, add = self._get_code, self.add_module

        def watching(loader, fullname):
            code = get_code(loader, fullname)
            add(code)
            return code

        importlib.machinery.SourceFileLoader.get_code = watching
        self.profiler.hold()
        self.engine.recorder.everywhere.append(self.profiler)
        self.engine.source.enter_thread()
        if sys.version_info < (3, 12):
            threading.settrace(self._first_event)

    def _first_event(self, frame, event, arg):
        """A new thread's trace function: puts the real one in its place."""
        sys.settrace(None)
        self.engine.source.enter_thread()

    def stop(self):
        if sys.version_info < (3, 12):
            threading.settrace(None)
        self.engine.source.leave_thread()
        self.engine.recorder.everywhere.remove(self.profiler)
        self.profiler.release()
        importlib.machinery.SourceFileLoader.get_code = self._get_code

    def is_own(self, filename):
        """True for a file of the program's own."""
        if filename.startswith("<"):
            return False
        path = os.path.realpath(filename)
        if "/site-packages/" in path or "/dist-packages/" in path:
            return False
        return not path.startswith(self._foreign)

    def add_module(self, code):
        """Watches the functions of a module's code, classes' methods among them."""
        if code is None or not self.is_own(code.co_filename):
            return
        pause, resume = self.engine.meters.pause, self.engine.meters.resume
        pause()
        self._add_functions(code, "")
        resume()

    def _add_functions(self, code, prefix):
        for constant in code.co_consts:
            if not isinstance(constant, types.CodeType):
                continue
            name = prefix + constant.co_name
            if not constant.co_flags & 0x2:  # a class body: no function's variables
                self._add_functions(constant, name + ".")
            elif constant.co_name.startswith("<"):
                continue  # a lambda or comprehension at the module's level
            elif self._function is None or self._function == name:
                self.profiler.add(constant)
            elif self._function.startswith(name + "."):
                self._add_functions(constant, name + ".")

    def run_script(self, path):
        with open(path, "rb") as file:
            source = file.read()
        code = compile(source, path, "exec")
        self.add_module(code)
        module = types.ModuleType("__main__")
        module.__file__ = path
        module.__builtins__ = builtins
        before = sys.modules["__main__"]
        sys.modules["__main__"] = module
        self.kept = before  # its variables must outlive the program
        exec(code, module.__dict__)

    def run_module(self, name):
        runpy.run_module(name, run_name="__main__", alter_sys=True)
