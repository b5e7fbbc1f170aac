"""The example memory_of_structures.py: its table has what is known of CPython's structures."""

import json

import harness
import test_python_api
import venvs

EXAMPLE = harness.SOURCE_DIR / "tools" / "python" / "examples" / "memory_of_structures.py"
COUNT = 100000
OBJECTS = COUNT // 100
LIST = 16 + 40
# The measurement's own numbers, functions and iterators are among what is live.
SMALL = 8192


def measured(session, python, *arguments):
    env = session.env(PYTHONPATH=test_python_api.PACKAGE_ROOT)
    argv = [python, EXAMPLE, str(COUNT), *arguments]
    return harness.run(argv, env=env, cwd=session.work_dir).stdout


def integers(version):
    """What the integers of range(COUNT) take: 0 to 256 are static, in their plain size."""
    one = 32 if version >= (3, 11) else 28
    zero = 28 if version >= (3, 9) else 24
    return zero + 256 * 28 + (COUNT - 257) * one


def check_sequences(found, version):
    exact = {name: figures[2] for name, figures in found.items()}
    numbers = integers(version)
    assert exact["list of a range"] == LIST + 8 * COUNT + numbers
    tuple_start = 48 if version >= (3, 14) else 40
    assert exact["tuple of a range"] == tuple_start + 8 * COUNT + numbers
    assert exact["set of a range"] == 216 + 16 * (1 << 18) + numbers
    array = exact["array('l')"] - 8 * COUNT
    assert array == (64 if version < (3, 10) else 80)
    assert exact["array('i')"] == array + 4 * COUNT
    assert exact["array('b')"] == array + COUNT
    assert exact["bytearray"] == 56 + COUNT + 1
    assert exact["file read"] == 33 + 8 * COUNT


def check_live(found):
    """What asizeof() tells is what came to be live, but for what was there and is shared."""
    for name in found:
        live, highest, size = found[name]
        # Small integers; of the generator, what other objects that were there hold on to as well.
        shared = 257 * 32 if "range" in name else 64 if name == "generator" else 0
        assert -shared <= live - size < SMALL, (name, live, size)
        assert highest >= live, name


def check_objects(found):
    slots = found["objects with __slots__"][2]
    assert LIST + OBJECTS * (8 + 48) <= slots < LIST + OBJECTS * (8 + 48) * 1.1 + 16
    assert found["objects with __dict__"][2] - slots >= OBJECTS * 16


def check_what_is_not_kept(found):
    live, highest, _ = found["two lists, one deleted"]
    part = COUNT // 10
    assert 0 <= live - (LIST + 8 * part) < SMALL
    assert 0 <= highest - (2 * LIST + 8 * part + 80 * part) < SMALL
    for name in ("generator", "file in mmap"):
        assert 0 < found[name][0] < SMALL, name


def test_structures(session, python):
    found = json.loads(measured(session, python, "--json"))
    check_sequences(found, python.version)
    check_live(found)
    check_objects(found)
    check_what_is_not_kept(found)


def test_structures_with_numpy(session, pythons):
    python = pythons[-1]
    found = json.loads(
        measured(session, venvs.python_with(python, ("pandas", "scikit-learn")), "--json")
    )
    exact = {name: figures[2] for name, figures in found.items()}
    # The array's object, a dimension and a stride.
    array = exact["numpy int64"] - 8 * COUNT
    assert 96 <= array <= 160
    assert abs(exact["numpy int16"] - array - 2 * COUNT) <= 32
    assert abs(exact["numpy complex"] - array - 16 * COUNT) <= 32
    assert found["file in numpy.memmap"][0] < 4 * SMALL
    assert exact["file in numpy.memmap"] < 4 * SMALL


def test_table(session, pythons):
    lines = measured(session, pythons[-1]).splitlines()
    assert lines[0] == "100,000 numbers; 1,000 objects"
    assert lines[1].split() == ["Live", "Highest", "asizeof"]
    assert [line for line in lines if line.startswith("bytearray")][0].endswith(" 97.7 KiB")


def test_it_says_how_to_be_started(pythons):
    env = dict(harness.clean_environment(), PYTHONPATH=test_python_api.PACKAGE_ROOT)
    done = harness.run([pythons[-1], EXAMPLE], env=env, check=False)
    assert done.returncode == 1
    assert "memtrace run python" in done.stderr
