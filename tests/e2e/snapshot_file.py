"""Reads a snapshot file as anybody could: with protoc's own classes, made from the published schema.

This does without memtrace's reader and its grouping, so a mistake there cannot hide one here.
"""

import collections
import gzip
import importlib
import sys

import harness
import pytest

MALLOC, PYTHON_MEM, PYTHON_OBJ = 1, 2, 3  # Columns.domain
PYTHON_FRAME = 1  # Columns.location_kind
# In the list of sample types, always.
ALLOC_COUNT = 0
LIVE_COUNT, LIVE_BYTES = 2, 3


def _schema():
    """profile_pb2, made once a build tree."""
    folder = harness.BUILD_DIR / "tests" / "e2e" / "schema"
    proto = harness.SOURCE_DIR / "tools" / "proto" / "profile.proto"
    made = folder / "profile_pb2.py"
    if not made.exists() or made.stat().st_mtime < proto.stat().st_mtime:
        folder.mkdir(parents=True, exist_ok=True)
        harness.run(["protoc", f"--proto_path={proto.parent}", f"--python_out={folder}", proto])
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        return importlib.import_module("profile_pb2")
    except ModuleNotFoundError as error:
        pytest.fail(f"{error}: apt install python3-protobuf, or pip install protobuf==3.20.*")


class SnapshotFile:
    """Live blocks by stack of Python frames."""

    def __init__(self, path):
        self.profile = _schema().Profile()
        with gzip.open(path) as file:
            self.profile.ParseFromString(file.read())
        extension = next(v for f, v in self.profile.ListFields() if f.number == 10000)
        self.columns = extension.columns
        self.lost = sum(loss.events for process in extension.process for loss in process.loss)
        self.frames = self._frames()

    def _frames(self):
        """{location id: (file as the interpreter recorded it, line)} of Python's locations."""
        texts = self.profile.string_table
        files = {
            f.id: texts[f.filename].decode(errors="surrogateescape") for f in self.profile.function
        }
        return {
            location.id: (files[location.line[0].function_id], location.line[0].line)
            for location, kind in zip(self.profile.location, self.columns.location_kind)
            if kind == PYTHON_FRAME
        }

    def native_stacks(self):
        """(blocks ever, names of functions, innermost first) of each stack, inlined calls among
        them; a function without a name has its address."""
        texts, lines = self.profile.string_table, self._names()
        for sample, has_caller in zip(self.profile.sample, self.columns.has_caller):
            # The immediate caller is there twice where the stack is known, too.
            ids = list(sample.location_id)
            if has_caller and ids[:1] == ids[1:2]:
                ids = ids[1:]
            yield sample.value[ALLOC_COUNT], [texts[i].decode() for at in ids for i in lines[at]]

    def _names(self):
        names = {f.id: f.name for f in self.profile.function}
        return {
            location.id: [names[line.function_id] for line in location.line]
            for location in self.profile.location
        }

    def stacks(self, domains):
        """{((file, line), ... innermost first): (live blocks, live bytes)} of these domains."""
        sums = collections.defaultdict(lambda: (0, 0))
        for sample, domain in zip(self.profile.sample, self.columns.domain):
            if domain not in domains:
                continue
            count, size = sample.value[LIVE_COUNT], sample.value[LIVE_BYTES]
            if count == 0 and size == 0:
                continue
            stack = tuple(self.frames[i] for i in sample.location_id if i in self.frames)
            before = sums[stack]
            sums[stack] = (before[0] + count, before[1] + size)
        return dict(sums)
