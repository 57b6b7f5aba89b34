"""Checks of the laws that `AffinePath` adds to those of `Path`; skipped for other paths."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fmcore.interfaces.gaussian import Gaussian
from fmcore.interfaces.path import AffinePath, Coefficients, Quantity
from fmcore.testing.checks import require, require_close, skip
from fmcore.testing.derivative import central_difference, derivative
from fmcore.testing.times import from_end_to_end, inside, shown

__all__ = ["AffineChecks"]


class AffineChecks:
    """Checks of schedule, marginal velocity and conversions; part of `PathSuite`."""

    def component(self) -> Any:
        """Return the path to test."""
        raise NotImplementedError

    def pairs(self, n: int, shape: tuple[int, ...], seed: int = 0) -> tuple[Tensor, Tensor]:
        """Return `n` draws of x0 and of x1."""
        raise NotImplementedError

    def test_coefficients_are_consistent(self) -> None:
        """Coefficients have t's shape and dtype; sigma_d_sigma is sigma times d_sigma."""
        path = _affine(self.component())
        for dtype in (torch.float64, torch.float32):
            t = inside(path, 12).to(dtype).reshape(3, 4)
            c = path.coefficients(t)
            for name, value in vars(c).items():
                found = f"{tuple(value.shape)}, {value.dtype}"
                wanted = f"{tuple(t.shape)}, {t.dtype}"
                require(found == wanted, f"{name} is {found}; t is {wanted}")
        c = path.coefficients(inside(path, 12))
        require_close(c.sigma_d_sigma, c.sigma * c.d_sigma, "sigma_d_sigma", rtol=1e-6)

    def test_log_snr_increases_and_has_an_inverse(self) -> None:
        """log(alpha^2 / sigma^2) is strictly increasing, and inverse_log_snr inverts it."""
        path = _affine(self.component())
        t = inside(path, 65)
        log_snr = path.log_snr(t)
        falls = t[1:][log_snr.diff() <= 0]
        require(
            len(falls) == 0,
            f"the signal-to-noise ratio does not increase before t = {shown(falls)}: "
            "do alpha and sigma run from noise to data?",
        )
        require_close(path.inverse_log_snr(log_snr), t, "inverse_log_snr(log_snr(t))", rtol=1e-6)

    def test_expected_velocity_is_the_marginal_one_of_gaussian_data(self) -> None:
        """For Gaussian data, E[ut | xt] = m' + (s'/s)(xt - m), with m and s the mean and standard
        deviation of xt (Thm 3 for the marginal)."""
        path = _affine(self.component())
        x0, x1 = _two_moments(path, mean=0.7, spread=0.4)

        def moments(t: Tensor) -> Tensor:
            xt = path.sample(x0, x1, t.expand(len(x0))).xt
            return torch.stack([xt.mean(), xt.std(correction=0).log()])

        for t in inside(path, 9):
            at = path.sample(x0, x1, t.expand(len(x0)))
            away = at.xt - at.xt.mean()
            found = torch.stack([at.ut.mean(), (at.ut * away).mean() / away.square().mean()])
            require_close(
                found,
                central_difference(moments, t),
                f"E[ut] and the slope of E[ut | xt] at t = {t:.4g}",
                rtol=1e-4,
                atol=1e-5,
            )

    def test_marginal_velocity_generates_the_marginal_path(self) -> None:
        """d/dt p + d/dx (p u) = 0 in one dimension, for data at two points: p is the mixture of
        N(alpha x1, sigma^2), and u is `convert` of E[x1 | xt] (Thm 1)."""
        path = _affine(self.component())
        if not isinstance(path.source, Gaussian):
            skip(f"{type(path.source).__name__} has no closed-form marginals")
        noise, data = path.source.temperature, torch.tensor([-0.8, 1.1], dtype=torch.float64)
        z = torch.linspace(-2, 2, 21, dtype=torch.float64)

        def log_joint(x: Tensor, t: Tensor) -> Tensor:
            """Return log p(x | x1) up to a constant, for both x1."""
            c = path.coefficients(t)
            width = (noise * c.sigma)[:, None]
            return -0.5 * ((x[:, None] - c.alpha[:, None] * data) / width).square() - width.log()

        def flux(x: Tensor, t: Tensor) -> Tensor:
            joint = log_joint(x, t)
            x1 = joint.softmax(1) @ data
            u = path.convert(x1[:, None], x[:, None], t, source="data", target="velocity")
            return joint.exp().sum(1) * u[:, 0]

        for time in inside(path, 7):
            t, c = time.expand(2 * len(z)), path.coefficients(time)
            x = torch.cat([c.alpha * x1 + noise * c.sigma * z for x1 in data])
            change = derivative(lambda s: log_joint(x, s).exp().sum(1), t)  # noqa: B023
            carried = derivative(lambda y: flux(y, t), x)  # noqa: B023
            size = carried.abs().max() + 1e-6
            message = f"d p / dt, which should be -d (p u) / dx, at t = {time:.4g}"
            require_close(change / size, -carried / size, message, atol=1e-5)

    def test_conversions_give_back_the_drawn_pair(self) -> None:
        """From each of velocity, data, noise and score, `convert` gives the drawn ut, x1, x0 and
        score; at the ends too, where they are determined."""
        path = _affine(self.component())
        t = torch.cat([inside(path, 5), from_end_to_end(path, 2)])
        x0, x1 = self.pairs(len(t), (3,))
        s, c = path.sample(x0, x1, t), path.coefficients(t)
        drawn: dict[Quantity, Tensor] = {"velocity": s.ut, "data": x1, "noise": x0}
        if isinstance(path.source, Gaussian):
            drawn["score"] = -x0 / (c.sigma[:, None] * path.source.temperature**2)
        for source, value in drawn.items():
            for target, wanted in drawn.items():
                rows = _determined(source, target, c) & (value + wanted).isfinite().all(1)
                found = path.convert(value, s.xt, t, source=source, target=target)
                message = f"convert from {source} to {target} at t = {shown(t[rows])}"
                require_close(found[rows], wanted[rows], message, rtol=1e-6, atol=1e-6)


def _affine(path: Any) -> AffinePath:
    if not isinstance(path, AffinePath):
        skip(f"{type(path).__name__} is not an affine path")
    return path


def _two_moments(path: AffinePath, mean: float, spread: float) -> tuple[Tensor, Tensor]:
    """Return four equally likely pairs in one dimension, with the first two moments of independent
    Gaussian noise and data.

    E[ut | xt] is linear for Gaussians and depends on these moments alone.
    """
    noise = path.source.temperature if isinstance(path.source, Gaussian) else 1.0
    x0 = noise * torch.tensor([-1.0, -1.0, 1.0, 1.0], dtype=torch.float64)
    x1 = mean + spread * torch.tensor([-1.0, 1.0, -1.0, 1.0], dtype=torch.float64)
    return x0[:, None], x1[:, None]


def _determined(source: Quantity, target: Quantity, c: Coefficients) -> Tensor:
    """Return at which times xt and the source quantity determine the target.

    Noise does not determine the data at alpha = 0; data do not determine the noise at sigma = 0,
    where the score is infinite; a velocity proportional to xt determines nothing.
    """
    has_noise, has_data = c.sigma > 1e-6, c.alpha > 1e-6
    if source == target:
        return torch.ones_like(has_noise)
    determined = {
        "velocity": c.sigma * c.d_alpha - c.d_sigma * c.alpha > 1e-6,
        "data": has_noise,
        "noise": has_data,
        "score": has_data & has_noise,
    }[source]
    return determined & has_noise if target == "score" else determined
