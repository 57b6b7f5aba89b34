"""Which budget a fixed solver uses."""

import pytest

from fmcore import create
from fmcore.flow.budget import budget_note


@pytest.mark.parametrize(
    ("name", "options", "note"),
    [
        ("midpoint", {"nfe": 7}, "solver 'midpoint' uses nfe=6 of nfe=7: "),
        ("euler", {}, "solver 'euler' has no budget and uses nfe=100; "),
        ("midpoint", {"nfe": 8}, ""),
        ("midpoint", {"steps": 3}, ""),
        ("euler", {"grid": [0.0, 0.5, 1.0]}, ""),
        ("dopri5", {}, ""),
    ],
)
def test_a_budget_other_than_the_one_asked_for_is_named(name, options, note):
    found = budget_note(create("solver", name, **options), create("path", "ot"), options.get("nfe"))
    assert found.startswith(note)
    assert bool(found) == bool(note)
