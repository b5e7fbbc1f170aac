"""heaptrack as a witness: its record of each call, added up here, against memtrace's totals.

Both preload a library in front of malloc. They agree to the block and the byte but for what is
listed, each of it for a reason and with its exact size:

- **A pool of 72,704 bytes**, which libstdc++ takes when it is loaded and which heaptrack frees at
  the end. heaptrack's library needs libstdc++, so a program in C has that block under heaptrack
  alone; a program in C++ has it under both, freed under heaptrack alone.
- **realloc to zero bytes** frees the block. memtrace says so; heaptrack passes it over, since
  nothing is returned, and the block stays alive for it.
- **Temporary blocks** are counted here from heaptrack's record by memtrace's definition: freed before
  the next allocation. heaptrack's own counts a block only if nothing else is freed meanwhile; and
  those that realloc gives back, so only a program without realloc is compared.
"""

import shutil
import subprocess

import harness
import pytest

POOL = 72_704
HEAPTRACK = shutil.which("heaptrack")
pytestmark = pytest.mark.skipif(HEAPTRACK is None, reason="heaptrack: apt install heaptrack")

EDGES = """
#include <stdlib.h>
int main(void) {
  void* kept[10];
  for (int i = 0; i < 10; i++) kept[i] = malloc(1000);
  for (int i = 0; i < 5; i++) free(kept[i]);
  void* moved = realloc(calloc(10, 50), 3000);
  moved = realloc(moved, 100);
  free(realloc(NULL, 77));
  void* aligned = NULL;
  if (posix_memalign(&aligned, 64, 640) != 0) return 1;
  free(aligned);
  aligned = aligned_alloc(64, 128);
  return realloc(moved, 0) != NULL || aligned == NULL;
}
"""
EDGES_ZEROED = 100  # bytes of the block that is resized to nothing
SQL = """
CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
  INSERT INTO t SELECT i, 'name ' || (i * 7919 % 100003), i * 0.5 FROM n;
CREATE INDEX by_name ON t(b);
SELECT count(*), sum(c), min(b), max(b) FROM t;
"""


def record(path):
    """heaptrack's raw record: `+ BYTES TRACE ADDRESS` and `- ADDRESS`, in hexadecimal."""
    unpack = ["zstd", "-dc"] if path.suffix == ".zst" else ["gzip", "-dc"]
    done = subprocess.run([*unpack, path], stdout=subprocess.PIPE, timeout=harness.TIME_LIMIT)
    assert done.returncode == 0
    for line in done.stdout.decode().splitlines():
        if line.startswith("+ "):
            _, size, _, address = line.split()
            yield address, int(size, 16)
        elif line.startswith("- "):
            yield line.split()[1], None


def figures(events):
    """The totals of a record, under memtrace's names."""
    live, now, last = {}, 0, None
    sums = dict.fromkeys(["alloc_blocks", "alloc_bytes", "peak_bytes", "temporary_blocks"], 0)
    for address, size in events:
        if size is None:
            now -= live.pop(address, 0)
            if address == last:
                sums["temporary_blocks"] += 1
                last = None
            continue
        live[address], last = size, address
        now += size
        sums["alloc_blocks"] += 1
        sums["alloc_bytes"] += size
        sums["peak_bytes"] = max(sums["peak_bytes"], now)
    return {**sums, "now_blocks": len(live), "now_bytes": now}


def heaptracked(argv, folder):
    harness.run([HEAPTRACK, "--raw", "-o", folder / "record", *argv], cwd=folder)
    (path,) = folder.glob("record*")
    return figures(record(path))


def traced(session, argv, folder):
    harness.run(argv, env=session.env(), cwd=folder)
    (region,) = session.regions()
    totals = session.report(region)["totals"]
    assert totals["lost"] == 0
    return totals


def agree(theirs, ours, **differences):
    """heaptrack's figures less what it alone has are memtrace's."""
    expected = {key: value - differences.get(key, 0) for key, value in theirs.items()}
    assert {key: ours[key] for key in expected} == expected


def compiled(folder, name, text, compiler):
    source = folder / name
    source.write_text(text)
    harness.run([compiler, "-O2", "-fno-builtin", source, "-o", folder / "program"])
    return folder / "program"


def test_every_function_of_the_family(session, tmp_path):
    program = compiled(tmp_path, "edges.c", EDGES, "cc")
    theirs, ours = heaptracked([program], tmp_path), traced(session, [program], tmp_path)
    assert ours["alloc_blocks"] == 16
    theirs.pop("temporary_blocks")
    agree(
        theirs,
        ours,
        alloc_blocks=1,
        alloc_bytes=POOL,
        peak_bytes=POOL,
        now_blocks=1,
        now_bytes=EDGES_ZEROED,
    )


def test_cpp(session, tmp_path):
    """tests/bench/workloads/native.cc, a hundredth of it."""
    text = (harness.SOURCE_DIR / "tests/bench/workloads/native.cc").read_text()
    for large, small in (("k < 20;", "k < 1;"), ("10000000", "20000"), ("300000", "20000")):
        assert large in text
        text = text.replace(large, small)
    program = compiled(tmp_path, "native.cc", text, "c++")
    theirs, ours = heaptracked([program], tmp_path), traced(session, [program], tmp_path)
    assert ours["alloc_blocks"] > 200_000 and ours["temporary_blocks"] > 20_000
    agree(theirs, ours, now_blocks=-1, now_bytes=-POOL)


def test_sqlite(session, tmp_path):
    sqlite = shutil.which("sqlite3")
    if sqlite is None:
        pytest.skip("sqlite3: apt install sqlite3")
    (tmp_path / "work.sql").write_text(SQL)
    argv = [sqlite, "-batch", ":memory:", ".read work.sql"]
    theirs, ours = heaptracked(argv, tmp_path), traced(session, argv, tmp_path)
    assert ours["alloc_blocks"] > 100_000
    theirs.pop("temporary_blocks")
    agree(theirs, ours, alloc_blocks=1, alloc_bytes=POOL, peak_bytes=POOL)
