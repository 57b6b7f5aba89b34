"""The blocks of a diffusion transformer: attention and an MLP, modulated by an embedding.

Source: Peebles & Xie 2023 (arXiv 2212.09748), section 3.2, "adaLN-Zero".
"""

from __future__ import annotations

from typing import final

from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from fmcore_nets.attention import attention
from fmcore_nets.normalization import RMSNorm

__all__ = ["ModulatedHead", "TransformerBlock", "ZeroLinear"]

NORM_EPS = 1e-6  # as in DiT


@final
class TransformerBlock(nn.Module):
    """h + gate attention(norm(h)), then h + gate mlp(norm(h)), on tokens `(batch, n, width)`.

    Shift, scale and gate of both branches are linear in the embedding and 0 at initialisation, so
    that a new block is the identity.  `qk_norm` normalises queries and keys of each head (root mean
    square), which keeps attention logits bounded.
    """

    def __init__(
        self, width: int, heads: int, mlp_ratio: float, dropout: float, qk_norm: bool
    ) -> None:
        super().__init__()
        self.heads = heads
        self.modulation = ZeroLinear(width, 6 * width)
        self.qkv = nn.Linear(width, 3 * width)
        self.q_norm = RMSNorm(width // heads) if qk_norm else nn.Identity()
        self.k_norm = RMSNorm(width // heads) if qk_norm else nn.Identity()
        self.proj = nn.Linear(width, width)
        hidden = int(width * mlp_ratio)
        self.inner, self.outer = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        """Return the tokens after the block; `embedding` is `(batch, width)`."""
        parts = self.modulation(F.silu(embedding))[:, None].chunk(6, dim=-1)
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = parts
        h = h + gate * self._attend(modulated(h, shift, scale))
        result: Tensor = h + mlp_gate * self._mlp(modulated(h, mlp_shift, mlp_scale))
        return result

    def _attend(self, h: Tensor) -> Tensor:
        q, k, v = rearrange(
            self.qkv(h), "b n (qkv heads c) -> qkv b heads n c", qkv=3, heads=self.heads
        )
        mixed = attention(self.q_norm(q), self.k_norm(k), v)
        update: Tensor = self.dropout(self.proj(rearrange(mixed, "b heads n c -> b n (heads c)")))
        return update

    def _mlp(self, h: Tensor) -> Tensor:
        update: Tensor = self.outer(self.dropout(F.gelu(self.inner(h), approximate="tanh")))
        return update


@final
class ModulatedHead(nn.Module):
    """The last layer: a modulated normalisation and a linear map; 0 at initialisation."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.modulation = ZeroLinear(width, 2 * width)
        self.linear = ZeroLinear(width, outputs)

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        """Return `(batch, n, outputs)` for tokens `(batch, n, width)`."""
        shift, scale = self.modulation(F.silu(embedding))[:, None].chunk(2, dim=-1)
        output: Tensor = self.linear(modulated(h, shift, scale))
        return output


def modulated(h: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Return (1 + scale) norm(h) + shift; the normalisation has no parameters of its own."""
    return (1 + scale) * F.layer_norm(h, h.shape[-1:], eps=NORM_EPS) + shift


@final
class ZeroLinear(nn.Linear):
    """A linear layer that gives 0 at initialisation."""

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)
