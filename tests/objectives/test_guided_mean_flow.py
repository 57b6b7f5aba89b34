"""Guidance inside MeanFlow: the velocity that guided rows learn, and the flow that results."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from fmcore import Batch, ComponentError, create
from fmcore.testing.stub_net import FunctionNet

T = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)
LABEL = torch.tensor([1, -1, 2])


@dataclass(frozen=True)
class TwoBranches:
    """A network whose velocity is `own`, and `null` without its condition."""

    own: float
    null: float
    dropped: bool = False

    def __call__(self, x: Tensor, t: Tensor, *, until: Tensor | None = None) -> Tensor:
        return torch.full_like(x, self.null if self.dropped else self.own)

    def jvp(self, x, t, until=None, *, dx, dt, duntil=None, rows=None):
        return self(x, t, until=until), torch.zeros_like(x)

    def without(self, *names: str):
        assert names == ("label",)
        return replace(self, dropped=True)


def batch(path):
    generator = torch.Generator().manual_seed(0)
    x0, x1 = torch.randn(2, 3, 4, generator=generator, dtype=torch.float64)
    return Batch(path, x0, x1, None, {"label": LABEL}, {"t": T, "until": T})


@pytest.mark.parametrize("name", ["mean_flow", "improved_mean_flow"])
@pytest.mark.parametrize(("guidance", "mix"), [(1.0, 0.0), (2.0, 0.0), (3.0, 0.5)])
def test_rows_with_a_label_learn_the_guided_velocity(name, guidance, mix):
    objective = create("objective", name, guidance=guidance, mix=mix)
    path = create("path", "linear")
    given = batch(path)
    own, null = 0.7, -0.2
    losses = objective.losses(TwoBranches(own, null), path, given)
    ut = given.at(T).ut
    weight = guidance * (1 - mix)
    guided = weight * ut + mix * own + (1 - weight - mix) * null
    expected = torch.where((LABEL >= 0)[:, None] & (guidance > 1), guided, ut)
    torch.testing.assert_close(losses[name], (own - expected).square().mean(1))


def test_the_learned_velocity_is_the_guided_one_at_its_fixed_point():
    """u = w v + kappa u + (1 - w - kappa) null has u - null = guidance (v - null)."""
    guidance, mix, v, null = 3.0, 0.4, 0.6, -0.3
    weight = guidance * (1 - mix)
    u = (weight * v + (1 - weight - mix) * null) / (1 - mix)
    assert u == pytest.approx(null + guidance * (v - null))


def test_guidance_without_the_condition_is_refused():
    objective = create("objective", "mean_flow", guidance=2.0)
    assert objective.reads == {"label"}
    path = create("path", "linear")
    net = FunctionNet(lambda x, t, until: x)
    with pytest.raises(ComponentError, match="condition 'label'"):
        objective.losses(net, path, replace(batch(path), condition=None))
