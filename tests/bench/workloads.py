"""The programs that are measured; one description each."""

import dataclasses
import os

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "workloads")

PROGRAMS, PYPERFORMANCE, THREADS = "programs", "pyperformance", "threads"


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    file: str
    what: str
    # Part of the geometric means: the programs that stand for what users run.
    in_mean: bool = False
    threaded: bool = False
    args: tuple = ()
    part: str = PROGRAMS

    @property
    def path(self):
        return os.path.join(FOLDER, self.file)

    @property
    def is_python(self):
        return self.file.endswith(".py")

    @property
    def binary(self):
        """Name of the compiled program."""
        return os.path.splitext(os.path.basename(self.file))[0]


WORKLOADS = (
    Workload("objs", "objs.py", "objects, tuples, strings; pure Python", True),
    Workload("jsonw", "jsonw.py", "json: C encoder and decoder", True),
    Workload("sqlg", "sqlg.py", "sqlglot: deep recursion in Python", True),
    Workload("orders", "orders.py", "pandas: 100,000 orders", True),
    Workload("forest", "forest.py", "scikit-learn, 2 threads", True, True),
    Workload("thr", "thr.py", "4 Python threads", True, True),
    Workload("empty", "empty.py", "an empty Python program"),
    Workload("native", "native.cc", "C++: trees, map, strings"),
    Workload("micro", "micro.c", "C: malloc and free only"),
)

# 4 native threads against one: does tracing keep them from running side by side?
MANY = 4
THREAD_WORKLOADS = (
    Workload("threads-1", "threads.c", "one thread", args=("1",), threaded=True, part=THREADS),
    Workload(
        f"threads-{MANY}",
        "threads.c",
        f"{MANY} threads",
        args=(str(MANY),),
        threaded=True,
        part=THREADS,
    ),
)

# Benchmarks of the package pyperformance that need no further package, with as many rounds as take
# about a second.
_ROUNDS = {
    "chaos": 12,
    "deltablue": 400,
    "go": 6,
    "hexiom": 200,
    "json_dumps": 100,
    "pyflate": 2,
    "raytrace": 3,
    "regex_compile": 8,
    "richards": 25,
    "xml_etree": 2,
}


def pyperformance_workloads(packages):
    """`packages`: the folder of installed packages. Each benchmark runs in one process, with a fixed
    number of rounds: the harness would start many, and choose the rounds by the clock."""
    folder = os.path.join(packages, "pyperformance", "data-files", "benchmarks")
    return tuple(
        Workload(
            name,
            os.path.join(folder, "bm_" + name, "run_benchmark.py"),
            f"{rounds} rounds",
            in_mean=True,
            args=("--worker", "-l", str(rounds), "-w", "0", "-n", "1"),
            part=PYPERFORMANCE,
        )
        for name, rounds in _ROUNDS.items()
    )
