"""Writes the samples in README.md anew, or checks that they still have the shape of the output.

A sample stands between `<!-- sample: NAME -->` and `<!-- end -->`. Most are a command's output, run
in the demo's folder by scripts/readme; the one of the benchmark is taken from its results. Figures,
versions and the lines of other people's packages differ from machine to machine, so --check compares
the shape only: the same kinds of line in the same order.
"""

import os
import re
import subprocess
import sys

SAMPLES = {
    "run": "memtrace run -f -o orders.mtr python main.py",
    "compare": "memtrace compare after_load.mtr after_process.mtr --top 5",
    "compare-own": "memtrace compare after_load.mtr after_process.mtr --own --top 3",
    "report-peak": "memtrace report orders.mtr --at peak --own --top 3",
}
BENCH = "bench"
_BLOCK = re.compile(r"(<!-- sample: (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def run_sample(command, folder):
    """The command and what it prints, streams together, without this machine's own paths."""
    env = dict(os.environ, COLUMNS="100", NO_COLOR="1", MEMTRACE_QUIET="1")
    done = subprocess.run(
        command.split(),
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        sys.exit(f"scripts/readme: `{command}` failed ({done.returncode}):\n{done.stdout}")
    prefix = "import sys; print(sys.base_prefix)"
    base = subprocess.check_output(["python", "-c", prefix], env=env, text=True).strip()
    text = done.stdout
    for path, shown in ((os.path.abspath(folder), ""), (os.getcwd(), ""), (base, "/usr/")):
        text = text.replace(path + "/", shown)
    return f"```\n$ {command}\n{text.rstrip()}\n```\n"


def bench_tables(results):
    """The targets and the two tables of ratios of the benchmark's results, with their headings."""
    parts = re.split(r"^## ", results, flags=re.MULTILINE)
    headings = ("Targets\n", "Time\n", "Peak memory of the process")
    wanted = [part.strip() for part in parts if part.startswith(headings)]
    notes = re.findall(
        r"^(?:Machine: .*?\.(?=\s)|\*\*The machine was busy.*)", results, re.MULTILINE
    )
    tables = ["**" + part.replace("\n", "**\n", 1) for part in wanted]
    return "\n\n".join([*tables, *notes]).strip() + "\n"


def shape(sample):
    """The kinds of line of a sample: numbers, units and places replaced, equal neighbours once. What
    resident memory is made of comes in the order of size, and not every part is always there."""
    kinds = []
    in_ledger = False
    for line in sample.splitlines():
        in_ledger = line.startswith("resident memory") or (in_ledger and line.startswith(" "))
        if in_ledger:
            line = "LEDGER"
        line = re.sub(r"(<frozen [^>]*>|\S+):\d+\b.*", "PLACE", line)
        line = re.sub(r"[+-]?\d[\d,.]*", "N", line)
        line = re.sub(r"\b([KMGT]?i?B|h|min|s|ms)\b", "U", line)
        line = re.sub(r"(memtrace-\S+|/\S+)", "PATH", line)
        line = re.sub(r"[\s─-]+", " ", line).strip()
        if not kinds or kinds[-1] != line:
            kinds.append(line)
    return kinds


def fresh_samples(folder, results_path):
    samples = {name: run_sample(command, folder) for name, command in SAMPLES.items()}
    if os.path.exists(results_path):
        with open(results_path) as file:
            samples[BENCH] = bench_tables(file.read())
    return samples


def stale(text, samples):
    """Names of the samples in the README whose shape is not that of today's output."""
    found = {match.group(2): match.group(3) for match in _BLOCK.finditer(text)}
    missing = sorted(set(samples) ^ set(found))
    # Before the first whole benchmark there are no results, and then the README must show none.
    if missing == [BENCH] and not found.get(BENCH, "-").strip():
        missing = []
    return missing + [
        name
        for name in sorted(set(samples) & set(found))
        if (
            found[name] != samples[name]
            if name == BENCH
            else shape(found[name]) != shape(samples[name])
        )
    ]


def main():
    check = sys.argv[1:2] == ["--check"]
    readme, folder, results = sys.argv[-3:]
    samples = fresh_samples(folder, results)
    with open(readme) as file:
        text = file.read()
    if check:
        names = stale(text, samples)
        for name in names:
            print(f"README.md: the sample {name!r} is stale; run scripts/readme", file=sys.stderr)
            print(samples.get(name, "(there is no such sample)"), file=sys.stderr)
        return 1 if names else 0
    new = _BLOCK.sub(lambda m: m.group(1) + samples.get(m.group(2), m.group(3)) + m.group(4), text)
    with open(readme + ".new", "w") as file:
        file.write(new)
    os.replace(readme + ".new", readme)
    return 0


if __name__ == "__main__":
    sys.exit(main())
