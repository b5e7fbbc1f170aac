"""Labels: names for parts of a program's work, by which its memory is reported.

    with memtrace.label("load"):
        ...

    @memtrace.label("parse")        # or @memtrace.label: the function's own name
    def parse(): ...

    memtrace report PID --by label

A label belongs to the function that has the with block: what it allocates inside, and what the
functions that it calls there allocate, has the label. A coroutine or a generator that is suspended
takes its label along, so what others do meanwhile has none of it. A thread or a task that is
started inside does not inherit the label: label the function that it runs. Labels inside labels are
reported as "outer/inner".

Where the process is not traced, a label does nothing. Nothing here raises but for what is neither a
name nor a function.

Threading: any thread; one label object may be in use in several threads and tasks at once.
"""

import functools
import sys

_CO_GENERATOR = 0x20
_CO_COROUTINE = 0x80
_CO_ITERABLE_COROUTINE = 0x100
_CO_ASYNC_GENERATOR = 0x200

_MOST_NUMBERS = 4096

_functions = None  # the library's (_inspect.Functions); None: not there so far
_looked = False
_numbers = {}  # by name
_tells_contextlib = True  # the library is still to be told of it


def _is_loaded():
    """Whether a library of this name is in the process: ctypes is not loaded only to ask that."""
    try:
        with open("/proc/self/maps", "rb") as maps:
            return any(b"memtrace" in line for line in maps)
    except OSError:
        return True


def _find():
    """The library's functions or None; looks only once whether it was preloaded."""
    global _functions, _looked
    _inspect = sys.modules.get("memtrace._inspect")
    if _inspect is None:
        if _looked:
            return None
        _looked = True
        if not _is_loaded():
            return None
        from . import _inspect
    elif not _inspect._found and _looked:
        return None
    _looked = True
    _functions = _inspect.functions()
    return _functions


def _tell_contextlib(functions):
    """A label that is entered by contextlib's code belongs to who uses the context manager."""
    global _tells_contextlib
    module = sys.modules.get("contextlib")
    if module is None or not hasattr(module, "ExitStack"):  # it is not there, or being imported
        return
    _tells_contextlib = False
    filename = module.ExitStack.enter_context.__code__.co_filename
    functions.label_through(filename.encode("utf-8", "surrogateescape"))


def _number(name):
    """The library's number of a label; 0: there is none."""
    functions = _functions or _find()
    if functions is None:
        return 0
    functions.pause()
    try:
        number = _numbers.get(name)
        if number is None:
            text = name.replace("\0", "\\0").encode("utf-8", "backslashreplace")
            number = functions.label(text)
            if number:
                if len(_numbers) >= _MOST_NUMBERS:
                    _numbers.clear()
                _numbers[name] = number
        return number
    finally:
        functions.resume()


class Label:
    """A context manager and a decorator; made by `label()`."""

    __slots__ = ("name", "_known", "_refused")

    def __init__(self, name):
        self.name = name
        self._known = 0
        self._refused = 0  # enterings without effect, which have to be left without, too

    def __repr__(self):
        return "memtrace.label({!r})".format(self.name)

    def __enter__(self):
        number = self._known
        if not number:
            number = self._known = _number(self.name)
            if not number:
                return self
        if _tells_contextlib:
            _tell_contextlib(_functions)
        if not _functions.label_enter(number, 1):
            self._refused += 1
        return self

    def __exit__(self, kind, error, trace):
        if self._known and not _functions.label_exit(self._known, 1, 0):
            self._leave_elsewhere()

    def _leave_elsewhere(self):
        """The label was entered by another function than the one that leaves it, or not at all."""
        if self._refused:
            self._refused -= 1
        else:
            _functions.label_exit(self._known, 2, 1)

    def __call__(self, function):
        return _labelled(self, function)


def label(name):
    """A label of that name, for `with` and as a decorator; of a function: the function, labelled.

    Anything else than a name (str) or a function raises TypeError.
    """
    if isinstance(name, str):
        return Label(name)
    if isinstance(name, (staticmethod, classmethod)):
        return _labelled(Label(_name_of(name.__func__)), name)
    if callable(name) and not isinstance(name, type):
        return _labelled(Label(_name_of(name)), name)
    raise TypeError(
        'memtrace.label takes a name or a function, not {!r}: write memtrace.label("load")'.format(
            type(name).__name__
        )
    )


def _name_of(function):
    name = getattr(function, "__qualname__", None) or type(function).__name__
    return name.rpartition("<locals>.")[2]


def _labelled(label, function):
    """The function with the label around each of its calls."""
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(_labelled(label, function.__func__))
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    if flags & _CO_ASYNC_GENERATOR:
        wrapper = _async_generator(label, function)
    elif flags & _CO_COROUTINE:
        wrapper = _coroutine(label, function)
    elif flags & _CO_GENERATOR:
        wrapper = _generator(label, function)
        if flags & _CO_ITERABLE_COROUTINE:
            import types

            wrapper = types.coroutine(wrapper)
    else:
        wrapper = _plain(label, function)
    return functools.update_wrapper(wrapper, function)


def _plain(label, function):
    def labelled(*args, **kwargs):
        with label:
            return function(*args, **kwargs)

    return labelled


def _coroutine(label, function):
    async def labelled(*args, **kwargs):
        with label:
            return await function(*args, **kwargs)

    return labelled


def _generator(label, function):
    def labelled(*args, **kwargs):
        with label:
            return (yield from function(*args, **kwargs))

    return labelled


def _async_generator(label, function):
    async def labelled(*args, **kwargs):
        with label:
            inner = function(*args, **kwargs)
            try:
                value = await inner.__anext__()
                while True:
                    try:
                        sent = yield value
                    except GeneratorExit:
                        await inner.aclose()
                        raise
                    except BaseException as error:
                        value = await inner.athrow(error)
                    else:
                        value = await inner.asend(sent)
            except StopAsyncIteration:
                return

    return labelled
