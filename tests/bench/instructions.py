"""The gate that no busy machine disturbs: instructions per event of the recorder.

Runs memtrace_instructions (micro/instructions.cc), divides each stage's instructions by its events,
and compares with the figures held in instructions.txt. A figure that has risen by more than 3%
fails. `scripts/bench --accept-instructions` writes the file anew.

The figures are those of one compiler and build type. With another one nothing is compared, and that
is said: exit status 77, which ctest shows as "Skipped".
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
HELD = os.path.join(HERE, "instructions.txt")
MAY_RISE = 0.03
SKIPPED = 77
ACCEPT = "scripts/bench --accept-instructions"
TIMEOUT_SECONDS = 240

HEADING = f"""\
# Instructions per event of the recorder, by stage (micro/instructions.cc).
# ctest's bench.instructions fails when one rises by more than {MAY_RISE:.0%}. Written by
# {ACCEPT}: commit it with the change that explains it.
"""


class CannotCount(Exception):
    """Nothing can be compared here, through no fault of the recorder's."""


class Broken(Exception):
    """The program, or what it recorded, is wrong."""


def count(program):
    """{stage: instructions per event}, in the program's order."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                [program],
                env=dict(environment(), MEMTRACE_DIR=make_private(folder)),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_SECONDS,
            )
        except OSError as error:
            raise Broken(f"{program} cannot be run: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise Broken(f"{program} did not end within {TIMEOUT_SECONDS} s") from None
    if done.returncode == SKIPPED:
        raise CannotCount(done.stderr.strip())
    if done.returncode:
        raise Broken(f"{program} failed ({done.returncode}):\n{done.stderr[-2000:]}")
    return per_event(done.stdout)


def environment():
    return {name: text for name, text in os.environ.items() if not name.startswith("MEMTRACE_")}


def make_private(folder):
    path = os.path.join(folder, "region")
    os.mkdir(path, 0o700)
    return path


def per_event(output):
    if not re.search(r"^lost 0$", output, re.MULTILINE):
        raise Broken("the recorder lost events of the tape:\n" + output[-500:])
    stages = re.findall(r"^stage (\S+) (\d+) (\d+)$", output, re.MULTILINE)
    if not stages:
        raise Broken("nothing was counted")
    return {name: int(steps) / int(events) for name, events, steps in stages}


def read_held():
    """(compiler, {stage: figure}) of instructions.txt."""
    try:
        with open(HELD) as file:
            lines = [line.strip() for line in file if line.strip() and not line.startswith("#")]
    except FileNotFoundError:
        raise Broken(f"instructions.txt is missing; {ACCEPT} writes it") from None
    compiler = lines.pop(0).partition("compiler: ")[2]
    return compiler, {name: float(figure) for name, figure in (line.split() for line in lines)}


def write_held(compiler, counts):
    with open(HELD + ".new", "w") as file:
        file.write(HEADING + f"compiler: {compiler}\n")
        file.writelines(f"{name:20}{figure:10.1f}\n" for name, figure in counts.items())
    os.replace(HELD + ".new", HELD)


def verdict(name, held, now):
    """What to say of a stage, "" when nothing is wrong with it."""
    if held is None:
        return "new: has no held figure"
    if now is None:
        return "gone: no longer counted"
    return f"RISEN by {now / held - 1:.1%}" if now > held * (1 + MAY_RISE) else ""


def table(held, counts):
    """(lines to print, whether any stage fails)."""
    lines, failed = [f"{'instructions per event':24}{'held':>10}{'now':>10}"], False
    for name in dict.fromkeys([*held, *counts]):
        before, now = held.get(name), counts.get(name)
        words = verdict(name, before, now)
        failed = failed or words != ""
        if before and now and now < before * (1 - MAY_RISE):
            words = f"fallen by {1 - now / before:.1%}: hold it with {ACCEPT}"
        figures = "".join(f"{x:10.1f}" if x is not None else f"{'-':>10}" for x in (before, now))
        lines.append(f"{name:24}{figures}  {words}".rstrip())
    return lines, failed


def check(program, compiler):
    held_compiler, held = read_held()
    if compiler != held_compiler:
        raise CannotCount(
            f"the held figures are of {held_compiler}, this build is of {compiler}; another "
            "compiler makes other instructions, so they say nothing here"
        )
    lines, failed = table(held, count(program))
    print("\n".join(lines))
    if failed:
        print(
            f"\nA figure has risen by more than {MAY_RISE:.0%}, or a stage has come or gone. If "
            f"that is meant and worth it, `{ACCEPT}` holds the new figures; commit that file "
            "with the reason."
        )
    return 1 if failed else 0


def accept(program, compiler):
    counts = count(program)
    try:
        held = read_held()[1]
    except Broken:
        held = {}
    print("\n".join(table(held, counts)[0]))
    write_held(compiler, counts)
    print(f"written: {os.path.relpath(HELD)}")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", required=True, help="memtrace_instructions of the build tree")
    parser.add_argument("--compiler", required=True, help="its compiler and build type")
    parser.add_argument("--accept", action="store_true", help="write instructions.txt")
    options = parser.parse_args()
    try:
        return (accept if options.accept else check)(options.program, options.compiler)
    except CannotCount as reason:
        print(f"not compared: {reason}")
        return 1 if options.accept else SKIPPED
    except Broken as error:
        print(f"bench.instructions: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
