"""scripts/bench --micro: runs the microbenchmarks (micro/micro.cc) and prints a Markdown table.

Medians of several repetitions; the spread beside them says whether the machine was quiet.
"""

import argparse
import json
import subprocess
import sys

from results import markdown_table


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench --micro", description=__doc__)
    parser.add_argument("--program", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--filter", default=".", help="regular expression of names")
    parser.add_argument("-n", "--runs", type=int, default=7, help="repetitions of each (7)")
    options = parser.parse_args()
    argv = [
        options.program,
        "--benchmark_format=json",
        f"--benchmark_filter={options.filter}",
        f"--benchmark_repetitions={options.runs}",
        "--benchmark_min_time=0.05",
        "--benchmark_enable_random_interleaving=true",
    ]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        print("scripts/bench: the microbenchmarks failed", file=sys.stderr)
        return 1
    print(table(json.loads(done.stdout)["benchmarks"]))
    return 0


def table(benchmarks):
    times = {}
    # The order of the source: they ran in a random one.
    place = ("family_index", "per_family_instance_index")
    for one in sorted(benchmarks, key=lambda one: [one[key] for key in place]):
        if one["run_type"] == "iteration":
            times.setdefault(one["run_name"], []).append(one["cpu_time"])
    rows = [["stage", "ns", "fastest", "slowest"]]
    for name, values in times.items():
        values.sort()
        figures = (values[len(values) // 2], values[0], values[-1])
        rows.append([name.split("/iterations")[0], *(f"{value:.1f}" for value in figures)])
    return markdown_table(rows)


if __name__ == "__main__":
    sys.exit(main())
