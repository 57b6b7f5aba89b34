"""Adams methods with variable steps: exact weights, order of convergence, error control, cost."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fmcore import ComponentError, Problem, create
from fmcore.solving import Augmentation
from fmcore.solving.adaptive.multistep import adams_weights, predictor_weights


def test_weights_integrate_polynomials_on_uneven_nodes_exactly() -> None:
    nodes = torch.tensor([[0.0, -0.7, -1.1, -2.9], [0.0, -1.0, 9.0, 9.0]], dtype=torch.float64)
    theta = torch.tensor([[1.0, 0.3], [1.0, 0.3]], dtype=torch.float64)
    weights = adams_weights(nodes, torch.tensor([4, 2]), theta)
    assert (weights[1, :, 2:] == 0).all()
    for row, degrees in ((0, range(4)), (1, range(2))):
        for m in degrees:
            found = weights[row] @ nodes[row] ** m
            torch.testing.assert_close(found, theta[row] ** (m + 1) / (m + 1))


def test_two_equal_steps_give_the_classical_weights() -> None:
    nodes, one = torch.tensor([[0.0, -1.0]], dtype=torch.float64), torch.ones(1, 1).double()
    weights = adams_weights(nodes, torch.tensor([2]), one)[0, 0]
    torch.testing.assert_close(weights, torch.tensor([1.5, -0.5], dtype=torch.float64))


def test_four_equal_steps_give_the_classical_predictor_and_corrector() -> None:
    """Adams-Bashforth over four velocities, their extrapolation, and 251/720 for their difference:
    the weight of the new velocity in Adams-Moulton.
    """
    weights, gain = predictor_weights(-np.arange(4.0)[:, None], np.array([4]))
    np.testing.assert_allclose(weights[0, :, 0], np.array([55, -59, 37, -9]) / 24, rtol=1e-13)
    np.testing.assert_allclose(weights[1, :, 0], [4, -6, 4, -1], rtol=1e-13)
    np.testing.assert_allclose(gain, [251 / 720], rtol=1e-13)


@pytest.mark.parametrize("library", [np.asarray, torch.from_numpy])
def test_a_predictor_integrates_and_extrapolates_polynomials_exactly(library: object) -> None:
    """In any order of the nodes; with the gain, also the next degree where the new value is
    known.
    """
    nodes = np.array([[-0.7, -1.1], [0.0, 0.0], [-2.9, -7.0], [-1.3, -8.0]])
    counts = np.array([4, 2])
    weights, gain = predictor_weights(library(nodes), library(counts))
    weights, gain = np.asarray(weights), np.asarray(gain)
    assert (weights[:, 2:, 1] == 0).all()
    for row, count in enumerate(counts):
        for degree in range(count + 1):
            integral, value = weights[:, :, row] @ nodes[:, row] ** degree
            assert integral + gain[row] * (1 - value) == pytest.approx(1 / (degree + 1), abs=1e-12)
            assert degree == count or value == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("options", [{}, {"max_active": 2}, {"step_control": "batch_rms"}])
def test_the_host_decides_as_the_device_does(options: dict[str, object]) -> None:
    """With states on the way and the divergence, whose integral is -(3/4) t for this field."""
    x0 = torch.linspace(0.1, 3.0, 10, dtype=torch.float64).view(5, 2)
    problem = Problem(
        lambda x, t: -x * torch.tensor([0.5, 0.25]),
        x0,
        times=(0.3, 0.9),
        augmentation=Augmentation(),
    )
    host, device = (
        create("solver", "adams", sync_every=every, **options).solve(problem) for every in (1, 2)
    )
    assert host.stats.nfe.tolist() == device.stats.nfe.tolist()
    assert host.stats.rejected == device.stats.rejected
    for name in ("x", "trajectory", "logdet"):
        torch.testing.assert_close(getattr(host, name), getattr(device, name))
    torch.testing.assert_close(host.logdet, torch.full((5,), -0.75).double(), rtol=0, atol=1e-4)


def errors(tolerance: float, **options: object) -> tuple[float, float]:
    """Return the largest error and the mean evaluations on dx/dt = -(1 + t) x^2, which has
    x(1) = x0 / (1 + 3/2 x0).
    """
    x0 = torch.tensor([[0.5], [1.0], [2.0]], dtype=torch.float64)
    solver = create("solver", "adams", rtol=tolerance, atol=tolerance, **options)
    solution = solver.solve(Problem(lambda x, t: -(1 + t).unsqueeze(1) * x * x, x0))
    error = float((solution.x - x0 / (1 + 1.5 * x0)).abs().max())
    return error, float(solution.stats.nfe.double().mean())


@pytest.mark.parametrize("control", ["per_sample", "batch_max", "batch_rms"])
def test_error_follows_the_tolerance_and_cost_grows_at_fifth_order(control: str) -> None:
    loose, few = errors(1e-7, step_control=control)
    tight, many = errors(1e-11, step_control=control)
    assert loose < 1e-6
    assert tight < 1e-10
    # 1e4 in error costs 1e4^(1/5) = 6.3 times the steps at order 5, 10 at order 4
    assert many / few < 8


def test_an_attempt_costs_one_evaluation() -> None:
    x0 = torch.ones(4, 2, dtype=torch.float64)
    solution = create("solver", "adams").solve(Problem(lambda x, t: -x, x0))
    assert solution.stats.calls == solution.stats.steps + 2


def test_gradients_are_refused() -> None:
    problem = Problem(lambda x, t: -x, torch.ones(2, 1), grad="direct")
    with pytest.raises(ComponentError, match=r"gives no gradients: .* 'dopri5'"):
        create("solver", "adams").solve(problem)
