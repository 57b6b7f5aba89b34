"""Exact flows: Gaussian mixtures along any affine path from N(0, I).

Data sum_k w_k N(mu_k, s_k^2 I).  At time t, with delta_k = x - alpha mu_k:

    c_k = alpha^2 s_k^2 + sigma^2                   variance of component k
    r_k ~ w_k N(x; alpha mu_k, c_k I)               its responsibility for x, summing to 1
    v_k = d_alpha mu_k + a_k delta_k,  a_k = (alpha d_alpha s_k^2 + sigma d_sigma) / c_k
    g_k = -delta_k / c_k
    u = sum_k r_k v_k,  score = sum_k r_k g_k
    div u = sum_k r_k [d a_k + (g_k - score) . v_k]
    x1 prediction = sum_k r_k (mu_k + alpha s_k^2 delta_k / c_k)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.path import AffinePath, Coefficients
from fmcore.interfaces.source import Condition

__all__ = ["GaussianMixtureField", "eight_gaussians", "gaussian", "stiff_mixture"]


@final
@dataclass(frozen=True)
class GaussianMixtureField:
    """The marginal velocity of `path` from N(0, I) to a mixture; `field(x, t)` for x `(batch, d)`.

    `means` holds K rows of d numbers, `stds` the K standard deviations s_k > 0 and `weights` the K
    weights > 0, which are normalized; by default they are equal.  Results have x's dtype and
    device.  Raises ComponentError for other numbers of means, stds and weights.
    """

    path: AffinePath
    means: Sequence[Sequence[float]]
    stds: Sequence[float]
    weights: Sequence[float] | None = None

    def __post_init__(self) -> None:
        weights = [1.0] * len(self.stds) if self.weights is None else list(self.weights)
        if (
            not len(self.means) == len(self.stds) == len(weights)
            or min([*self.stds, *weights]) <= 0
        ):
            raise ComponentError(
                "a mixture has as many means as widths and weights, all widths and weights above "
                "0; got "
                f"{len(self.means)} means, stds {list(self.stds)} and weights {weights}"
            )
        total = sum(weights)
        object.__setattr__(self, "means", tuple(tuple(map(float, mean)) for mean in self.means))
        object.__setattr__(self, "stds", tuple(map(float, self.stds)))
        object.__setattr__(self, "weights", tuple(w / total for w in weights))

    @property
    def dimensions(self) -> int:
        """The dimension d of a point."""
        return len(self.means[0])

    def __call__(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        """Return the velocity u at `x`, `(batch, d)`, and `t`, `(batch,)`."""
        return self.velocity(x, t)

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        """Return u at `x`, `(batch, d)`, and `t`, `(batch,)`."""
        m = self._mixture(x, t)
        return (m.r * m.velocities).sum(1)

    def score(self, x: Tensor, t: Tensor) -> Tensor:
        """Return the gradient of the log-density at time t, `(batch, d)`."""
        m = self._mixture(x, t)
        return (m.r * m.gradients).sum(1)

    def divergence(self, x: Tensor, t: Tensor) -> Tensor:
        """Return div u, `(batch,)`."""
        m = self._mixture(x, t)
        score = (m.r * m.gradients).sum(1, keepdim=True)
        cross = ((m.gradients - score) * m.velocities).sum(2, keepdim=True)
        return (m.r * (x.shape[1] * m.a + cross)).sum(1).squeeze(1)

    def data(self, x: Tensor, t: Tensor) -> Tensor:
        """Return the expectation of x1 given x at time t, `(batch, d)`."""
        m = self._mixture(x, t)
        pull = m.alpha * m.s**2 / m.c * m.delta
        return (m.r * (m.mu + pull)).sum(1)

    def log_prob(self, x: Tensor, t: Tensor) -> Tensor:
        """Return the log-density of the marginal at time t, in nats, `(batch,)`."""
        m = self._mixture(x, t)
        return m.log_shares.logsumexp(1).squeeze(1) - 0.5 * x.shape[1] * math.log(2 * math.pi)

    def exact(self, x: Tensor, t0: float, t1: float) -> tuple[Tensor, Tensor]:
        """Return the state at t1 of the flow from `x` at t0, `(batch, d)`, and the integral of
        div u from t0 to t1, `(batch,)`.

        Raises ComponentError for more than one component, which has no closed form.
        """
        if len(self.stds) != 1:
            raise ComponentError(f"the flow of {len(self.stds)} components has no closed form")
        start, end = (self._mixture(x, torch.full_like(x[:, 0], t)) for t in (t0, t1))
        growth = (end.c / start.c).sqrt()
        there = end.alpha * end.mu + growth * start.delta
        return there.squeeze(1), x.shape[1] * growth.log().flatten()

    def draw(
        self, n: int, generator: torch.Generator, dtype: torch.dtype = torch.float64
    ) -> Tensor:
        """Return `n` points of the mixture, `(n, d)`, on the CPU."""
        share = torch.tensor(self.weights, dtype=torch.float64)
        which = torch.multinomial(share, n, replacement=True, generator=generator)
        noise = torch.randn((n, self.dimensions), generator=generator, dtype=dtype)
        means, stds = (torch.tensor(v, dtype=dtype)[which] for v in (self.means, self.stds))
        return means + stds[:, None] * noise

    def _mixture(self, x: Tensor, t: Tensor) -> _Mixture:
        c = self.path.coefficients(t.to(x.dtype))
        mu = x.new_tensor(self.means)
        s = x.new_tensor(self.stds)[:, None]
        log_weights = x.new_tensor(self.weights).log()[:, None]
        return _Mixture.at(x[:, None, :], c, mu, s, log_weights)


class _Mixture(NamedTuple):
    """Quantities of each component at x, each `(batch, K, d)` or with 1 for K or d."""

    alpha: Tensor
    mu: Tensor
    s: Tensor
    c: Tensor
    delta: Tensor
    a: Tensor
    log_shares: Tensor
    r: Tensor
    velocities: Tensor
    gradients: Tensor

    @staticmethod
    def at(x: Tensor, schedule: Coefficients, mu: Tensor, s: Tensor, log_w: Tensor) -> _Mixture:
        alpha, sigma, d_alpha, product = (
            v[:, None, None]
            for v in (schedule.alpha, schedule.sigma, schedule.d_alpha, schedule.sigma_d_sigma)
        )
        c = alpha**2 * s**2 + sigma**2
        delta = x - alpha * mu
        a = (alpha * d_alpha * s**2 + product) / c
        distance = delta.square().sum(2, keepdim=True) / c
        log_shares = log_w - 0.5 * (distance + x.shape[2] * c.log())
        return _Mixture(
            alpha=alpha,
            mu=mu,
            s=s,
            c=c,
            delta=delta,
            a=a,
            log_shares=log_shares,
            r=log_shares.softmax(1),
            velocities=d_alpha * mu + a * delta,
            gradients=-delta / c,
        )


def gaussian(path: AffinePath, dimensions: int = 2) -> GaussianMixtureField:
    """Return one component off the centre: its solution and density have closed forms."""
    mean = [1.5 if i % 2 == 0 else -0.5 for i in range(dimensions)]
    return GaussianMixtureField(path, [mean], [0.4])


def eight_gaussians(path: AffinePath) -> GaussianMixtureField:
    """Return eight components of standard deviation 0.1 on a circle of radius 4."""
    angles = [math.pi / 4 * k for k in range(8)]
    return GaussianMixtureField(
        path, [[4 * math.cos(v), 4 * math.sin(v)] for v in angles], [0.1] * 8
    )


def stiff_mixture(path: AffinePath) -> GaussianMixtureField:
    """Return a wide and a very narrow component (0.005): half of the samples are stiff."""
    return GaussianMixtureField(path, [[-3.0, 0.0], [3.0, 0.0]], [1.0, 0.005])
