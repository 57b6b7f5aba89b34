"""The divergence by forward-mode differentiation is that by backward passes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from fmcore import ComponentError, Problem, Solution, create, log_prob
from fmcore.flow.gaussian_mixture import eight_gaussians
from fmcore.solving import Augmentation

LINEAR = create("path", "linear")


class Network(nn.Module):
    """A small convolution over (2, 3, 3) that depends on time and a condition."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(2, 8, 3, padding=1, dtype=torch.float64)
        self.norm = nn.GroupNorm(2, 8, dtype=torch.float64)
        self.last = nn.Conv2d(8, 2, 3, padding=1, dtype=torch.float64)

    def forward(self, x: Tensor, t: Tensor, condition: dict[str, Tensor]) -> Tensor:
        hidden = self.norm(self.first(x)) * (1 + t * condition["gain"])[:, None, None, None]
        velocity: Tensor = self.last(nn.functional.silu(hidden))
        return velocity


class Backward(torch.autograd.Function):
    """x^2 with a backward derivative alone."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 2 * x * grad


def along(field: Callable[[Tensor, Tensor], Tensor]) -> Solution:
    """One step from ones, with the divergence."""
    problem = Problem(field, torch.ones(3, 2), augmentation=Augmentation(autodiff="forward"))
    return create("solver", "euler", steps=1).solve(problem)


@pytest.mark.parametrize(
    ("solver", "options"), [("midpoint", {"nfe": 6}), ("bosh3", {"rtol": 1e-2})]
)
@pytest.mark.parametrize(
    "how", [{}, {"divergence": "hutchinson", "n_probes": 2, "probe": "gaussian"}]
)
def test_both_modes_give_the_same_value(solver, options, how):
    x0 = torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    condition = {"gain": torch.linspace(0, 1, 4, dtype=torch.float64)}
    solutions = [
        create("solver", solver, **options).solve(
            Problem(
                Network(), x0, condition=condition, augmentation=Augmentation(**how, autodiff=by)
            )
        )
        for by in ("reverse", "forward")
    ]
    assert float(solutions[0].logdet.abs().min()) > 1e-3
    torch.testing.assert_close(solutions[1].logdet, solutions[0].logdet, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(solutions[1].x, solutions[0].x, rtol=1e-9, atol=1e-9)
    assert not solutions[1].logdet.requires_grad


def test_density_is_the_same_even_of_a_field_that_keeps_no_graph():
    field = eight_gaussians(LINEAR)
    x1 = field.draw(8, torch.Generator().manual_seed(0))
    solver = create("solver", "midpoint", nfe=16)
    wanted = log_prob(field, x1, path=LINEAR, solver=solver).log_prob
    found = log_prob(
        torch.no_grad()(field), x1, path=LINEAR, solver=solver, autodiff="forward"
    )  # needs no graph
    torch.testing.assert_close(found.log_prob, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("grad", ["direct", "checkpoint"])
def test_gradients_flow_through_it(grad):
    def slope(by: str, how: str) -> Tensor:
        rate = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
        x0 = torch.linspace(0.2, 1.0, 6, dtype=torch.float64).view(3, 2)
        problem = Problem(
            lambda x, t: -rate * x.square(),
            x0,
            augmentation=Augmentation("hutchinson", autodiff=by),
            grad=how,
        )
        logdet = create("solver", "midpoint", steps=6).solve(problem).logdet
        (found,) = torch.autograd.grad(logdet.sum(), rate)
        return found

    torch.testing.assert_close(
        slope("forward", grad), slope("reverse", "direct"), rtol=1e-9, atol=1e-9
    )


def test_a_velocity_that_does_not_depend_on_x_has_none():
    solution = create("solver", "euler").solve(
        Problem(
            lambda x, t: torch.ones_like(x),
            torch.zeros(3, 2),
            augmentation=Augmentation(autodiff="forward"),
        )
    )
    assert solution.logdet.tolist() == [0, 0, 0]


def test_a_field_that_cuts_its_tangents_is_refused():
    problem = Problem(
        lambda x, t: -x.detach(), torch.ones(3, 2), augmentation=Augmentation(autodiff="forward")
    )
    with pytest.raises(ComponentError, match="detach nothing"):
        create("solver", "euler").solve(problem)


def test_a_field_without_forward_derivative_is_refused_with_the_other_mode():
    with pytest.raises(
        ComponentError, match=r"autodiff='forward' needs .*; use autodiff='reverse'"
    ):
        along(lambda x, t: Backward.apply(x))


def test_a_mistake_of_the_field_is_shown_as_its_own():
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        along(lambda x, t: x @ x)
