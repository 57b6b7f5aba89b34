"""What a user gets wrong is refused with the component and the remedy, and before it costs much."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from fmcore import ComponentError, Path, Problem, Solution, Solver, Status, create
from fmcore.registry import registry
from fmcore.solving import AdaptiveSolver, Augmentation, FixedSolver, StochasticSolver
from fmcore_solvers.embedded import Dopri5
from fmcore_solvers.midpoint import Midpoint

X0 = torch.ones(4, 2)
VP = create("path", "vp")
SOLVERS = [
    name
    for name in registry().names("solver")
    if "/" not in name
    and not registry().entry("solver", name).load().jumps
    and not registry().entry("solver", name).load().restores
    and not registry().entry("solver", name).load().leaps
]
ODE_SOLVERS = [
    name
    for name in SOLVERS
    if issubclass(registry().entry("solver", name).load(), AdaptiveSolver | FixedSolver)
    and not issubclass(registry().entry("solver", name).load(), StochasticSolver)
]
EVERY_SOLVER = pytest.mark.parametrize("name", SOLVERS)


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


def solver_of(name: str, steps: int = 8) -> Solver:
    fixed = hasattr(registry().entry("solver", name).load(), "nfe_per_step")
    return create("solver", name, **({"steps": steps} if fixed else {}))


def solved(name: str, x0: Tensor, **more: Any) -> Solution:
    return solver_of(name).solve(Problem(decay, x0, t0=0.1, t1=0.9, path=VP, seed=3, **more))


def times_if_supported(name: str) -> tuple[float, ...] | None:
    baseline = name.startswith("torchdiffeq") and hasattr(solver_of(name), "nfe_per_step")
    return None if baseline else (0.5,)


@EVERY_SOLVER
def test_a_sample_may_be_a_number(name):
    """x0 of shape (batch,) is solved as (batch, 1)."""
    x0 = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    times = times_if_supported(name)
    numbers, column = solved(name, x0, times=times), solved(name, x0[:, None], times=times)
    torch.testing.assert_close(numbers.x, column.x[:, 0], rtol=1e-12, atol=1e-12)
    assert numbers.status.tolist() == [Status.SUCCESS] * 3
    if times:
        torch.testing.assert_close(numbers.trajectory, column.trajectory[..., 0])


@pytest.mark.parametrize("name", ODE_SOLVERS)
@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(),
        Augmentation(autodiff="forward"),
        Augmentation("hutchinson", n_probes=2),
        Augmentation("hutchinson", n_probes=2, autodiff="forward"),
    ],
    ids=["exact", "exact-forward", "hutchinson", "hutchinson-forward"],
)
def test_divergences_of_numbers_and_of_nothing(name, augmentation):
    """div(-x) = -d for d elements; a batch or a sample may be empty."""
    for shape, d in (((3,), 1), ((3, 0), 0), ((0, 2), 2), ((3, 2, 0, 4), 0)):
        x0 = torch.ones(shape, dtype=torch.float64)
        problem = Problem(decay, x0, t0=0.1, t1=0.9, path=VP, augmentation=augmentation)
        found = solver_of(name, steps=40).solve(problem)
        expected = torch.full((shape[0],), -0.8 * d, dtype=torch.float64)
        torch.testing.assert_close(found.logdet, expected, rtol=5e-2, atol=0)
        assert (found.logdet_error is None) == (augmentation.columns == 1)


@EVERY_SOLVER
@pytest.mark.parametrize("shape", [(0, 2), (0,), (3, 0), (3, 2, 0)])
def test_nothing_is_solved_as_nothing(name, shape):
    times = times_if_supported(name)
    found = solved(name, torch.ones(shape), times=times)
    assert found.x.shape == shape
    assert found.status.tolist() == [Status.SUCCESS] * shape[0]
    assert found.stats.nfe.shape == found.t_reached.shape == (shape[0],)
    assert times is None or found.trajectory.shape == (1, *shape)


@EVERY_SOLVER
@pytest.mark.parametrize(
    "ids",
    [torch.arange(3), torch.arange(5), torch.arange(4)[:, None], torch.arange(4.0), [0, 1, 2, 3]],
    ids=["short", "long", "column", "float", "list"],
)
def test_every_sample_has_one_id(name, ids):
    with pytest.raises(ComponentError, match=r"sample_ids must be .* of shape \(batch,\) = \(4,\)"):
        solver_of(name).solve(Problem(decay, X0, path=VP, sample_ids=ids))


@EVERY_SOLVER
def test_states_are_checked_before_anything_else(name):
    for x0, message in (
        (torch.tensor(1.0), r"x0 must be floating point of shape \(batch, \*shape\)"),
        (torch.ones(4, dtype=torch.int64), "x0 must be floating point"),
        ([1.0, 2.0], "x0 must be a tensor"),
    ):
        with pytest.raises(ComponentError, match=message):
            solver_of(name).solve(Problem(decay, x0, t0=0.5, t1=0.5, path=VP))
    with pytest.raises(ComponentError, match="condition 'label' must be a tensor, got list"):
        solver_of(name).solve(Problem(decay, X0, path=VP, condition={"label": [0, 1, 2, 3]}))


def test_times_are_any_sequence_of_numbers():
    wanted = solved("rk4", X0, times=(0.3, 0.6)).trajectory
    assert torch.equal(solved("rk4", X0, times=[0.3, 0.6]).trajectory, wanted)
    as_tensor = torch.tensor([0.3, 0.6], dtype=torch.float64)
    assert torch.equal(solved("rk4", X0, times=as_tensor).trajectory, wanted)
    assert torch.equal(solved("rk4", X0, times=as_tensor.numpy()).trajectory, wanted)
    assert solved("rk4", X0, times=torch.zeros(0)).trajectory is None
    from_tensor = Problem(decay, X0, t0=torch.tensor(0.25), t1=as_tensor[1])
    assert (from_tensor.t0, from_tensor.t1) == (0.25, 0.6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"t0": math.nan}, "t0: a solve needs finite times, got nan"),
        ({"t1": math.inf}, "t1: a solve needs finite times, got inf"),
        ({"t1": None}, "t1: a solve needs finite times, got None"),
        ({"t1": "1"}, "t1: a solve needs finite times, got '1'"),
        ({"t0": torch.ones(2)}, "t0: a solve needs finite times, got tensor"),
        ({"times": 0.5}, "times must be a sequence of numbers, got 0.5"),
        ({"times": "0.5"}, "times must be a sequence of numbers, got '0.5'"),
        ({"times": torch.ones(2, 2)}, r"times must be a sequence of numbers, got shape \(2, 2\)"),
        ({"times": (0.5, math.nan)}, "times: a solve needs finite times, got nan"),
        ({"times": (0.5, None)}, "times: a solve needs finite times, got None"),
        ({"field": None}, r"field must be a function of \(x, t\), got None"),
        ({"callback": 3}, "callback must be a function, got 3"),
        ({"augmentation": "exact"}, "augmentation must be an Augmentation, got 'exact'"),
    ],
)
def test_a_problem_refuses_arguments_of_the_wrong_kind(options, message):
    with pytest.raises(ComponentError, match=f"Problem: {message}"):
        Problem(**{"field": decay, "x0": X0} | options)


@EVERY_SOLVER
def test_numbers_out_of_range_are_refused_in_python_too(name):
    """With and without a recipe; inf and nan are outside of every range."""
    cls = registry().entry("solver", name).load()
    fixed = hasattr(cls, "nfe_per_step")
    wrong = {"steps": (0, -1, 2.5)} if fixed else {"rtol": (math.inf, math.nan, -1.0)}
    wrong |= {} if fixed else {"atol": (math.inf, math.nan), "max_steps": (0, 1.5)}
    if issubclass(cls, AdaptiveSolver):
        wrong |= {"first_step": (0.0, math.inf, math.nan), "max_nfe": (0,)}
        wrong |= {"max_active": (0,), "sync_every": (0, -1)}
    if issubclass(cls, StochasticSolver):
        wrong |= {"noise": (-0.1, math.inf, math.nan)}
    for option, values in wrong.items():
        for value in values:
            for build in (cls, lambda **options: create("solver", name, **options)):
                with pytest.raises(ComponentError, match=option):
                    build(**{option: value})


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan])
def test_the_tolerance_of_a_divergence_is_positive(value):
    with pytest.raises(ComponentError, match="logdet_atol must be above 0 nats"):
        Augmentation(logdet_atol=value)
