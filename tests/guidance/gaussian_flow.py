"""Exact fields of Gaussians and Gaussian mixtures, and their exact posteriors."""

from __future__ import annotations

import torch
from torch import Tensor

from fmcore import Field, VectorField, create


class GaussianNet(VectorField):
    """The exact velocity of N(mean, covariance) along `path`, from N(0, I)."""

    def __init__(self, path, mean: Tensor, covariance: Tensor):
        super().__init__()
        self.along, self.mean, self.covariance = path, mean, covariance

    def forward(self, x, t, condition=None):
        c = self.along.coefficients(t)
        alpha, sigma = c.alpha[:, None, None], c.sigma[:, None, None]
        total = alpha**2 * self.covariance + sigma**2 * torch.eye(len(self.mean)).to(x)
        away = torch.linalg.solve(total, (x - c.alpha[:, None] * self.mean)[..., None])
        x1 = self.mean + (alpha * self.covariance @ away)[..., 0]
        x0 = (sigma * away)[..., 0]
        return c.d_alpha[:, None] * x1 + c.d_sigma[:, None] * x0


class MixtureNet(VectorField):
    """The exact velocity of a closed-form mixture."""

    def __init__(self, mixture):
        super().__init__()
        self.mixture = mixture

    def forward(self, x, t, condition=None):
        return self.mixture(x, t)


def field_of(net, path):
    return Field(net, path, create("objective", "flow_matching"))


def posterior(mean: Tensor, covariance: Tensor, matrix: Tensor, noise: float, y: Tensor):
    """The mean and covariance of x1 given y = matrix x1 + noise n."""
    gain = covariance @ matrix.T
    inner = matrix @ gain + noise**2 * torch.eye(len(y)).to(y)
    gain = gain @ torch.linalg.inv(inner)
    return mean + gain @ (y - matrix @ mean), covariance - gain @ matrix @ covariance
