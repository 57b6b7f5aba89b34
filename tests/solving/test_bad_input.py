"""What a user gets wrong is refused with the component and the remedy, and before it costs much."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from fmcore import ComponentError, Path, Problem, create
from fmcore.solving import Augmentation
from fmcore_solvers.embedded import Dopri5
from fmcore_solvers.midpoint import Midpoint

X0 = torch.ones(4, 2)
VP = create("path", "vp")


def decay(x: Tensor, t: Tensor) -> Tensor:
    return -x


def narrow(x: Tensor, t: Tensor, condition: object = None) -> Tensor:
    return x[:, :1]


def refusal(solver: str, problem: Problem, **options: Any) -> str:
    with pytest.raises(ComponentError) as refused:
        create("solver", solver, **options).solve(problem)
    return str(refused.value)


@pytest.mark.parametrize(
    ("solver", "options", "message"),
    [
        ("midpoint", {"nfe": 1}, "solver 'midpoint': nfe=1 is below one step, which costs 2 here"),
        ("euler", {"nfe": 0}, "solver 'euler': nfe: expected an integer > 0"),
        ("euler", {"grid": [0, 0.5, 0.4, 1]}, "solver 'euler': an explicit grid is two or more"),
        ("euler", {"grid": [0, 0.5, 1.4]}, "solver 'euler': in the explicit grid, time 1.4 is"),
        ("dopri5", {"rtol": -1.0}, "solver 'dopri5': rtol: expected a number >= 0, got -1.0"),
    ],
)
def test_options_that_cannot_be_are_refused_in_the_solvers_name(solver, options, message):
    assert refusal(solver, Problem(decay, X0, path=VP), **options).startswith(message)


@pytest.mark.parametrize("solver", ["euler", "dopri5"])
def test_times_beyond_the_path_say_what_to_give(solver):
    told = refusal(solver, Problem(decay, X0, t1=1.5, path=VP))
    assert told.startswith("time 1.5 is outside [0, 1]; VPPath runs from 0.0 to 0.99999: give")


def test_an_exponential_integrator_on_a_path_that_is_not_affine_names_both():
    class Geodesic(Path):
        sample = prior = None

    Geodesic.__abstractmethods__ = frozenset()
    told = refusal("unipc", Problem(decay, X0, path=Geodesic()))
    assert "solver 'unipc' integrates the linear part of an affine path" in told
    assert "Geodesic is not one: use a Runge-Kutta solver such as 'midpoint'" in told


@pytest.mark.parametrize("solver", ["euler", "dopri5"])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"condition": {"label": torch.zeros(4)}},
        {"augmentation": Augmentation()},
        {"augmentation": Augmentation(autodiff="forward")},
        {"augmentation": Augmentation("hutchinson")},
        {"grad": "direct"},
    ],
    ids=lambda more: "-".join(map(str, more.values())) or "plain",
)
def test_a_velocity_of_another_shape_is_refused_in_the_fields_name(solver, more):
    told = refusal(solver, Problem(narrow, X0, **more))
    assert told.startswith("field narrow returned torch.float32 of shape (4, 1) for x of")


@pytest.mark.parametrize("solver", ["euler", "dopri5"])
@pytest.mark.parametrize("what", [None, (X0, X0)])
def test_what_is_no_tensor_is_no_velocity(solver, what):
    told = refusal(solver, Problem(lambda x, t: what, X0))
    assert told == (
        f"field <lambda> returned {type(what).__name__}; a velocity is a tensor with the shape "
        "and dtype of x"
    )


def test_a_condition_of_another_batch_is_refused():
    told = refusal("dopri5", Problem(narrow, X0, condition={"label": torch.zeros(3)}))
    assert told.startswith("condition 'label' has shape (3,) for x0 of shape (4, 2)")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Problem(decay, X0, grad="chekpoint"), r"grad must be .*did you mean 'checkpoint'"),
        (lambda: Augmentation("hutch"), r"divergence must be .*did you mean 'hutchinson'"),
        (
            lambda: Augmentation(autodiff="hvp"),
            r"autodiff must be 'reverse' or 'forward', got 'hvp'",
        ),
        (
            lambda: Dopri5(step_control="batch"),
            r"step_control must be 'per_sample', 'batch_max' or",
        ),
        (lambda: Midpoint(grid="lamda"), r"grid must be .*did you mean 'lambda'"),
    ],
)
def test_words_out_of_a_closed_set_are_refused_without_a_recipe_too(build, message):
    with pytest.raises(ComponentError, match=message):
        build()
