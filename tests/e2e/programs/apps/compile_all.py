"""compileall over a part of the standard library, and its code objects, loaded and kept."""

import compileall
import glob
import importlib.util
import os
import shutil
import tempfile

PARTS = ["collections", "concurrent", "http", "json", "logging", "xml"]
library = os.path.dirname(os.__file__)
folder = tempfile.mkdtemp(prefix="memtrace-compile-")
try:
    for part in PARTS:
        ignore = shutil.ignore_patterns("__pycache__", "test", "tests")
        shutil.copytree(os.path.join(library, part), os.path.join(folder, part), ignore=ignore)
    assert compileall.compile_dir(folder, quiet=1)
    loaded = []
    for path in sorted(glob.glob(os.path.join(folder, "**", "*.pyc"), recursive=True)):
        spec = importlib.util.spec_from_file_location("kept", path)
        loaded.append(spec.loader.get_code("kept"))
finally:
    shutil.rmtree(folder)
kept = []
for path in sorted(glob.glob(os.path.join(library, "[b-c]*.py"))):
    with open(path, encoding="utf-8") as source:
        kept.append(compile(source.read(), path, "exec", dont_inherit=True))
assert len(loaded) > 25 and len(kept) > 10
