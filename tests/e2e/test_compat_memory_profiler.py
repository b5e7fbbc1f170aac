"""The drop-in for memory_profiler: layout byte for byte as memory_profiler's own, figures to the byte.

Expected bytes come from the objects' known sizes: bytes(n) is a block of n + 33, bytearray(n) blocks of
56 and n + 1. What the programs check of the raw figures they check themselves and print as JSON.
"""

import json
import os
import re
import textwrap

import harness
import pytest
import venvs

PACKAGE_ROOT = str(harness.BUILD_DIR / "python")
STAND_IN = os.path.join(PACKAGE_ROOT, "memtrace", "_instead", "memory_profiler")
MIB = 1 << 20


def run_source(session, python, source, *arguments, module=None, path=PACKAGE_ROOT, **options):
    """Runs a program of this source, or a module with it as argument; returns what was done."""
    program = session.work_dir / "main.py"
    program.write_text(textwrap.dedent(source))
    env = session.env(PYTHONPATH=path)
    if not options.pop("preload", True):
        del env["LD_PRELOAD"]
    command = [python, *(["-m", module] if module else []), program.name, *arguments]
    return harness.run(command, env=env, cwd=session.work_dir, **options)


RAW = """
import json
from memtrace.compat.memory_profiler import LineProfiler

def figures(function, *arguments):
    "Line within the function: (net bytes, hits), of a first call."
    prof = LineProfiler()
    wrapped = prof(function)
    result = wrapped(*arguments)
    first = function.__code__.co_firstlineno
    (table,) = prof.tables
    return result, {line - first: (r[1], r[0]) for line, r in table.merged().items() if line}
"""

# Each function says in comments what its lines leave; checks are by line within the function.
KNOWN = {
    "single allocations": (
        """
def f():
    a = bytes(1000000)
    b = bytearray(2000000)
    del a
    c = bytes(3000000)
    return b
""",
        "f",
        {1: 1000033, 2: 2000057, 3: -1000033, 4: 3000033, 5: 0},
    ),
    "a loop that keeps its last object": (
        """
def f():
    x = None
    for i in range(4):
        x = bytearray(1 << 20)
    return x
""",
        "f",
        {1: 0, 3: (1 << 20) + 57},
    ),
    "memory that is freed and taken again": (
        """
def f():
    a = bytearray(3000000)
    del a
    b = bytearray(3000000)
    c = b[:]
    return c
""",
        "f",
        {1: 3000057, 2: -3000057, 3: 3000057, 4: 3000057},
    ),
    "a function that is called": (
        """
def f():
    inner(1)  # what the interpreter keeps of a function's first call
    kept = inner(500000)
    inner(700000)
    return kept
def inner(n):
    thrown = bytes(100000)
    return bytes(n)
""",
        "f",
        {2: 500033, 3: 0, 4: 0},
    ),
    "names that the interpreter's cache of attributes alone keeps": (
        """
for n in range(50000):  # more than there are places in it
    hasattr(n, "name%d" % n)
def f():
    a = bytes(1000000)  # looks __bytes__ up
    b = bytes(1000)
    return a
""",
        "f",
        {1: 1000033, 2: 1033, 3: 0},
    ),
    "names that only the cache keeps, before each line": (
        """
n = lambda: None
def f():
    a = [0] * 1000
    for i in range(40):
        c = i; [hasattr(n, "name%d" % (j + i * 50)) for j in range(50)]
        b = a
        d = b
    return a
""",
        "f",
        {4: 0, 5: 0, 6: 0},
    ),
    "names that come and go": (
        """
def f():
    for i in range(100):
        a = bytes(1000)
        b = a
        del a
        c = b
        del b
    d = bytes(1000)
    return d
""",
        "f",
        {2: 100 * 1033, 3: 0, 4: 0, 5: -99 * 1033, 6: 0, 7: 1033, 8: 0},
    ),
    "an exception that is caught": (
        """
def f():
    try:
        fails()
    except KeyError:
        pass
    a = bytes(4000)
    return a
def fails():
    a = bytes(1000000)
    raise KeyError
""",
        "f",
        {5: 4033, 6: 0},
    ),
}


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("at", [0, 300])
def test_known_sizes(session, python, name, at):
    """`at`: lines above 256 are integers that the interpreter allocates for each event."""
    source, function, expected = KNOWN[name]
    program = RAW + "\n" * at + source + f"\nprint(json.dumps(figures({function})[1]))\n"
    done = run_source(session, python, program)
    got = {int(line): net for line, (net, _) in json.loads(done.stdout).items()}
    assert {line: got[line] for line in expected} == expected
    assert done.stderr == ""


ONE_LINE = """
from {} import profile
@profile
def loops():
    a = [n for n in range(10)]
    for i in range(3): pass
    s = 5
    while s: s -= 1
    for i in range(4):
        b = i
    return a
loops()
loops()
"""


def test_loops_on_one_line(session, python):
    """Each turn counts, as for a trace function; a function has to be met only once to know."""
    tables = run_source(session, python, ONE_LINE.format("memtrace.compat.memory_profiler")).stdout
    hits = re.findall(r"MiB +(\d+) {5}", tables)
    assert len(hits) == 14 and hits[:7] == hits[7:]
    # Up to 3.11 a comprehension is a function: its beginning, its rounds, its end, and the line.
    made = "11" if python.version >= (3, 12) else "13"
    rounds = "5" if python.version >= (3, 10) else "6"  # before, the last test is an event, too
    assert hits[:7] == [made, "4", "1", rounds, "5", "4", "1"]


KINDS = (
    RAW
    + """
import asyncio, threading
from memtrace.compat.memory_profiler import profile, LineProfiler
import io

def told(prof):
    (table,) = prof.tables
    first = table.code.co_firstlineno
    return {line - first: r[:2] for line, r in table.merged().items() if line}

prof = LineProfiler()
@prof
def generator(n):
    kept = bytes(n)
    yield 1
    more = bytes(2 * n)
    yield 2
noise = [bytes(9999999) for _ in generator(100000)]
answer = {"generator": told(prof)}

prof = LineProfiler()
@prof
async def coroutine(n):
    kept = bytes(n)
    await asyncio.sleep(0.01)
    more = bytes(2 * n)
    return len(more)
async def other():
    for _ in range(20):
        noise.append(bytes(77777))
        await asyncio.sleep(0.001)
async def both():
    return await asyncio.gather(coroutine(100000), other())
asyncio.run(both())
answer["coroutine"] = told(prof)

prof = LineProfiler()
@prof
async def agen(n):
    kept = bytes(n)
    yield 1
    more = bytes(2 * n)
    yield 2
async def consume():
    return [noise.append(bytes(5555)) async for _ in agen(100000)]
asyncio.run(consume())
answer["async generator"] = told(prof)

prof = LineProfiler()
kept = []
@prof
def recursive(n):
    kept.append(bytes(1000000))
    if n:
        recursive(n - 1)
    return None
recursive(3)
answer["recursion"] = told(prof)

prof = LineProfiler()
def work(n):
    kept = bytes(n)
    other = bytes(n)
    del other
    return None
work = prof(work)
threads = [threading.Thread(target=work, args=(1000000 * k,)) for k in (1, 2, 3, 4)]
[t.start() for t in threads]; [t.join() for t in threads]
answer["threads"] = told(prof)

inner_table, outer_table = io.StringIO(), io.StringIO()
@profile(stream=inner_table, precision=9)
def inner():
    return bytes(1000000)
@profile(stream=outer_table, precision=9)
def outer():
    inner()  # what the interpreter keeps of first calls
    a = inner()
    return a
outer()
answer["nested"] = outer_table.getvalue()
print(json.dumps(answer))
"""
)


def test_every_kind_of_function(session, python):
    told = json.loads(run_source(session, python, KINDS).stdout)
    for kind in ("generator", "coroutine", "async generator"):
        got = {int(line): (hits, net) for line, (hits, net) in told[kind].items()}
        # The decorator is the function's first line.
        assert got[2] == (1, 100033), kind
        assert got[4] == (1, 200033), kind
        assert got[3] == (1, 0) or kind != "generator"
    recursion = {int(k): v for k, v in told["recursion"].items()}
    assert recursion[2][0] == 4 and 4 * 1000033 <= recursion[2][1] <= 4 * 1000033 + 128
    assert recursion[4][0] == 3
    # Once, not once a level; with the list, and the frames that the interpreter keeps.
    assert 3 * 1000033 <= recursion[4][1] <= 3 * 1000033 + 4096
    threads = {int(k): v for k, v in told["threads"].items()}
    assert threads[1] == [4, 10 * 1000000 + 4 * 33]
    assert threads[2] == threads[1] and threads[3] == [4, -threads[1][1]]
    (shown,) = re.findall(r"MiB +([\d.]+) MiB +1       a = inner", told["nested"])
    assert round(float(shown) * MIB) == 1000033


LAYOUT = """
from memory_profiler import profile, LineProfiler, show_results

@profile
def plain(n):
    x = [1] * n
    for i in range(3):
        y = 1
    if n == 5:
        z = 3

    def nested():
        return 4
    nested()
    return "caf\\u00e9"

@profile(precision=4)
def recursive(n):
    if n:
        return recursive(n - 1) + 1
    return 0

class Class:
    @profile(precision=0)
    def method(self): return 3

    @staticmethod
    @profile
    def static():
        return 1

plain(10)
recursive(2)
Class().method()
Class.static()
prof = LineProfiler()
def never(): return 1
def once(): return 2
prof(never)
prof(once)()
show_results(prof, precision=2)"""


def without_figures(text):
    return re.sub(r" *-?\d+(\.\d+)? MiB", lambda m: "#" * len(m.group()), text)


@pytest.mark.parametrize("how", ["import", "stand-in", "without the library"])
def test_layout_is_memory_profilers(session, pythons, how):
    python = pythons[-1]
    theirs = run_source(
        session, venvs.python_with(python, ["memory_profiler"]), LAYOUT, preload=False, path=""
    )
    source, path = LAYOUT, STAND_IN
    if how == "import":
        source, path = (
            LAYOUT.replace("from memory_p", "from memtrace.compat.memory_p"),
            PACKAGE_ROOT,
        )
    ours = run_source(session, python, source, path=path, preload=how != "without the library")
    # Widths of figures are the same as long as they have the same number of digits before the point.
    pad = re.compile("#+")
    assert pad.sub("#", without_figures(ours.stdout)) == pad.sub(
        "#", without_figures(theirs.stdout)
    )
    assert [len(line) for line in ours.stdout.splitlines()] == [
        len(line) for line in theirs.stdout.splitlines()
    ]
    assert ours.stdout.endswith("return 2\n\n\n")
    said = ours.stderr.splitlines()
    assert len(said) == (how == "without the library"), ours.stderr


ARTICLE = """
# main.py

from memory_profiler import profile, memory_usage

mem_logs = open('mem_profile.log','a')

@profile(stream=mem_logs)
def process_strs(reps=10**6):
\tstr1 = 'python'*reps
\tstr2 = 'programmer'*reps
\tstr3 = str1 + str2
\tdel str2
\treturn str3

process_strs(reps=10**7)
mem_logs.close()

def process(reps=10**6):
\tstr1 = 'python'*reps
\tstr2 = 'programmer'*reps
\tstr3 = str1 + str2
\tdel str2
\treturn str3

for interval in (0.1, 0.01):
    mem_used = memory_usage((process,(),{'reps':10**7}),interval=interval)
    print(mem_used)
"""


def test_article_introduction(session, python):
    done = run_source(session, python, ARTICLE, path=STAND_IN)
    log = (session.work_dir / "mem_profile.log").read_text()
    increments = [float(m) for m in re.findall(r"MiB +(-?[\d.]+) MiB +1 ", log)]
    sizes = [60000049, 100000049, 160000049, -100000049, 0]
    assert increments[1:] == [round(size / MIB, 1) for size in sizes], log
    for line in done.stdout.splitlines():
        samples = json.loads(line)
        # str1, str2 and str3 together, and not a byte of it is missed however short it was.
        # What the interpreter keeps of first calls, or lets go meanwhile, is less than 8 KiB.
        assert abs((max(samples) - samples[0]) * MIB - 320000147) < 8192
        assert abs((samples[-1] - samples[0]) * MIB - 160000049) < 8192  # what it has returned


MODULE = """
import sys
@profile
def my_func():
    a = [1] * (1000 * 1000)
    b = [2] * (2000 * 1000)
    del a
    return b
@profile
def fails():
    raise SystemExit(7)
if __name__ == '__main__':
    result = my_func()
    print(sys.argv[1:])
    fails()
"""


@pytest.mark.parametrize("how", ["package", "stand-in"])
def test_command_line(session, python, how):
    module, path = "memtrace.compat.memory_profiler", PACKAGE_ROOT
    env = session.env(PYTHONPATH=path)
    if how == "stand-in":
        module, env = "memory_profiler", session.env(PYTHONPATH=STAND_IN)
    (session.work_dir / "main.py").write_text(MODULE)
    argv = [python, "-m", module, "--precision", "6", "main.py", "--its", "own"]
    done = harness.run(argv, env=env, cwd=session.work_dir, check=False)
    assert done.returncode == 7, done.stderr
    assert done.stdout.startswith("['--its', 'own']\nFilename: main.py\n\nLine #")
    shown = dict(
        (source.strip(), float(increment))
        for increment, source in re.findall(r"MiB +(-?[\d.]+) MiB +1   (.*)", done.stdout)
    )
    # A list's items; its object, 56 or 72 bytes, may come from a free list.
    items = {"a = [1] * (1000 * 1000)": 8000000, "b = [2] * (2000 * 1000)": 16000000}
    for line, size in items.items():
        assert any(shown[line] == round((size + o) / MIB, 6) for o in (0, 56, 72)), (line, shown)
    assert any(shown["del a"] == round(-(8000000 + o) / MIB, 6) for o in (0, 56, 72))
    assert "raise SystemExit(7)" in shown


def test_other_tools_keep_their_traces(session, python):
    """A trace function of sys.settrace gets all of its events, and is there afterwards."""
    source = RAW + textwrap.dedent("""
        import sys
        def f():
            a = bytes(1000000)
            return a
        seen = []
        def tracer(frame, event, arg):
            if frame.f_code is f.__code__:
                seen.append((event, frame.f_lineno - f.__code__.co_firstlineno))
            return tracer
        sys.settrace(tracer)
        result, lines = figures(f)
        kept = sys.gettrace() is tracer
        sys.settrace(None)
        print(json.dumps([kept, seen, lines]))
    """)
    kept, seen, lines = json.loads(run_source(session, python, source).stdout)
    assert kept
    assert seen == [["call", 0], ["line", 1], ["line", 2], ["return", 2]]
    assert lines["1"][1] == 1 and lines["1"][0] - 1000033 in range(0, 512)
