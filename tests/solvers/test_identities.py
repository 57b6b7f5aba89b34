"""Identities between solvers, and problems that they solve exactly."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from fmcore import AffinePath, ComponentError, Path, Problem, create
from fmcore.flow.gaussian_mixture import GaussianMixtureField, eight_gaussians
from fmcore.solving import canonical
from fmcore_solvers.adams_bashforth import integrals_of_lagrange
from fmcore_solvers.phi import phi

LINEAR = create("path", "linear")
VP = create("path", "vp")
COSINE = create("path", "cosine")
REFERENCE = create("solver", "dopri8", rtol=1e-12, atol=1e-12)


def solver(name: str, **options: object) -> object:
    return create("solver", name, **options)


def lam_grid(path: AffinePath, n: int, low: float = -3.0, high: float = 3.0) -> list[float]:
    lams = torch.linspace(low, high, n + 1, dtype=torch.float64)
    return path.inverse_log_snr(2 * lams).tolist()


def test_euler_is_ddim_where_the_schedule_is_straight() -> None:
    euler, ddim = (canonical(solver(n, steps=7).plan(path=LINEAR)) for n in ("euler", "ddim"))
    assert euler.close_to(ddim)


def test_euler_is_not_ddim_where_the_schedule_is_curved() -> None:
    euler, ddim = (canonical(solver(n, steps=7).plan(0.1, 0.9, VP)) for n in ("euler", "ddim"))
    assert not euler.close_to(ddim, tolerance=1e-3)


@pytest.mark.parametrize("path", [LINEAR, VP, COSINE])
def test_uncorrected_unipc_of_order_two_is_dpmpp_2m(path: AffinePath) -> None:
    unipc = solver("unipc", steps=9, p=2, variant="bh2", corrector=False).plan(path=path)
    assert canonical(unipc).close_to(canonical(solver("dpmpp_2m", steps=9).plan(path=path)))


@pytest.mark.parametrize("name", ["ddim", "dpmpp_2m", "dpmpp_3m", "dpmpp_2s", "unipc", "edm_heun"])
def test_exponential_integrators_depend_on_the_schedule_through_lambda_alone(name: str) -> None:
    """On two paths with the same grid in lambda, x/sqrt(alpha^2 + sigma^2) is the same."""
    ends = []
    for path in (LINEAR, COSINE):
        grid = lam_grid(path, 12)
        scales = []
        for t in (grid[0], grid[-1]):
            c = path.coefficients(torch.tensor(t, dtype=torch.float64))
            scales.append(float((c.alpha**2 + c.sigma**2).sqrt()))
        x0 = torch.linspace(-2, 2, 10, dtype=torch.float64).reshape(5, 2) * scales[0]
        problem = Problem(eight_gaussians(path), x0, grid[0], grid[-1], path=path)
        ends.append(solver(name, grid=grid).solve(problem).x / scales[1])
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("name", "path"), [("ddim", VP), ("ddim", COSINE), ("euler", LINEAR)])
def test_one_step_reaches_a_single_point_of_data_exactly(name: str, path: AffinePath) -> None:
    point = [[0.7, -1.3]]
    field = GaussianMixtureField(path, point, [1e-9])
    x0 = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = solver(name, steps=1).solve(Problem(field, x0, path=path)).x
    c = path.coefficients(torch.tensor([0.0, path.t_max], dtype=torch.float64))
    noise = (x0 - c.alpha[0] * torch.tensor(point)) / c.sigma[0]
    expected = c.alpha[1] * torch.tensor(point) + c.sigma[1] * noise
    torch.testing.assert_close(x, expected, rtol=1e-6, atol=1e-6)


class Inexact(type(COSINE)):  # type: ignore[misc]
    """sigma(1) = cos(pi/2), which is 6e-17 in float64."""

    def coefficients(self, t: torch.Tensor) -> object:
        c = super().coefficients(t)
        sigma = (math.pi / 2 * t).cos()
        return type(c)(alpha=c.alpha, sigma=sigma, d_alpha=math.pi / 2 * sigma, d_sigma=c.d_sigma)


@pytest.mark.parametrize("name", ["dpmpp_2m", "dpmpp_3m", "unipc", "dpmpp_2s", "edm_heun"])
def test_the_last_step_is_of_first_order_where_sigma_is_zero_up_to_rounding(name: str) -> None:
    x0 = torch.randn(32, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    errors = []
    for path in (COSINE, Inexact()):
        problem = Problem(eight_gaussians(path), x0, path=path)
        reference = REFERENCE.solve(Problem(eight_gaussians(COSINE), x0, path=COSINE)).x
        x = solver(name, nfe=64, grid="uniform").solve(problem).x
        errors.append(float((x - reference).square().mean().sqrt()))
    assert errors[1] < 1.5 * errors[0] + 1e-4


def test_a_long_last_step_is_not_extrapolated() -> None:
    """Just below t = 1 of `linear`, lambda grows without bound in the last step."""
    x0 = torch.randn(64, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    field = eight_gaussians(LINEAR)
    problem = Problem(field, x0, 0.0, 1 - 1e-5, path=LINEAR)
    reference = REFERENCE.solve(problem).x
    x = solver("dpmpp_2m", nfe=64, grid="uniform").solve(problem).x
    assert float((x - reference).square().mean().sqrt()) < 2e-3


@pytest.mark.parametrize("name", ["ddim", "dpmpp_2m", "dpmpp_3m", "dpmpp_2s", "unipc", "edm_heun"])
@pytest.mark.parametrize("path", [LINEAR, VP, COSINE])
def test_exponential_integrators_solve_backwards_from_data_to_noise(
    name: str, path: AffinePath
) -> None:
    field = eight_gaussians(path)
    x0 = torch.randn(32, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x1 = REFERENCE.solve(Problem(field, x0, 0.0, 0.95, path=path)).x
    back = solver(name, nfe=200, grid="uniform").solve(Problem(field, x1, 0.95, 0.0, path=path)).x
    assert back.isfinite().all()
    assert float((back - x0).square().mean().sqrt()) < 0.1


def test_few_steps_of_unipc_on_vp_beat_every_runge_kutta_method() -> None:
    x0 = torch.randn(96, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    problem = Problem(eight_gaussians(VP), x0, path=VP)
    reference = REFERENCE.solve(problem).x

    def error(name: str, grid: str) -> float:
        x = solver(name, nfe=16, grid=grid).solve(problem).x
        return float((x - reference).square().mean().sqrt())

    rivals = ("euler", "midpoint", "heun2", "ralston2", "heun3", "rk4", "rk4_38")
    best = min(error(name, grid) for name in rivals for grid in ("uniform", "lambda"))
    assert error("unipc", "auto") <= best / 3


def test_paths_that_are_not_affine_are_refused_with_the_remedy() -> None:
    class Geodesic(Path):
        def sample(self, x0, x1, t): ...
        def noise(self): ...
        def prior(self): ...

    with pytest.raises(ComponentError, match=r"solver 'unipc'.*Geodesic is not one.*'midpoint'"):
        solver("unipc", nfe=8).check(Geodesic())


def test_adams_bashforth_weights_are_the_textbooks_on_equal_steps() -> None:
    np.testing.assert_allclose(
        integrals_of_lagrange([2.0, 1.0, 0.0], 2.0, 3.0), [23 / 12, -16 / 12, 5 / 12], rtol=1e-13
    )


def test_phi_is_continuous_where_its_formula_changes() -> None:
    for k in range(5):
        assert math.isclose(phi(k, 1 - 1e-12), phi(k, 1.0), rel_tol=1e-10)
        assert math.isclose(phi(k, -1 + 1e-12), phi(k, -1.0), rel_tol=1e-10)


@pytest.mark.parametrize(
    ("name", "options"),
    [("torchdiffeq:dopri5", {"rtol": math.inf}), ("torchdiffeq:bosh3", {"atol": math.inf})],
)
def test_infinite_tolerances_of_the_baseline_are_refused(name: str, options: dict) -> None:
    with pytest.raises(ComponentError, match=f"solver '{name}': rtol and atol must be positive"):
        type(create("solver", name))(**options)


@pytest.mark.parametrize("name", ["torchdiffeq:dopri5", "torchdiffeq:rk4"])
def test_the_baseline_solves_states_of_one_number_per_sample(name: str) -> None:
    x0 = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    options = {"steps": 20} if name.endswith("rk4") else {}
    x = solver(name, **options).solve(Problem(lambda x, t: -x, x0)).x
    torch.testing.assert_close(x, x0 / math.e, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dopri5", {"rtol": math.inf}),
        ("dopri5", {"atol": math.inf}),
        ("dopri5", {"rtol": -1e-5}),
        ("dopri5", {"rtol": 0.0, "atol": 0.0}),
        ("dopri5", {"first_step": math.inf}),
        ("euler_maruyama", {"noise": math.inf}),
        ("euler_maruyama", {"noise": -1.0}),
        ("unipc", {"p": 4}),
        ("euler", {"nfe": 0}),
        ("euler", {"grid": [0.0, math.inf]}),
        ("euler", {"grid": [0.0, 0.5, 0.4]}),
    ],
)
def test_options_out_of_range_are_refused_by_name(name: str, options: dict) -> None:
    with pytest.raises(ComponentError, match=f"solver '{name}'.*{next(iter(options))}"):
        solver(name, **options)
