"""The built-in networks, in several sizes, through the suite that every network passes."""

from __future__ import annotations

import pytest
import torch

from fmcore.testing import ModelSuite
from fmcore_nets.attention import _attended
from fmcore_nets.mlp import MLP
from fmcore_nets.unet import UNet

SMALL = {"channels": 16, "depth": 1, "channel_mult": (1, 2), "head_channels": 16}


class TestMLP(ModelSuite):
    shape = (2,)

    def component(self):
        return MLP(shape=self.shape, width=32, depth=3)


class TestMLPWithLabels(ModelSuite):
    shape = (1, 4, 5)
    classes = 3

    def component(self):
        return MLP(shape=self.shape, width=32, depth=2, classes=3, activation="gelu")


class TestUNet(ModelSuite):
    def component(self):
        return UNet(shape=self.shape, **SMALL, attention_resolutions=(4,))


class TestUNetWithLabels(ModelSuite):
    shape = (1, 8, 8)
    classes = 10

    def component(self):
        return UNet(shape=self.shape, **SMALL, classes=10, dropout=0.1)


class TestUNetAsInDDPM(ModelSuite):
    def component(self):
        return UNet(shape=self.shape, **SMALL, updown="conv", scale_shift=False, heads=2)


class TestUNetOfOddSize(ModelSuite):
    shape = (2, 7, 5)

    def component(self):
        return UNet(shape=self.shape, channels=8, depth=1, channel_mult=(1, 1, 2), recompute=True)


def test_unet_in_float64_agrees_with_float32():
    torch.manual_seed(0)
    model = UNet(shape=(1, 8, 8), **SMALL)
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape)
    x, t = torch.randn(2, 1, 8, 8), torch.tensor([0.2, 0.7])
    single = model(x, t)
    double = model.double()(x.double(), t.double())
    assert double.dtype == torch.float64
    torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-4)


def test_recompute_changes_memory_not_results():
    torch.manual_seed(0)
    kept = UNet(shape=(1, 8, 8), **SMALL, dropout=0.2)
    again = UNet(shape=(1, 8, 8), **SMALL, dropout=0.2, recompute=True)
    for parameter in kept.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape)
    again.load_state_dict(kept.state_dict())
    x, t = torch.randn(2, 1, 8, 8), torch.tensor([0.2, 0.7])
    gradients = []
    for model in (kept, again):
        torch.manual_seed(1)  # the same dropout
        model(x, t).square().sum().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("size", [4, 5, 6, 7, 9, 28])
def test_unet_takes_any_size_that_can_be_halved(size):
    model = UNet(shape=(1, size, size + 1), channels=8, depth=1, channel_mult=(1, 1, 1))
    x = torch.randn(1, 1, size, size + 1)
    assert model(x, torch.tensor([0.5])).shape == x.shape


def test_attention_in_bfloat16_is_attention():
    """The way of the CPU there gives what the fused kernel gives, to two digits."""
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 3, 11, 8).bfloat16()
    exact = torch.nn.functional.scaled_dot_product_attention(q.double(), k.double(), v.double())
    torch.testing.assert_close(_attended(q, k, v).double(), exact, rtol=0.03, atol=0.03)


def test_unet_compiles_without_a_graph_break():
    model = UNet(shape=(1, 8, 8), **SMALL, attention_resolutions=(4,), classes=3)
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    arguments = torch.randn(2, 1, 8, 8), torch.rand(2), {"label": torch.tensor([0, -1])}
    torch.testing.assert_close(compiled(*arguments), model(*arguments))
