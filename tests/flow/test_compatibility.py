"""Wrong combinations are refused before training, every reason at once."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from fmcore import (
    ChangedSchedule,
    ComponentError,
    Dataset,
    Field,
    Guided,
    Problem,
    Solver,
    VectorField,
    check_together,
    create,
)
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


class Zero(VectorField):
    def forward(self, x, t, condition=None):
        return torch.zeros_like(x)


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
    path, coupling, objective = combination(coupling="minibatch_ot")
    x, t = torch.ones(2, 2), torch.full((2,), 0.5)
    field = Field(Zero(), path, objective, coupling=coupling)
    assert field.predict(x, t, target="data").shape == x.shape
    with pytest.raises(ComponentError, match="this prediction needs the score"):
        field.predict(x, t, target="score")


def paired_field():
    """A field trained under optimal-transport pairs, which has no score."""
    path, coupling, objective = combination("linear", "minibatch_ot")
    return Field(Zero(), path, objective, coupling=coupling)


def guided(field):
    cfg = create("guidance", "cfg", scale=2.0)
    return Guided(Field(Zero(), field.path, field.objective), cfg, {"weak": field})


WRAPPERS = {
    "plain": lambda field: field,
    "guided": guided,
    "another schedule": lambda field: ChangedSchedule(field, create("path", "cosine")),
    "both": lambda field: ChangedSchedule(guided(field), create("path", "cosine")),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize(
    "name", ["euler_maruyama", "sde_heun", "ancestral", "dpmpp_2m_sde", "edm_churn"]
)
def test_stochastic_solvers_refuse_a_field_without_a_score(name, wrapper):
    field = WRAPPERS[wrapper](paired_field())
    label = {"label": torch.zeros(2, dtype=torch.int64)}
    problem = Problem(field, torch.ones(2, 2), path=field.path, condition=label)
    with pytest.raises(ComponentError, match=rf"solver '{name}' needs the score.*MinibatchOT"):
        create("solver", name, steps=3).solve(problem)
    ode = create("solver", name, steps=3, noise=0.0).solve(problem)
    assert ode.status.tolist() == [0, 0]


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_no_wrapper_predicts_a_score_that_its_field_does_not_have(wrapper):
    field, x, t = WRAPPERS[wrapper](paired_field()), torch.ones(2, 2), torch.full((2,), 0.5)
    label = {"label": torch.zeros(2, dtype=torch.int64)}
    assert field.predict(x, t, label, "data").shape == x.shape
    with pytest.raises(ComponentError, match="this prediction needs the score"):
        field.predict(x, t, label, "score")


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
