"""What programs do and a tracer may trip over (programs/hazards.c): they go on as they do alone."""

import re

import pytest
from harness import clean_environment, program, run, source_text

HAZARDS = re.findall(r'\{"(\w+)", \w+\}', source_text("hazards.c"))
# Where memory for new records is refused, events may be lost; they are counted.
MAY_LOSE = {"address_space", "no_more_mappings"}
MUST_LOSE = {"no_advice_and_no_files", "nothing_but_the_heap"}


@pytest.mark.parametrize("name", HAZARDS)
def test_goes_on_as_alone(session, name):
    alone = run([program("hazards"), name], env=clean_environment(), check=False)
    traced = run([program("hazards"), name], env=session.env(), check=False)
    assert alone.returncode == 0, (alone.returncode, alone.stderr)
    assert (traced.returncode, traced.stdout, traced.stderr) == (0, alone.stdout, "")
    counted = 0
    for region in session.regions():
        totals = session.report(region, "--at", "total")["totals"]
        counted += totals["alloc_blocks"]
        assert totals["lost"] == 0 or name in MAY_LOSE | MUST_LOSE, totals
        assert totals["lost"] > 1000 or name not in MUST_LOSE, totals
    assert counted > 2000, "each hazard allocates thousands of blocks"


def test_all_are_listed():
    assert len(HAZARDS) == 10
