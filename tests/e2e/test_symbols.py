"""Names of native code: the functions, files and lines of stacks in C++ and Rust programs.

The programs are compiled here, in every way that puts their debug information somewhere else, or
leaves it out. The truth is in their sources: the lines that the words behind "symbols:" mark. What
memtrace found is read from the snapshot file itself, without its reports.
"""

import pathlib
import shutil

import harness
import pytest
import snapshot_file

CPP = harness.PROGRAMS / "symbols" / "inlined.cc"
CRATE = harness.PROGRAMS / "symbols" / "crate"
RUST = CRATE / "src" / "main.rs"
BYTES = 1237 * 8

CPP_FUNCTIONS = {
    "take": "shapes::Pool::Take(unsigned long)",
    "make": "long* shapes::Make<long>(unsigned long)",
    "local": "shapes::(anonymous namespace)::Local",
    "outer": "shapes::Outer(unsigned long)",
    "main": "main",
}
RUST_FUNCTIONS = {
    "take": "::take",
    "make": "shapes::make",
    "closure": "shapes::outer::{",
    "outer": "shapes::outer",
    "main": "shapes::main",
}


def marked(source):
    """{word: line} of the lines that are marked."""
    lines = pathlib.Path(source).read_text().splitlines()
    found = {
        line.rsplit("symbols: ", 1)[1]: number
        for number, line in enumerate(lines, 1)
        if "// symbols: " in line
    }
    assert len(found) == 5, found
    return found


def build_id(path):
    notes = harness.run(["readelf", "-n", path]).stdout
    return notes.split("Build ID: ")[1].split()[0]


def compiled(folder, *flags, compiler="g++", name="program"):
    path = folder / name
    harness.run([compiler, *flags, "-o", path, CPP], cwd=folder)
    return path


def split(program, debug):
    """Moves the debug information of a program to a file of its own, without a link to it."""
    debug.parent.mkdir(parents=True, exist_ok=True)
    harness.run(["objcopy", "--only-keep-debug", program, debug])
    harness.run(["strip", program])


def by_build_id(folder, program):
    wanted = build_id(program)
    return folder / ".build-id" / wanted[:2] / f"{wanted[2:]}.debug"


class Frame:
    def __init__(self, function, file, line, module, address):
        self.function, self.file, self.line = function, file, line
        self.module, self.address = module, address

    def __repr__(self):
        return f"{self.function} {self.file}:{self.line} {self.module}+{self.address:#x}"


def stack_of(snapshot, size=BYTES):
    """The frames, innermost first, of the one live block of that size."""
    profile = snapshot_file.SnapshotFile(snapshot).profile
    texts = [text.decode() for text in profile.string_table]
    functions = {f.id: (texts[f.name], texts[f.filename]) for f in profile.function}
    modules = {m.id: texts[m.filename] for m in profile.mapping}
    frames = {}
    for location in profile.location:
        line = location.line[0] if location.line else None
        function, file = functions.get(line.function_id if line else 0, ("", ""))
        frames[location.id] = Frame(
            function,
            file,
            line.line if line else 0,
            modules.get(location.mapping_id, ""),
            location.address,
        )
    found = [s for s in profile.sample if s.value[snapshot_file.LIVE_BYTES] == size]
    assert len(found) == 1, f"{len(found)} stacks hold {size} bytes"
    return [frames[i] for i in found[0].location_id]


def run_and_stop(session, program, **env):
    """The program's region, when it has ended."""
    traced = session.start([program], session.env(MEMTRACE_NATIVE=1, **env))
    assert traced.finish() == 0, traced.stderr()
    return session.last_region(traced.pid)


def names_of(session, program, *flags, env=None):
    """The stack of the program's block, with names found by `memtrace snapshot` as it is called."""
    region = run_and_stop(session, program)
    return retaken(session, region, *flags, env=env)


def retaken(session, source, *flags, env=None):
    """The same of a region or a snapshot file, written anew."""
    session.taken += 1
    path = session.work_dir / f"names-{session.taken}.mtr"
    tool_env = {**harness.clean_environment(), **(env or {})}
    session.tool("snapshot", source, "-o", path, *flags, env=tool_env)
    return stack_of(path)


def check(frames, functions, source, lines=True):
    """The marked calls are in the stack, one called by the next, with their files and lines."""
    known = marked(source)
    found = [f.function for f in frames]
    for start in range(len(frames) - len(functions) + 1):
        if all(name in found[start + i] for i, name in enumerate(functions.values())):
            break
    else:
        raise AssertionError(f"no {list(functions.values())} in {frames}")
    for i, word in enumerate(functions):
        frame = frames[start + i]
        if lines:
            assert (frame.file, frame.line) == (str(source), known[word]), (word, frames)
        else:
            assert frame.line == 0, frames
    return frames[start : start + len(functions)]


OUT_OF_LINE = {word: CPP_FUNCTIONS[word] for word in ("outer", "main")}


def check_nameless(frames, program):
    """Nothing but the module, and where in it."""
    own = [f for f in frames if f.module == str(program)]
    assert len(own) >= 2, frames
    assert all(f.function == "" and f.line == 0 and f.address > 0 for f in own), frames


# ------------------------------------------------------------------------------------------------
# C++: what the compiler did


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
@pytest.mark.parametrize(
    "flags",
    [
        ["-O0", "-g"],
        ["-O2", "-g"],
        ["-O2", "-g", "-gdwarf-4"],
        ["-O2", "-g", "-gz"],
        ["-O2", "-g", "-gsplit-dwarf"],
        ["-O2", "-g", "-flto"],
    ],
    ids=lambda flags: "".join(flags[:1] + flags[-1:]),
)
def test_functions_files_and_lines(session, tmp_path, compiler, flags):
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    if compiler == "clang++" and "-flto" in flags:
        pytest.skip("needs a linker plugin of the same version")
    program = compiled(tmp_path, *flags, compiler=compiler)
    frames = check(names_of(session, program), CPP_FUNCTIONS, CPP)
    # Four calls in one place of the machine code: the compiler has inlined them.
    assert len({f.address for f in frames[:4]}) == 1, frames
    assert len({f.address for f in frames}) == 2, frames


def test_without_debug_information(session, tmp_path):
    program = compiled(tmp_path, "-O2")
    check(names_of(session, program), OUT_OF_LINE, CPP, lines=False)


def test_stripped(session, tmp_path):
    program = compiled(tmp_path, "-O2", "-g", "-s")
    check_nameless(names_of(session, program), program)


# ------------------------------------------------------------------------------------------------
# C++: where the debug information is


def test_found_by_build_id(session, tmp_path):
    program = compiled(tmp_path, "-O2", "-g")
    symbols = tmp_path / "symbols"
    split(program, by_build_id(symbols, program))
    region = run_and_stop(session, program)
    check_nameless(retaken(session, region), program)
    check(retaken(session, region, "--symbols", symbols), CPP_FUNCTIONS, CPP)


@pytest.mark.parametrize("place", ["", ".debug"])
@pytest.mark.parametrize("with_id", [True, False], ids=["id", "no-id"])
def test_found_by_debug_link(session, tmp_path, place, with_id):
    program = compiled(tmp_path, "-O2", "-g", f"-Wl,--build-id={'sha1' if with_id else 'none'}")
    debug = tmp_path / place / "program.debug"
    split(program, debug)
    harness.run(["objcopy", f"--add-gnu-debuglink={debug}", program])
    region = run_and_stop(session, program)
    check(retaken(session, region), CPP_FUNCTIONS, CPP)
    with open(debug, "ab") as file:  # another file, by its checksum
        file.write(b"\0")
    check_nameless(retaken(session, region), program)


@pytest.mark.parametrize(
    "variable, folder",
    [
        ("DEBUGINFOD_CACHE_PATH", "cache"),
        ("XDG_CACHE_HOME", "cache/debuginfod_client"),
        ("HOME", "cache/.cache/debuginfod_client"),
        ("HOME", "cache/.debuginfod_client_cache"),
    ],
)
def test_found_in_debuginfods_cache(session, tmp_path, variable, folder):
    program = compiled(tmp_path, "-O2", "-g")
    split(program, tmp_path / folder / build_id(program) / "debuginfo")
    # Unset, so that it is the one variable that leads there.
    env = {"DEBUGINFOD_CACHE_PATH": "", "XDG_CACHE_HOME": "", "HOME": "/nonexistent"}
    region = run_and_stop(session, program)
    check_nameless(retaken(session, region, env=env), program)
    env[variable] = str(tmp_path / "cache")
    check(retaken(session, region, env=env), CPP_FUNCTIONS, CPP)


def test_what_dwz_moved_out(session, tmp_path):
    """As Debian's packages have it: parts of several files' debug information in a common one."""
    symbols = tmp_path / "symbols"
    debug = []
    for name, level in (("program", "-O2"), ("another", "-O1")):
        # Enough for dwz to find something in common.
        types = ["-include", "string", "-fno-eliminate-unused-debug-types"]
        program = compiled(tmp_path, level, "-g", "-gdwarf-4", *types, name=name)
        debug.append(by_build_id(symbols, program))
        split(program, debug[-1])
    common = tmp_path / "common.debug"
    harness.run(["dwz", "-m", common, "-M", common, *debug])
    assert common.exists(), "dwz has found nothing in common"
    program = tmp_path / "program"
    region = run_and_stop(session, program)
    check(retaken(session, region, "--symbols", symbols), CPP_FUNCTIONS, CPP)
    common.rename(tmp_path / "elsewhere")
    frames = retaken(session, region, "--symbols", symbols)
    check(frames, OUT_OF_LINE, CPP, lines=False)


def test_another_build_gives_no_names(session, tmp_path):
    program = compiled(tmp_path, "-O2", "-g")
    region = run_and_stop(session, program)
    check(retaken(session, region), CPP_FUNCTIONS, CPP)
    symbols = tmp_path / "symbols"
    debug = by_build_id(symbols, program)
    other = compiled(tmp_path, "-O1", "-g", name="other")
    split(other, debug)  # under the first one's build-id
    shutil.copy(compiled(tmp_path, "-O1", "-g", name="rebuilt"), program)
    check_nameless(retaken(session, region, "--symbols", symbols), program)


# ------------------------------------------------------------------------------------------------
# Later, and elsewhere


def test_names_are_found_later(session, tmp_path):
    program = compiled(tmp_path, "-O2", "-g")
    bare = tmp_path / "bare.mtr"
    session.tool("snapshot", run_and_stop(session, program), "-o", bare, "--no-symbolize")
    before = stack_of(bare)
    check_nameless(before, program)
    after = retaken(session, bare)
    check(after, CPP_FUNCTIONS, CPP)
    places = {(f.module, f.address) for f in before}
    assert {(f.module, f.address) for f in after} == places
    assert "shapes::" in session.tool("report", bare, "--by", "function").stdout


@pytest.mark.parametrize("place", ["root", "flat", "build-id"])
def test_files_of_another_machine(session, tmp_path, place):
    """The program is gone from where it was; a folder has its file, or its debug information."""
    program = compiled(tmp_path, "-O2", "-g")
    bare = tmp_path / "bare.mtr"
    session.tool("snapshot", run_and_stop(session, program), "-o", bare, "--no-symbolize")
    folder = tmp_path / "from there"
    moved = {
        "root": folder / str(program).lstrip("/"),
        "flat": folder / "program",
        "build-id": by_build_id(folder, program),
    }[place]
    moved.parent.mkdir(parents=True)
    program.rename(moved)
    check_nameless(retaken(session, bare), program)
    check(retaken(session, bare, "--symbols", folder), CPP_FUNCTIONS, CPP)
    for command in (["report", bare], ["compare", bare, bare]):
        flags = ["--symbols", folder, "--by", "function"]
        shown = session.tool(*command, *flags, "--format", "json").stdout
        assert command[0] == "compare" or "shapes::" in shown


def test_lines_are_added_to_names(session, tmp_path):
    """A snapshot with the names of the symbol table; the debug information comes later."""
    program = compiled(tmp_path, "-O2", "-g")
    symbols = tmp_path / "symbols"
    debug = by_build_id(symbols, program)
    debug.parent.mkdir(parents=True)
    harness.run(["objcopy", "--only-keep-debug", program, debug])
    harness.run(["strip", "--strip-debug", program])
    named = tmp_path / "named.mtr"
    session.tool("snapshot", run_and_stop(session, program), "-o", named)
    check(stack_of(named), OUT_OF_LINE, CPP, lines=False)
    check(retaken(session, named, "--symbols", symbols), CPP_FUNCTIONS, CPP)


def test_symbols_folder_that_is_not_there(session, tmp_path):
    program = compiled(tmp_path, "-O2")
    region = run_and_stop(session, program)
    done = session.tool(
        "snapshot", region, "-o", "-", "--symbols", tmp_path / "no such folder", check=False
    )
    assert done.returncode != 0 and "no such folder" in done.stderr


# ------------------------------------------------------------------------------------------------
# Rust


def crate(tmp_path, debug, mangling):
    if not shutil.which("cargo"):
        pytest.fail("cargo is not installed: scripts/test installs it")
    folder = tmp_path / "crate"
    shutil.copytree(CRATE, folder)
    env = {**harness.clean_environment(), "CARGO_PROFILE_RELEASE_DEBUG": str(debug)}
    # The old mangling has become an unstable option.
    env["RUSTFLAGS"] = f"-Z unstable-options -C symbol-mangling-version={mangling}"
    env["RUSTC_BOOTSTRAP"] = "1"
    harness.run(["cargo", "build", "--release", "--offline", "-q"], cwd=folder, env=env)
    program = folder / "target" / "release" / "shapes"
    return program, folder / "src" / "main.rs"


@pytest.mark.parametrize("mangling", ["legacy", "v0"])
@pytest.mark.parametrize("debug", [1, 2], ids=["lines", "full"])
def test_rust(session, tmp_path, mangling, debug):
    program, source = crate(tmp_path, debug, mangling)
    frames = check(names_of(session, program), RUST_FUNCTIONS, source)
    assert len({f.address for f in frames[:4]}) == 1, frames
    for frame in frames:
        assert "17h" not in frame.function and not frame.function.startswith("_"), frames


@pytest.mark.parametrize("mangling", ["legacy", "v0"])
def test_rust_without_debug_information(session, tmp_path, mangling):
    program, source = crate(tmp_path, 0, mangling)
    out_of_line = {word: RUST_FUNCTIONS[word] for word in ("outer", "main")}
    found = [f.function for f in names_of(session, program)]
    for name in out_of_line.values():
        assert name in found, found
