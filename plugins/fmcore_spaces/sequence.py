"""A transformer over the positions of a sequence."""

from __future__ import annotations

import math
from typing import Annotated, final

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn
from torch.nn import functional as F

from fmcore import ComponentError, Condition, Euclidean, Space, Tokens, VectorField

__all__ = ["Block", "Sequence", "time_features"]

FASTEST = 8 * math.pi
"""The highest frequency of the time features, in radians per unit of time."""

FLAT = Euclidean()


def time_features(t: Tensor, features: int) -> Tensor:
    """Return cosines and sines of `t`, `(batch, features)`, at geometric frequencies."""
    steps = torch.arange(features // 2, dtype=t.dtype, device=t.device) / (features // 2)
    angles = t[:, None] * FASTEST * torch.exp(-math.log(16.0) * steps)
    return torch.cat([angles.cos(), angles.sin()], 1)


@final
class Block(nn.Module):
    """Self-attention and two layers, each added to its normalized input; a bias may be added to the
    attention's logits, `(batch, heads, n, n)`.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.before = nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.after = nn.LayerNorm(width)
        self.layers = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        n, width = x.shape[1:]
        q, k, v = (
            part.view(-1, n, self.heads, width // self.heads).transpose(1, 2)
            for part in self.qkv(self.before(x)).chunk(3, -1)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        x = x + F.dropout(self.out(mixed.transpose(1, 2).flatten(2)), self.dropout, self.training)
        return x + self.layers(self.after(x))  # type: ignore[no-any-return]


@final
class Sequence(VectorField):
    """`depth` transformer blocks of `width` channels over the first axis of the data, which counts
    positions; each position is given as the features of its points.

    Takes tokens `(length,)` and points of manifolds `(length, ...)`; each position gets its own
    learned vector.  Raises ComponentError for a width that the heads do not divide.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        width: Annotated[int, Gt(0)] = 128,
        depth: Annotated[int, Gt(0)] = 4,
        heads: Annotated[int, Gt(0)] = 4,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
        space: Space = FLAT,
        output_shape: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ComponentError(
                f"model 'sequence': width must be a multiple of heads, got {width} and {heads}"
            )
        if not shape:
            raise ComponentError("model 'sequence' needs data of shape (length, ...)")
        self.space, self.width = space, width
        self.output_shape = tuple(shape if output_shape is None else output_shape)
        features = self._features(torch.zeros(1, *shape, device="cpu")).shape[-1]
        self.inputs = nn.Linear(features, width)
        self.position = nn.Parameter(torch.randn(shape[0], width) / math.sqrt(width))
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.outputs = nn.Linear(width, math.prod(self.output_shape[1:]))

    def forward(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        time = self.time(time_features(t.float(), 2 * (self.width // 2)).to(x.dtype))
        h = self.inputs(self._features(x)) + self.position + time[:, None]
        for block in self.blocks:
            h = block(h)
        outputs: Tensor = self.outputs(self.norm(h))
        return outputs.reshape(len(x), *self.output_shape)

    def _features(self, x: Tensor) -> Tensor:
        """Return the features of each position, `(batch, length, features)`."""
        if isinstance(self.space, Tokens):
            return self.space.features(x).flatten(2)
        positions = x.flatten(0, 1)
        return self.space.features(positions).view(len(x), x.shape[1], -1)
