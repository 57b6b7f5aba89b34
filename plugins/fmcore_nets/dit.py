"""The diffusion transformer of Peebles & Xie 2023 ("DiT", arXiv 2212.09748).

x is cut into patches, each a token; a stack of transformer blocks, modulated by the embedding of
time and conditions, maps them to the patches of the output.  SiT (arXiv 2401.08740) trains this
network with flow matching.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, final

import torch
from annotated_types import Ge, Gt, Lt
from einops import rearrange
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from fmcore import ComponentError, Condition, ConditionSpec, VectorField
from fmcore_nets.conditioning import NO_ENTRIES, chosen_entries, image_channels, images
from fmcore_nets.embedding import Embedding
from fmcore_nets.transformer import ModulatedHead, TransformerBlock, ZeroLinear

__all__ = ["DiT"]

TIME_FEATURES = 256  # as in DiT
LONGEST_PERIOD = 10_000.0  # of the position's sinusoids, in 2 pi tokens (Vaswani et al. 2017)


@final
class DiT(VectorField):
    """A transformer on patches of images `(channels, height, width)` or of sequences
    `(channels, length)`.

    `patch` is the side of a patch; it must divide the sides of x.  DiT-S, B, L and XL have `width`
    384, 768, 1024 and 1152, `depth` 12, 12, 24 and 28, `heads` 6, 12, 16 and 16.  `qk_norm`
    normalises queries and keys.  `bottleneck`, if given, first reduces each patch linearly to that
    many values, which suits large patches of pixels and a network that predicts data (JiT, arXiv
    2511.13720): below the number of values of a patch, the noise that a velocity needs is lost.
    `classes` > 0 makes it read `condition["label"]`.  `conditions` names other entries of the data
    that it reads: for images, entries `(channels, height, width)` as channels, resized to x's size;
    all others as vectors in the embedding; the framework fills in their shapes (`entries`).
    `recompute` stores no activations inside the blocks and computes them again in the backward
    pass.  `time_scale` is the highest frequency of the time embedding, in radians from noise to
    data; flow maps (`span`, set by the framework) need about 3.  The output is 0 at initialisation.

    Raises ComponentError for other shapes, and for a width that the heads do not divide.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        width: Annotated[int, Gt(0)] = 384,
        depth: Annotated[int, Gt(0)] = 12,
        heads: Annotated[int, Gt(0)] = 6,
        patch: Annotated[int, Gt(0)] = 2,
        mlp_ratio: Annotated[float, Gt(0)] = 4.0,
        bottleneck: Annotated[int, Gt(0)] | None = None,
        qk_norm: bool = False,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
        classes: Annotated[int, Ge(0)] = 0,
        recompute: bool = False,
        span: bool = False,
        conditions: tuple[str, ...] = (),
        entries: Mapping[str, ConditionSpec] = NO_ENTRIES,
        time_scale: Annotated[float, Gt(0)] = 1000.0,
    ) -> None:
        super().__init__()
        _require_shape(shape, patch)
        _require_width(width, heads, len(shape) - 1)
        self.patch, self.recompute = patch, recompute
        self.classes, self.span = classes, span
        read = chosen_entries(conditions, entries, "dit")
        flat = len(shape) == 2  # a sequence has no channels to add an image to
        self.read_images = {k: v for k, v in read.items() if len(v.shape) == 3 and not flat}
        self.read_vectors = {k: v for k, v in read.items() if k not in self.read_images}
        area = patch ** (len(shape) - 1)
        inputs = area * (shape[0] + image_channels(self.read_images))
        self.stem = _stem(inputs, width, bottleneck)
        grid = tuple(side // patch for side in shape[1:])
        self.register_buffer("position", _positions(grid, width), persistent=False)
        self.embedding = Embedding(
            TIME_FEATURES, width, classes, time_scale, span, self.read_vectors
        )
        self.blocks = nn.ModuleList(
            TransformerBlock(width, heads, mlp_ratio, dropout, qk_norm) for _ in range(depth)
        )
        self.head = ModulatedHead(width, area * shape[0])
        self.apply(_initialize)

    @property
    def reads(self) -> frozenset[str]:
        return super().reads | self.read_images.keys() | self.read_vectors.keys()

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        condition: Condition | None = None,
        *,
        until: Tensor | None = None,
    ) -> Tensor:
        embedding = self.embedding(t, condition, x.dtype, until)
        planes = torch.cat([x, *images(x, condition, self.read_images)], dim=1)
        position = self.get_buffer("position").to(x.dtype)
        h: Tensor = self.stem(self._patches(planes)) + position
        for block in self.blocks:
            if self.recompute and torch.is_grad_enabled():
                h = checkpoint(block, h, embedding, use_reentrant=False)
            else:
                h = block(h, embedding)
        return self._unpatched(self.head(h, embedding), x)

    def _patches(self, x: Tensor) -> Tensor:
        """Return the patches of x as tokens, `(batch, n, values)`, row by row."""
        if x.ndim == 3:
            return rearrange(x, "b c (n p) -> b n (c p)", p=self.patch)
        return rearrange(x, "b c (h p) (w q) -> b (h w) (c p q)", p=self.patch, q=self.patch)

    def _unpatched(self, tokens: Tensor, x: Tensor) -> Tensor:
        """Return tokens `(batch, n, values)` as a tensor of x's shape."""
        if x.ndim == 3:
            return rearrange(tokens, "b n (p c) -> b c (n p)", p=self.patch)
        height = x.shape[2] // self.patch
        return rearrange(
            tokens, "b (h w) (p q c) -> b c (h p) (w q)", h=height, p=self.patch, q=self.patch
        )


def _require_shape(shape: tuple[int, ...], patch: int) -> None:
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise ComponentError(
            "model 'dit' needs images (channels, height, width) or sequences (channels, length), "
            f"not shape {tuple(shape)}; use 'mlp'"
        )
    if any(side % patch for side in shape[1:]):
        sides = "x".join(map(str, shape[1:]))
        common = math.gcd(*shape[1:])
        fitting = [str(p) for p in range(1, min(common, 32) + 1) if common % p == 0]
        raise ComponentError(
            f"model 'dit': patch {patch} does not divide {sides}; "
            f"patches that do: {', '.join(fitting)}"
        )


def _require_width(width: int, heads: int, axes: int) -> None:
    if width % heads:
        raise ComponentError(f"model 'dit': width {width} is not a multiple of heads {heads}")
    if width % (2 * axes):
        raise ComponentError(
            f"model 'dit': width {width} must be a multiple of {2 * axes}: a sine and a cosine for "
            "each axis of the position"
        )


def _stem(inputs: int, width: int, bottleneck: int | None) -> nn.Module:
    if bottleneck is None:
        return nn.Linear(inputs, width)
    return nn.Sequential(nn.Linear(inputs, bottleneck, bias=False), nn.Linear(bottleneck, width))


def _positions(grid: tuple[int, ...], width: int) -> Tensor:
    """Return fixed sines and cosines of each token's place, `(n, width)`.

    In two dimensions the first half of the channels is the column's, the second the row's.
    """
    part = width // len(grid)
    steps = torch.arange(part // 2, dtype=torch.float64) / (part // 2)
    frequencies = LONGEST_PERIOD**-steps
    axes = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in grid), indexing="ij")
    encoded = []
    for axis in reversed(axes):
        angles = axis.flatten()[:, None] * frequencies
        encoded += [angles.sin(), angles.cos()]
    return torch.cat(encoded, dim=1).float()


def _initialize(module: nn.Module) -> None:
    """Initialise as DiT does: Xavier for layers, small normal numbers for embeddings; layers that
    are 0 stay 0.
    """
    if isinstance(module, nn.Linear) and not isinstance(module, ZeroLinear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, Embedding):
        for layer in (module.inner, module.outer):
            nn.init.normal_(layer.weight, std=0.02)
        if module.label is not None:
            nn.init.normal_(module.label.weight, std=0.02)
