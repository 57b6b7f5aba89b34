"""The U-Net has exactly ADM's number of parameters, computed from the architecture's description
and compared with the published size."""

from __future__ import annotations

import pytest
import torch

from fmcore import ComponentError, create
from fmcore_nets.mlp import MLP
from fmcore_nets.unet import UNet

PAPER = {  # Table 3 of the paper
    "cifar10": {
        "shape": (3, 32, 32),
        "channels": 256,
        "depth": 2,
        "channel_mult": (1, 2, 2, 2),
        "attention_resolutions": (16,),
    },
    "imagenet32": {
        "shape": (3, 32, 32),
        "channels": 256,
        "depth": 3,
        "channel_mult": (1, 2, 2, 2),
        "attention_resolutions": (16, 8),
    },
    "imagenet64": {
        "shape": (3, 64, 64),
        "channels": 192,
        "depth": 3,
        "channel_mult": (1, 2, 3, 4),
        "attention_resolutions": (32, 16, 8),
    },
    "imagenet128": {
        "shape": (3, 128, 128),
        "channels": 256,
        "depth": 3,
        "channel_mult": (1, 1, 2, 3, 4),
        "attention_resolutions": (32, 16, 8),
    },
}


def counted(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def conv3(inputs: int, outputs: int) -> int:
    return 9 * inputs * outputs + outputs


def adm_count(
    shape,
    channels,
    depth,
    channel_mult,
    attention_resolutions,
    classes=0,
    outputs=None,
    updown="residual",
    scale_shift=True,
):
    """Count ADM's parameters from its description: norm, conv, modulation, norm, conv per block,
    a 1x1 conv where the width changes, four square matrices per attention, resampling blocks
    between levels, one more block per level on the way up."""
    embedding = 4 * channels
    modulated = 2 if scale_shift else 1

    def block(inputs, out):
        total = 2 * inputs + conv3(inputs, out) + linear(embedding, modulated * out)
        total += 2 * out + conv3(out, out)
        return total + (linear(inputs, out) if inputs != out else 0)

    def attention(width):
        return 2 * width + linear(width, 3 * width) + linear(width, width)

    def resampling(width):
        return block(width, width) if updown == "residual" else conv3(width, width)

    attends = [shape[1] // 2**level in attention_resolutions for level in range(len(channel_mult))]
    widths = [channels * multiple for multiple in channel_mult]
    total = linear(channels, embedding) + linear(embedding, embedding) + classes * embedding
    total += conv3(shape[0], widths[0])
    skips, width = [widths[0]], widths[0]
    for level, out in enumerate(widths):
        for _ in range(depth):
            total += block(width, out) + (attention(out) if attends[level] else 0)
            width = out
            skips.append(width)
        if level + 1 < len(widths):
            total += resampling(width)
            skips.append(width)
    total += 2 * block(width, width) + attention(width)
    for level, out in reversed(list(enumerate(widths))):
        for _ in range(depth + 1):
            total += block(width + skips.pop(), out) + (attention(out) if attends[level] else 0)
            width = out
        total += resampling(width) if level > 0 else 0
    assert not skips
    return total + 2 * width + conv3(width, shape[0] if outputs is None else outputs)


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_networks_have_adms_parameters(name):
    with torch.device("meta"):
        assert counted(UNet(**PAPER[name])) == adm_count(**PAPER[name])


def test_the_published_imagenet64_network_has_295_9_million_parameters():
    """ADM's class-conditional ImageNet-64 network also predicts a variance: six output channels."""
    published = adm_count(**PAPER["imagenet64"], classes=1000, outputs=6)
    assert round(published / 1e6, 1) == 295.9
    with torch.device("meta"):
        ours = UNet(**PAPER["imagenet64"], classes=1000)
    extra = 3 * (9 * 192 + 1)
    assert counted(ours) + extra == published


def test_torchcfms_network_of_the_same_configuration_has_as_many_parameters():
    """1,112,801 is what `UNetModel` of torchcfm 1.0.7 counts; see benchmarks/training_step.py."""
    with torch.device("meta"):
        ours = UNet(
            shape=(1, 28, 28),
            channels=32,
            depth=1,
            channel_mult=(1, 2, 2),
            attention_resolutions=(14,),
            updown="conv",
            scale_shift=False,
        )
    assert counted(ours) == 1_112_801


@pytest.mark.parametrize("updown", ["residual", "conv"])
@pytest.mark.parametrize("scale_shift", [True, False])
def test_other_variants_have_adms_parameters(updown, scale_shift):
    options = {
        "shape": (1, 16, 16),
        "channels": 32,
        "depth": 2,
        "channel_mult": (1, 3),
        "attention_resolutions": (8,),
        "classes": 5,
        "updown": updown,
        "scale_shift": scale_shift,
    }
    assert counted(UNet(**options, head_channels=32)) == adm_count(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (2,)}, "needs images"),
        ({"shape": (0, 8, 8)}, "needs images"),
        ({"shape": (1, -8, 8)}, "needs images"),
        ({"channel_mult": (1,) * 5}, "cannot be halved 4 times"),
        ({"channel_mult": ()}, "channel_mult needs one or more positive integers"),
        ({"channel_mult": (1, 0)}, "channel_mult needs one or more positive integers"),
        ({"attention_resolutions": (16,)}, "no level has the size 16"),
        ({"channels": 24, "head_channels": 16}, "24 channels do not divide into heads of 16"),
        ({"channels": 96, "head_channels": 64}, "96 channels do not divide into heads of 64"),
        ({"heads": 3}, "16 channels do not divide into 3 heads"),
    ],
)
def test_impossible_shapes_and_options_are_refused_with_what_to_change(options, message):
    base = {"shape": (1, 8, 8), "channels": 16, "depth": 1, "channel_mult": (1, 1)}
    with pytest.raises(ComponentError, match=message):
        UNet(**{**base, **options})


@pytest.mark.parametrize("shape", [(), (0,), (-2, -3)])
def test_an_mlp_for_data_without_values_is_refused(shape):
    with pytest.raises(ComponentError, match="needs data of at least one value"):
        MLP(shape=shape)


def test_a_unet_of_one_channel_is_refused_since_it_would_embed_no_time():
    with pytest.raises(ComponentError, match="channels: expected an integer > 1, got 1"):
        create("model", "unet", shape=(1, 8, 8), channels=1)
