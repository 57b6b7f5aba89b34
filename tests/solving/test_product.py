"""A state of several parts is solved as the parts joined, whatever the solver."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from fmcore import ComponentError, Problem, create
from fmcore.solving import Augmentation, ProductState
from fmcore.testing.flows import Waits

PARTS = {
    "position": torch.linspace(0.2, 1.0, 12, dtype=torch.float64).view(4, 3),
    "frame": torch.linspace(-0.5, 0.5, 16, dtype=torch.float64).view(4, 2, 2),
}
STATE = ProductState.of(PARTS)
SOLVERS = [
    ("midpoint", {"nfe": 20}),
    ("unipc", {"nfe": 12}),
    ("euler_maruyama", {"nfe": 12}),
    ("dopri5", {}),
    ("dopri5", {"max_active": 2}),
    ("dopri5", {"step_control": "batch_rms"}),
    ("torchdiffeq:dopri5", {}),
]


def coupled(parts: Any, t: Tensor) -> dict[str, Tensor]:
    """Each part moves by the other."""
    position, frame = parts["position"], parts["frame"]
    pull = frame.sum((1, 2))[:, None] * (1 + t[:, None])
    return {"frame": position.mean(1)[:, None, None] - frame, "position": -position * pull}


def by_hand(x: Tensor, t: Tensor) -> Tensor:
    """The same, on rows of 3 + 4 numbers."""
    position, frame = x[:, :3], x[:, 3:]
    pull = frame.sum(1, keepdim=True) * (1 + t[:, None])
    return torch.cat([-position * pull, position.mean(1, keepdim=True) - frame], 1)


@pytest.mark.parametrize(("name", "options"), SOLVERS)
def test_parts_end_as_the_joined_state_does(name, options):
    path = create("path", "linear")
    solver = create("solver", name, **options)
    solution = solver.solve(Problem(STATE.field(coupled), STATE.join(PARTS), path=path, seed=3))
    whole = torch.cat([x.flatten(1) for x in PARTS.values()], 1)
    wanted = solver.solve(Problem(by_hand, whole, path=path, seed=3))
    ends = STATE.split(solution.x)
    torch.testing.assert_close(ends["position"], wanted.x[:, :3])
    torch.testing.assert_close(ends["frame"], wanted.x[:, 3:].view(4, 2, 2))
    assert torch.equal(solution.stats.nfe, wanted.stats.nfe)


def test_parts_of_a_fixed_solve_are_never_joined_on_the_way():
    """Nor does it cost more operations than solving each part alone."""
    solver = create("solver", "midpoint", nfe=20)
    state = ProductState.of(tuple(PARTS.values()))
    field, x0 = state.field(lambda parts, t: [-x for x in parts]), state.join([*PARTS.values()])
    solver.solve(Problem(field, x0))
    with Waits() as together:
        solver.solve(Problem(field, x0))
    apart = 0
    for part in PARTS.values():
        with Waits() as alone:
            solver.solve(Problem(lambda x, t: -x, part))
        apart += alone.operations
    assert together.waits == 0
    assert together.operations <= apart + 10  # the state split at the start and joined at the end


@pytest.mark.parametrize("name", ["euler", "rk4", "ab2"])
def test_a_part_may_move_by_another_or_by_a_piece_of_it(name):
    """dx/dt = v: the velocity of one part is the other itself, which the solver overwrites."""
    x, v = torch.ones(3, 2), torch.linspace(1, 2, 12).view(3, 4)

    def aliased(parts: Any, t: Tensor) -> Any:
        return parts[1][:, 2:], -parts[1]

    state = ProductState.of((x, v))
    solver = create("solver", name, nfe=16)
    solution = solver.solve(Problem(state.field(aliased), state.join((x, v))))
    copied = state.field(lambda p, t: (p[1][:, 2:].clone(), -p[1]))
    wanted = solver.solve(
        Problem(copied, state.join((x, v)), callback=lambda moment: None)  # by the joined state
    )
    torch.testing.assert_close(solution.x, wanted.x)
    assert torch.equal(v, torch.linspace(1, 2, 12).view(3, 4))


def test_error_norm_spans_all_parts():
    """A part that stands still shares the tolerance: the other's steps grow longer."""
    x = torch.ones(1, 2, dtype=torch.float64)
    alone = create("solver", "dopri5").solve(Problem(lambda x, t: -5 * x, x))
    parts = (x, torch.zeros(1, 200, dtype=torch.float64))
    state = ProductState.of(parts)
    beside = create("solver", "dopri5").solve(
        Problem(state.field(lambda p, t: (-5 * p[0], 0 * p[1])), state.join(parts))
    )
    assert beside.stats.steps < alone.stats.steps


def test_divergence_and_gradients_are_those_of_all_parts():
    rate = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    parts = (torch.ones(2, 3, dtype=torch.float64), torch.ones(2, 1, 2, dtype=torch.float64))
    state = ProductState.of(parts)
    field = state.field(lambda p, t: (-rate * p[0], 2 * rate * p[1]))
    problem = Problem(field, state.join(parts), augmentation=Augmentation(), grad="checkpoint")
    solution = create("solver", "rk4", nfe=16).solve(problem)
    torch.testing.assert_close(solution.logdet, torch.full((2,), 0.5).double() * (-3 + 4))
    _, second = state.split(solution.x)
    (slope,) = torch.autograd.grad(second.sum(), rate)
    torch.testing.assert_close(slope, 8 * torch.tensor(1.0).double().exp(), rtol=1e-3, atol=0)


def test_trajectories_split_too_and_conditions_reach_the_field():
    seen: list[Tensor] = []

    def field(parts: Any, t: Tensor, condition: dict[str, Tensor]) -> Any:
        seen.append(condition["label"])
        return {name: -x for name, x in parts.items()}

    problem = Problem(
        STATE.field(field),
        STATE.join(PARTS),
        condition={"label": torch.arange(4)},
        times=(0.0, 1.0),
    )
    solution = create("solver", "midpoint", nfe=8).solve(problem)
    states = STATE.split(solution.trajectory)
    assert states["frame"].shape == (2, 4, 2, 2)
    torch.testing.assert_close(states["frame"][0], PARTS["frame"])
    assert seen[0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((), "got none"),
        ((torch.zeros(2, 3), torch.zeros(3, 3)), r"one batch size, .* \(2, 3\).* \(3, 3\)"),
        ((torch.zeros(2, 3), torch.zeros(2, 3).double()), "one batch size, dtype and device"),
        ((torch.tensor(1.0),), r"tensors \(batch, \*shape\)"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(parts, message):
    with pytest.raises(ComponentError, match=message):
        ProductState.of(parts)


@pytest.mark.parametrize(
    "returned",
    [
        {"position": PARTS["position"]},
        {"position": PARTS["position"], "frames": PARTS["frame"]},
        {"position": PARTS["position"], "frame": PARTS["position"]},
        tuple(PARTS.values()),
    ],
)
def test_a_field_that_returns_other_parts_is_refused(returned):
    problem = Problem(STATE.field(lambda parts, t: returned), STATE.join(PARTS))
    with pytest.raises(ComponentError, match=r"where the state has \{position: \(3,\), frame"):
        create("solver", "euler").solve(problem)


def test_a_tuple_given_as_the_state_is_told_of_it():
    with pytest.raises(ComponentError, match=r"got tuple: .* fmcore\.solving\.ProductState"):
        create("solver", "euler").solve(Problem(coupled, tuple(PARTS.values())))
