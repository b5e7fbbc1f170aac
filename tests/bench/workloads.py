"""The programs that are measured; one description each."""

import dataclasses
import os

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "workloads")


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    file: str
    what: str
    # Part of the geometric means: the programs that stand for what users run.
    in_mean: bool = False
    threaded: bool = False

    @property
    def path(self):
        return os.path.join(FOLDER, self.file)

    @property
    def is_python(self):
        return self.file.endswith(".py")


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
