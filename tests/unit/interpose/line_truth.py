"""Prints line tables of real code, with the truth of this very interpreter, for line_table_test.cc.

One line for each code object: its first line, the table in hex, and the line of each instruction
(bytes 0, 2, 4, ...; 0: none), as the interpreter's own PyCode_Addr2Line has it. The first line says
which kind of table it is.
"""

import ctypes
import os
import sys
import types

MODULES = """argparse ast base64 bdb calendar codecs collections/__init__ configparser contextlib
copy csv dataclasses datetime _pydatetime decimal _pydecimal difflib dis doctest email/message
email/header enum fractions functools gettext heapq html/parser http/client inspect ipaddress
json/decoder json/encoder locale logging/__init__ mailbox optparse pathlib pickle pickletools
platform plistlib pprint pydoc random re shutil smtplib socket statistics string subprocess tarfile
textwrap threading tokenize traceback types typing unittest/mock urllib/parse uuid warnings
zipfile""".split()


def stretched():
    """Code whose lines lie farther apart than one entry of any table can say."""
    out = ["def far(a):"]
    for gap in (1, 126, 127, 128, 129, 254, 255, 256, 300, 5000, 70000):
        out.append("    a = (a +" + "\n" * gap + "         1)")
        out.append("\n" * gap + "    b = [a, a,\n" + "\n" * (gap // 2) + "         a]")
    out.append("    return b")
    # More bytecode on one line than an entry can span, and backward steps.
    out += ["def wide(a):", "    x = (" + " + ".join(["a"] * 600) + ")", "    return x"]
    calls = ",\n".join("           f(a,\n             b)" for _ in range(200))
    out += ["def back(f, a, b):", "    return (f(\n" + calls + "\n           ),", "        a)"]
    out += [
        "def flow(a):",
        "    try:",
        "        with a as b, b as c:",
        "            for x in c:",
        "                if x:",
        "                    continue",
        "                yield x",
        "    except (ValueError,",
        "            KeyError) as e:",
        "        raise e",
        "    finally:",
        "        del a",
        "    while True:",
        "        pass",
    ]
    out += [
        "async def coro(a):",
        "    async with a as b:",
        "        async for x in b:",
        "            await x",
        "    return [y async for y in a if",
        "            await y]",
    ]
    if sys.version_info >= (3, 10):
        out += [
            "def shape(a):",
            "    match a:",
            "        case [1, 2,",
            "              *rest]:",
            "            return rest",
            "        case {'x': y}:",
            "            return y",
        ]
    return "\n".join(out) + "\n"


def codes_in(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from codes_in(constant)


def sources():
    yield stretched()
    library = os.path.dirname(os.__file__)
    for module in MODULES:
        path = os.path.join(library, module + ".py")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                yield f.read()


def main():
    kind = (
        "deltas"
        if sys.version_info < (3, 10)
        else ("ranges" if sys.version_info < (3, 11) else "locations")
    )
    print(kind)
    line_of = ctypes.pythonapi.PyCode_Addr2Line
    line_of.argtypes = [ctypes.py_object, ctypes.c_int]
    line_of.restype = ctypes.c_int
    for source in sources():
        for code in codes_in(compile(source, "x", "exec")):
            table = code.co_lnotab if kind == "deltas" else code.co_linetable
            lines = (max(0, line_of(code, i)) for i in range(0, len(code.co_code), 2))
            print(code.co_firstlineno, table.hex() or "-", ",".join(map(str, lines)))


if __name__ == "__main__":
    main()
