"""Wrong combinations are refused before training, every reason at once."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from fmcore import ComponentError, Dataset, Field, Solver, VectorField, check_together, create
from fmcore.flow.compatibility import refusals

FLOW = ("ot", "independent", "flow_matching")


@dataclass(frozen=True)
class Pairs(Dataset):
    pairs = True
    shape = (2,)
    length = 8
    fingerprint = "0"

    def batch(self, indices):
        return {"x0": torch.zeros(len(indices), 2), "x1": torch.zeros(len(indices), 2)}


@dataclass(frozen=True)
class Stochastic(Solver):
    needs_score = True

    def solve(self, problem):
        raise NotImplementedError


@dataclass(frozen=True)
class NotHere(Solver):
    def check(self, path):
        raise ComponentError("not along this path")

    def solve(self, problem):
        raise NotImplementedError


def combination(path="ot", coupling="independent", objective="flow_matching", **options):
    return (
        create("path", path, **options),
        create("coupling", coupling),
        create("objective", objective),
    )


def test_what_goes_together_is_let_through():
    check_together(
        *combination(), data=create("data", "toy"), solver=create("solver", "euler", nfe=4)
    )
    check_together(*combination(coupling="minibatch_ot"))
    check_together(*combination(path="vp", objective="scoreflow"))
    check_together(*combination(coupling="paired"), data=Pairs())


def test_a_score_under_a_coupling_is_refused_with_the_reason():
    with pytest.raises(ComponentError, match="only where x0 is independent of x1; coupling Minib"):
        check_together(*combination("vp", "minibatch_ot", "score_matching"))
    with pytest.raises(ComponentError, match="Stochastic needs the score"):
        check_together(*combination(coupling="minibatch_ot"), solver=Stochastic())
    check_together(*combination(), solver=Stochastic())


def test_a_field_trained_under_a_coupling_has_no_score():
    class Zero(VectorField):
        def forward(self, x, t, condition=None):
            return torch.zeros_like(x)

    path, coupling, objective = combination(coupling="minibatch_ot")
    x, t = torch.ones(2, 2), torch.full((2,), 0.5)
    field = Field(Zero(), path, objective, coupling=coupling)
    assert field.predict(x, t, target="data").shape == x.shape
    with pytest.raises(ComponentError, match="this prediction needs the score"):
        field.predict(x, t, target="score")


def test_pairs_of_the_data_want_the_coupling_that_keeps_them():
    for coupling in ("independent", "minibatch_ot"):
        with pytest.raises(ComponentError, match="use coupling 'paired'"):
            check_together(*combination(coupling=coupling), data=Pairs())
    with pytest.raises(ComponentError, match="Toy has no x0"):
        check_together(*combination(coupling="paired"), data=create("data", "toy"))


def test_noise_drawn_from_the_condition_is_not_moved_away_from_it():
    source = {"name": "from_condition", "key": "low"}
    with pytest.raises(ComponentError, match="draws x0 from the condition of its row"):
        check_together(*combination(coupling="minibatch_ot", source=source))


def test_every_reason_is_told_at_once():
    path, coupling, objective = combination("linear", "minibatch_ot", "score_matching")
    reasons = refusals(path, coupling, objective, data=Pairs(), solver=NotHere())
    assert len(reasons) == 4
    with pytest.raises(ComponentError) as error:
        check_together(path, coupling, objective, data=Pairs(), solver=NotHere())
    assert str(error.value).splitlines() == reasons
