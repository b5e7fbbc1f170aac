"""Every Python with every allocator it can be told to use: lines exact, against tracemalloc as it is."""

import pytest
from witness import Witnessed, check_known, check_own_lines

ALLOCATORS = {
    "default": ((), {}),
    "malloc": ((), {"PYTHONMALLOC": "malloc"}),
    "pymalloc": ((), {"PYTHONMALLOC": "pymalloc"}),
    "debug": ((), {"PYTHONMALLOC": "debug"}),
    "malloc_debug": ((), {"PYTHONMALLOC": "malloc_debug"}),
    "pymalloc_debug": ((), {"PYTHONMALLOC": "pymalloc_debug"}),
    "devmode": ((), {"PYTHONDEVMODE": "1"}),
    "dev": (("-X", "dev"), {}),
}


@pytest.mark.parametrize("allocator", ALLOCATORS)
def test_own_lines(session, python, allocator):
    options, env = ALLOCATORS[allocator]
    run = Witnessed(session, python, "exact.py", options=options, **env)
    assert run.stderr == ""
    check_known(run)
    check_own_lines(run)
