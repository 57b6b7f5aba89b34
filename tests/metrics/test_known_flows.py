"""Likelihoods along flows whose velocity is known in closed form, on every affine path."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from fmcore import AffinePath, VectorField, create
from fmcore.interfaces.tensors import append_dims
from fmcore_metrics.bits_per_dim import BitsPerDim
from fmcore_metrics.nll import NLL

from .conftest import Evaluate, Pictures, Points, Stream, measured

PATHS = ["ot", "linear", "cosine", "polynomial", "vp", "ve"]

NEARLY_THE_PRIOR = {"vp": 2e-2, "ve": 2e-2}
"""Paths whose first marginal only approximates their prior, and the error of log p by it."""


class Mixture(VectorField):
    """The marginal velocity for data from isotropic normal distributions of equal weight."""

    def __init__(self, path: AffinePath, means: Tensor, width: float) -> None:
        super().__init__()
        self.path, self.width = path, width
        self.register_buffer("means", means.double())
        self.weight = torch.nn.Parameter(torch.ones(()))  # so that it has a device

    def forward(self, x: Tensor, t: Tensor, condition: Any = None) -> Tensor:
        c = self.path.coefficients(t.double())
        alpha, d_alpha = append_dims(c.alpha, x), append_dims(c.d_alpha, x)
        variance = append_dims(c.alpha**2 * self.width**2 + c.sigma**2, x)
        change = append_dims(c.alpha * c.d_alpha * self.width**2 + c.sigma_d_sigma, x)
        shape = (1, -1, *x.shape[1:])
        means = self.means.reshape(shape)  # (1, clouds, ...)
        apart = x[:, None] - alpha[:, None] * means
        square = apart.square().flatten(2).sum(2) / variance.flatten()[:, None]
        share = (-square / 2).softmax(1).reshape(*square.shape, *(1,) * (x.ndim - 1))
        velocities = d_alpha[:, None] * means + (change / variance)[:, None] * apart
        return (share * velocities).sum(1).to(x.dtype)

    def log_density(self, x: Tensor, path: AffinePath) -> Tensor:
        """Return the log-density at the path's end, where sigma is not 0."""
        end = path.coefficients(torch.tensor(path.t_max).double())
        variance = end.alpha**2 * self.width**2 + end.sigma**2
        x = x.double().flatten(1)
        square = (x[:, None] - end.alpha * self.means.reshape(1, -1, x.shape[1])).square().sum(2)
        log_volume = x.shape[1] / 2 * torch.log(2 * math.pi * variance)
        cloud = -square / (2 * variance) - log_volume
        return cloud.logsumexp(1) - math.log(cloud.shape[1])


@pytest.mark.parametrize("path_name", PATHS)
@pytest.mark.parametrize("clouds", [1, 3])
def test_nll_is_that_of_the_mixture(path_name: str, clouds: int, evaluation: Evaluate) -> None:
    path = create("path", path_name)
    means = torch.tensor([[0.4, -0.3], [-1.0, 0.5], [0.6, 0.9]])[:clouds]
    model = Mixture(path, means, width=0.5)
    data = Points(length=12)
    rows = Stream(data).rows(range(12))
    metric = NLL(dtype="float64")
    found = measured(metric, evaluation(data, model, path=path), rows)["nll"]
    assert rows.x is not None
    expected = -model.log_density(rows.x, path)
    off = NEARLY_THE_PRIOR.get(path_name, 1e-4)
    torch.testing.assert_close(found.per_sample, expected, rtol=off, atol=off)
    assert found.value == pytest.approx(float(expected.mean()), rel=off)
    assert found.provenance["divergence"] == "exact"
    assert found.details["nfe"] > 6


def test_bits_of_pictures_are_those_of_the_density(evaluation: Evaluate) -> None:
    """By the exact trace and by probes; the dequantised points are recomputed here."""
    from fmcore import Rows
    from fmcore.interfaces.levels import dequantized

    path = create("path", "ot")
    model = Mixture(path, torch.zeros(1, 1, 3, 3), width=0.4)
    data = Pictures(shape=(1, 3, 3), length=6)
    given = evaluation(data, model, path=path, seed=5)
    rows = Stream(data).rows(range(6))
    assert rows.levels is not None
    noise = Rows(5, "dequantise", 0, range(6))
    x = dequantized(rows.levels, 17, "uniform", noise, torch.float64)
    expected = -model.log_density(x, path) / (9 * math.log(2)) + math.log2(17 / 2)
    exact = measured(BitsPerDim(dtype="float64"), given, rows)["bits_per_dim"]
    torch.testing.assert_close(exact.per_sample, expected, rtol=1e-4, atol=1e-4)
    probes = BitsPerDim(dtype="float64", divergence="hutchinson", n_probes=4)
    estimated = measured(probes, given, rows)["bits_per_dim"]
    # The Jacobian is a multiple of the identity: rademacher probes are exact for it.
    torch.testing.assert_close(estimated.per_sample, expected, rtol=1e-4, atol=1e-4)


def test_a_likelihood_does_not_depend_on_the_batch(evaluation: Evaluate) -> None:
    path = create("path", "ot")
    model = Mixture(path, torch.tensor([[0.4, -0.3], [-1.0, 0.5]]), width=0.5)
    data = Points(length=9)
    given, stream = evaluation(data, model, path=path), Stream(data)
    metric = NLL(divergence="hutchinson", dtype="float64")
    whole = measured(metric, given, stream.rows(range(9)))["nll"]
    parts = measured(metric, given, stream.rows([4, 8]), stream.rows([0, 1, 2, 3, 5, 6, 7]))["nll"]
    torch.testing.assert_close(parts.per_sample, whole.per_sample, rtol=1e-9, atol=1e-9)
