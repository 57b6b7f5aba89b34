"""The built-in networks, in several sizes, pass the model suite."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from fmcore import ComponentError, ConditionSpec
from fmcore.testing import ModelSuite
from fmcore_nets.attention import attention
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


VECTOR = ConditionSpec((2,), droppable=True)
IMAGE = ConditionSpec((3, 4, 4), droppable=True)
UNREAD = ConditionSpec((5,))


class TestMLPWithConditions(ModelSuite):
    shape = (2,)
    classes = 2
    entries: ClassVar = {"c": VECTOR, "image": IMAGE, "unread": UNREAD}

    def component(self):
        return MLP(
            shape=self.shape,
            width=32,
            depth=2,
            classes=2,
            conditions=("c", "image"),
            entries=self.entries,
        )


class TestUNetWithConditions(ModelSuite):
    shape = (1, 8, 8)
    entries: ClassVar = {"c": ConditionSpec((2,)), "image": IMAGE, "unread": UNREAD}

    def component(self):
        read = ("image", "c")
        return UNet(shape=self.shape, **SMALL, conditions=read, entries=self.entries)


@pytest.mark.parametrize("network", [MLP, UNet])
def test_entries_that_are_not_named_in_conditions_leave_the_state_dict_as_it_is(network):
    small = SMALL if network is UNet else {"width": 8}
    plain = network(shape=(1, 8, 8), **small)
    given = network(shape=(1, 8, 8), **small, entries={"c": VECTOR})
    assert {k: v.shape for k, v in given.state_dict().items()} == {
        k: v.shape for k, v in plain.state_dict().items()
    }
    assert given.reads == frozenset()


@pytest.mark.parametrize("network", [MLP, UNet])
@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        (("d",), "no condition 'd'.*they give c, k"),
        (("c", "c"), "names 'c' twice"),
        (("k",), "'k' holds integers"),
        (("label",), "classes: auto"),
    ],
)
def test_conditions_that_a_network_cannot_read_are_refused(network, conditions, message):
    entries: ClassVar = {"c": VECTOR, "k": ConditionSpec((), "int64")}
    with pytest.raises(ComponentError, match=message):
        network(shape=(1, 8, 8), conditions=conditions, entries=entries)


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


def moved(model):
    """The network with random weights added: some are zero at initialisation."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, dtype=parameter.dtype)
    return model


def step(model, dtype=torch.float32):
    """The gradients of one step, and the bytes that autograd stored for them."""
    kept = {}

    def keep(tensor):
        if not isinstance(tensor, torch.nn.Parameter):
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    torch.manual_seed(1)  # the same dropout
    x, t = torch.randn(2, 1, 8, 8, dtype=dtype), torch.tensor([0.2, 0.7], dtype=dtype)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(x, t).square().sum()
    loss.backward()
    return [parameter.grad for parameter in model.parameters()], sum(kept.values())


def test_recompute_changes_memory_not_gradients():
    options = {"shape": (1, 8, 8), **SMALL, "attention_resolutions": (4,), "dropout": 0.2}
    kept = moved(UNet(**options).double())
    again = moved(UNet(**options, recompute=True).double())
    again.load_state_dict(kept.state_dict())
    (gradients, bytes_kept), (recomputed, bytes_left) = (
        step(model, torch.float64) for model in (kept, again)
    )
    for one, other in zip(gradients, recomputed, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    assert bytes_left < 0.15 * bytes_kept  # the ends and the embedding are outside of all stages


def test_recompute_repeats_the_dropout_mask():
    """The gradient is that of the loss: a second dropout mask would give another."""
    model = moved(UNet(shape=(1, 8, 8), **SMALL, dropout=0.5, recompute=True).double())
    weight = model.stem.weight
    gradients, _ = step(model, torch.float64)
    place, h = (0, 0, 1, 1), 1e-6

    def loss(shift):
        with torch.no_grad():
            weight[place] += shift
            torch.manual_seed(1)
            x = torch.randn(2, 1, 8, 8, dtype=torch.float64)
            value = model(x, torch.tensor([0.2, 0.7], dtype=torch.float64)).square().sum()
            weight[place] -= shift
        return float(value)

    slope = (loss(h) - loss(-h)) / (2 * h)
    own = dict(zip((n for n, _ in model.named_parameters()), gradients, strict=True))
    assert float(own["stem.weight"][place]) == pytest.approx(slope, rel=1e-5)


class Layouts(TorchDispatchMode):
    """Records operations that copy a feature map into another memory layout."""

    def __init__(self):
        super().__init__()
        self.copies = []

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        made = operation(*arguments, **(options or {}))
        if operation in (torch.ops.aten.permute.default, torch.ops.aten.view.default):
            return made  # views copy nothing
        if operation in (torch.ops.aten.clone.default, torch.ops.aten._to_copy.default):
            self.copies.append((tuple(made.shape), made.stride()))
        if isinstance(made, torch.Tensor) and made.dim() == 4 and min(made.shape) > 1:
            innermost = made.is_contiguous(memory_format=torch.channels_last)
            self.copies += [] if innermost else [(str(operation), tuple(made.shape))]
        return made


@pytest.mark.parametrize("updown", ["residual", "conv"])
def test_images_stay_channels_last_through_the_unet_without_a_copy(updown):
    options = {"channels": 16, "depth": 1, "channel_mult": (1, 2), "updown": updown}
    model = moved(UNet(shape=(3, 8, 8), **options)).to(memory_format=torch.channels_last)
    x = torch.randn(2, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    seen = Layouts()
    with torch.no_grad(), seen:
        y = model(x, torch.rand(2))
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert seen.copies == []


@pytest.mark.parametrize("size", [4, 5, 6, 7, 9, 28])
def test_unet_takes_any_size_that_can_be_halved(size):
    model = UNet(shape=(1, size, size + 1), channels=8, depth=1, channel_mult=(1, 1, 1))
    x = torch.randn(1, 1, size, size + 1)
    assert model(x, torch.tensor([0.5])).shape == x.shape


def test_attention_in_bfloat16_on_a_cpu_equals_exact_attention():
    """The two matrix products agree with the fused kernel in float64 to bfloat16's two digits."""
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 3, 11, 8).bfloat16()
    exact = torch.nn.functional.scaled_dot_product_attention(q.double(), k.double(), v.double())
    torch.testing.assert_close(attention(q, k, v).double(), exact, rtol=0.03, atol=0.03)


@pytest.mark.parametrize("recompute", [False, True])
def test_unet_compiles_without_a_graph_break(recompute):
    options = {**SMALL, "attention_resolutions": (4,), "classes": 3, "recompute": recompute}
    model = moved(UNet(shape=(1, 8, 8), **options))
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    arguments = torch.randn(2, 1, 8, 8), torch.rand(2), {"label": torch.tensor([0, -1])}
    torch.testing.assert_close(compiled(*arguments), model(*arguments))
