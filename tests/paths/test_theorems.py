"""Theorem 2: the gradients of CFM and FM are equal, on a small empirical dataset, with all
integrals over xt computed by Gauss-Hermite quadrature."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from fmcore import create

DATA = torch.tensor([-1.2, 0.1, 0.9], dtype=torch.float64)


def network():
    g = torch.Generator().manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 1)).double()
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(0.4 * torch.randn(p.shape, generator=g, dtype=torch.float64))
    return net


def marginal_velocity(path, x, t):
    """Equation 8: the conditional velocities, weighted by the probability of x1 given x."""
    c = path.coefficients(t)
    away = x[:, None] - c.alpha[:, None] * DATA
    likely = (-0.5 * (away / c.sigma[:, None]).square()).softmax(1)
    conditional = (c.d_sigma / c.sigma)[:, None] * away + c.d_alpha[:, None] * DATA
    return (likely * conditional).sum(1)


@pytest.mark.parametrize("name", ["ot", "vp", "cosine"])
def test_gradients_of_conditional_and_marginal_flow_matching_are_equal(name):
    path, net = create("path", name), network()
    nodes, weights = (torch.from_numpy(v) for v in np.polynomial.hermite_e.hermegauss(120))
    weights = weights / weights.sum()
    losses = {"conditional": 0.0, "marginal": 0.0}
    for time in (0.15, 0.5, 0.7):
        for x1 in DATA:
            t = torch.full_like(nodes, time)
            s = path.sample(nodes[:, None], x1.expand(len(nodes), 1), t)
            v = net(torch.cat([s.xt, t[:, None]], 1))[:, 0]
            u = marginal_velocity(path, s.xt[:, 0], t)
            losses["conditional"] += (weights * (v - s.ut[:, 0]).square()).sum()
            losses["marginal"] += (weights * (v - u).square()).sum()
    gradients = {
        kind: torch.cat(
            [g.flatten() for g in torch.autograd.grad(loss, net.parameters(), retain_graph=True)]
        )
        for kind, loss in losses.items()
    }
    assert abs(losses["conditional"] - losses["marginal"]) > 0.1  # they differ by a constant
    torch.testing.assert_close(
        gradients["conditional"], gradients["marginal"], rtol=1e-6, atol=1e-8
    )


def test_marginal_score_gives_the_marginal_velocity():
    """Equation 46 for the exact score of the marginal path."""
    path = create("path", "vp")
    x = torch.linspace(-2, 2, 33, dtype=torch.float64).requires_grad_()
    t = torch.full_like(x, 0.6)
    c = path.coefficients(t)
    away = (x[:, None] - c.alpha[:, None] * DATA) / c.sigma[:, None]
    (score,) = torch.autograd.grad((-0.5 * away.square()).logsumexp(1).sum(), x)
    x = x.detach()
    converted = path.convert(score[:, None], x[:, None], t, source="score", target="velocity")
    torch.testing.assert_close(converted[:, 0], marginal_velocity(path, x, t))
