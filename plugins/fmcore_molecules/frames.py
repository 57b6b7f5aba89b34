"""A network of residue frames that turns with its input."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, final

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn
from torch.nn import functional as F

from fmcore import (
    ComponentError,
    Condition,
    ConditionSpec,
    Product,
    Space,
    Tokens,
    VectorField,
)
from fmcore_molecules.fragment_space import PARTS, SCALE
from fmcore_molecules.links import LINK_FEATURES, link_features
from fmcore_molecules.pdb import RESIDUES
from fmcore_molecules.receptor import ROW, Receptor

__all__ = ["Frames"]

FASTEST = 8 * math.pi
"""The highest frequency of the time features, in radians per unit of time."""

DISTANCES = 16
"""Gaussian bumps of a distance, from 0 to 5 units of position, about 16 Å."""

FARTHEST = 5.0

NEAREST = 32
"""Distances along the chain that a pair distinguishes."""

NO_ENTRIES: Mapping[str, ConditionSpec] = MappingProxyType({})
"""No entries: the default where the framework gives none."""


@final
class Frames(VectorField):
    """`depth` transformer blocks of `width` channels over residues, each seen from its own frame.

    For data with the parts `position`, `frame`, `torsion` and `residue`, as 'peptides' has them.
    A residue reads its place, torsions and amino acid, and of every other residue the direction,
    distance and rotation relative to itself; so nothing changes when the whole fragment turns.  The
    velocity of a position is turned out of the frame again, that of a frame is one in the body
    frame: both turn with the input.  Torsions get a velocity, amino acids logits.

    With `links` a residue also reads how far its bonds to its neighbours are from ideal ones and
    from its torsions, divided by the noise that is left: this ties positions, frames and torsions.

    With `conditions: [receptor]` each block attends to the residues of a receptor too, seen in the
    same way.  Nothing changes when fragment and receptor turn together.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        width: Annotated[int, Gt(0)] = 96,
        depth: Annotated[int, Gt(0)] = 3,
        heads: Annotated[int, Gt(0)] = 4,
        pair_width: Annotated[int, Gt(0)] = 32,
        links: bool = False,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
        conditions: tuple[str, ...] = (),
        entries: Mapping[str, ConditionSpec] = NO_ENTRIES,
        space: Space | None = None,
        output_shape: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(space, Product) or tuple(space.parts) != PARTS:
            raise ComponentError(
                f"model 'frames' needs data with the parts {', '.join(PARTS)}, as data 'peptides' "
                "has them"
            )
        tokens = space.parts["residue"]
        if not isinstance(tokens, Tokens) or width % heads:
            raise ComponentError(
                "model 'frames' needs residues as tokens, and heads must divide width"
            )
        self.space, self.width, self.classes_of_residues = space, width, tokens.classes
        self.links = links
        length = space.shapes["residue"][0]
        self.output_shape = (length * (3 + 9 + 3 + tokens.classes),)
        if output_shape is not None and tuple(output_shape) != self.output_shape:
            raise ComponentError(
                "model 'frames' gives velocities of positions, frames and torsions, and logits of "
                "residues: use objective 'product' with 'flow_matching' for the first three and "
                "'cross_entropy' for residues"
            )
        self.read_entries = _receptor_alone(conditions, entries)
        self.position = nn.Parameter(torch.randn(length, width) / math.sqrt(width))
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        own = 3 + 12 + tokens.states + (LINK_FEATURES if links else 0)
        self.own = nn.Linear(own, width)
        pair = 3 + 9 + DISTANCES + 2 * NEAREST + 1
        self.pair = nn.Sequential(
            nn.Linear(pair, pair_width), nn.SiLU(), nn.Linear(pair_width, pair_width), nn.SiLU()
        )
        self.gather = nn.ModuleList(nn.Linear(pair_width, width) for _ in range(depth))
        self.bias = nn.ModuleList(nn.Linear(pair_width, heads) for _ in range(depth))
        self.blocks = nn.ModuleList(_Block(width, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 3 + 3 + 3 + tokens.classes)
        # last, so that the weights without a receptor are drawn as before
        if self.read_entries:
            self.pocket = _Pocket(width, pair_width, heads, depth)

    @property
    def reads(self) -> frozenset[str]:
        return super().reads | self.read_entries

    def forward(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        parts = self.space.split(x)
        frames, places = parts["frame"], parts["position"]
        pairs = self.pair(self._pairs(frames, places))
        own = self._own(parts)
        if self.links:
            link = link_features(frames, places, parts["torsion"], t, SCALE)
            own = torch.cat([own, link], -1)
        h = self.own(own) + self.position + self._time(t, x.dtype)[:, None]
        seen = self._receptor(frames, places, condition)
        for i, (gather, bias, block) in enumerate(
            zip(self.gather, self.bias, self.blocks, strict=True)
        ):
            h = h + gather(pairs).mean(2)
            weights, keys = bias(pairs), None
            if seen is not None:
                added, others = self.pocket.layer(i, seen)
                h, keys = h + added, seen.residues
                weights = torch.cat([weights, others], 2)
            h = block(h, weights.movedim(-1, 1), keys)
        heads = self.head(self.norm(h))
        place, turn, torsion, residue = heads.split([3, 3, 3, self.classes_of_residues], -1)
        outputs = {
            "position": (frames @ place.unsqueeze(-1)).squeeze(-1),
            "frame": frames @ _hat(turn),
            "torsion": torsion,
            "residue": residue,
        }
        return torch.cat([outputs[name].flatten(1) for name in PARTS], 1)

    def _time(self, t: Tensor, dtype: torch.dtype) -> Tensor:
        half = self.width // 2
        steps = torch.arange(half, dtype=torch.float32, device=t.device) / half
        angles = t.float()[:, None] * FASTEST * torch.exp(-math.log(16.0) * steps)
        features = torch.cat([angles.cos(), angles.sin()], 1)
        time: Tensor = self.time(F.pad(features, (0, self.width % 2)).to(dtype))
        return time

    def _own(self, parts: dict[str, Tensor]) -> Tensor:
        """Return the features of each residue, `(batch, n, features)`."""
        place = (parts["frame"].mT @ parts["position"].unsqueeze(-1)).squeeze(-1)
        angles = parts["torsion"]
        turns = [angles.sin(), angles.cos(), (2 * angles).sin(), (2 * angles).cos()]
        residues = self.space.parts["residue"].features(parts["residue"])
        return torch.cat([place, *turns, residues], -1)

    def _pairs(self, frames: Tensor, places: Tensor) -> Tensor:
        """Return the features of residue j seen from residue i, `(batch, n, n, features)`."""
        seen = _seen(frames, places, frames, places)
        index = torch.arange(places.shape[1], device=places.device)
        chain = (index[None] - index[:, None]).clamp(-NEAREST, NEAREST) + NEAREST
        near = F.one_hot(chain, 2 * NEAREST + 1).to(places.dtype).expand(len(places), -1, -1, -1)
        return torch.cat([*seen, near], -1)

    def _receptor(
        self, frames: Tensor, places: Tensor, condition: Condition | None
    ) -> _SeenReceptor | None:
        """Return the receptor as the residues see it; None without one."""
        given = (condition or {}).get("receptor") if self.read_entries else None
        if given is None:
            return None
        receptor = Receptor.of(given.to(places.dtype))
        pairs = torch.cat(_seen(frames, places, receptor.frame, receptor.position), -1)
        found: _SeenReceptor = self.pocket(receptor, pairs)
        return found


def _receptor_alone(
    conditions: tuple[str, ...], entries: Mapping[str, ConditionSpec]
) -> frozenset[str]:
    """Return the entries that `conditions` names; ComponentError unless it is the receptor."""
    for name in conditions:
        if name != "receptor":
            raise ComponentError(
                f"model 'frames' reads the condition 'receptor', and `conditions` names '{name}'"
            )
        if name not in entries:
            raise ComponentError(
                "model 'frames': the data give no condition 'receptor': set data.receptor, the "
                "number of its residues"
            )
        if len(entries[name].shape) != 2 or entries[name].shape[1] != ROW:
            raise ComponentError(
                f"model 'frames' reads a receptor of shape (residues, {ROW}), and the data give "
                f"{entries[name].shape}"
            )
    return frozenset(conditions)


def _seen(
    frames: Tensor, places: Tensor, other_frames: Tensor, other_places: Tensor
) -> list[Tensor]:
    """Return direction, rotation and distance of each other residue, `(batch, n, others, ...)`, in
    the frame of each residue.
    """
    apart = other_places[:, None] - places[:, :, None]
    seen = torch.einsum("bikj,bilk->bilj", frames, apart)
    # the square first: the gradient of a length is NaN at 0, on the diagonal
    distance = (apart.square().sum(-1, keepdim=True) + 1e-6).sqrt()
    centres = torch.linspace(0, FARTHEST, DISTANCES, dtype=places.dtype, device=places.device)
    bumps = torch.exp(-((distance - centres) * DISTANCES / FARTHEST).square() / 2)
    relative = torch.einsum("bikj,blkm->biljm", frames, other_frames).flatten(3)
    return [seen, relative, bumps]


@final
@dataclass(frozen=True)
class _SeenReceptor:
    """Channels of the receptor's residues, `(batch, m, width)`, of their pairs with residues of the
    fragment, `(batch, n, m, pair_width)`, and which exist, `(batch, 1, m, 1)`.
    """

    residues: Tensor
    pairs: Tensor
    exists: Tensor


@final
class _Pocket(nn.Module):
    """The layers that read a receptor."""

    def __init__(self, width: int, pair_width: int, heads: int, depth: int) -> None:
        super().__init__()
        self.own = nn.Sequential(
            nn.Linear(len(RESIDUES) + 3, width), nn.SiLU(), nn.Linear(width, width)
        )
        self.pair = nn.Sequential(
            nn.Linear(3 + 9 + DISTANCES, pair_width),
            nn.SiLU(),
            nn.Linear(pair_width, pair_width),
            nn.SiLU(),
        )
        self.gather = nn.ModuleList(nn.Linear(pair_width, width) for _ in range(depth))
        self.bias = nn.ModuleList(nn.Linear(pair_width, heads) for _ in range(depth))

    def forward(self, receptor: Receptor, pairs: Tensor) -> _SeenReceptor:
        # the place in its own frame does not change when all turn
        place = (receptor.frame.mT @ receptor.position.unsqueeze(-1)).squeeze(-1)
        residues = self.own(torch.cat([receptor.letters(), place], -1))
        return _SeenReceptor(residues, self.pair(pairs), receptor.exists[:, None, :, None])

    def layer(self, i: int, seen: _SeenReceptor) -> tuple[Tensor, Tensor]:
        """Return what block `i` adds to the residues, `(batch, n, width)`, and the bias of
        its attention to the receptor's, `(batch, n, m, heads)`.
        """
        count = seen.exists.sum(2).clamp_min(1)
        added = self.gather[i](seen.pairs).masked_fill(~seen.exists, 0).sum(2) / count
        bias: Tensor = self.bias[i](seen.pairs).masked_fill(~seen.exists, -math.inf)
        return added, bias


@final
class _Block(nn.Module):
    """Attention to the residues and to `others`, `(batch, m, width)`, with a bias of its logits,
    and two layers, each added to its input.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before = nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.after = nn.LayerNorm(width)
        self.layers = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor, bias: Tensor, others: Tensor | None = None) -> Tensor:
        n, width = x.shape[1:]
        read = x if others is None else torch.cat([x, others], 1)
        q, k, v = (
            part.unflatten(-1, (self.heads, width // self.heads)).transpose(1, 2)
            for part in self.qkv(self.before(read)).chunk(3, -1)
        )
        q = q[:, :, :n]
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.layers(self.after(x))  # type: ignore[no-any-return]


def _hat(w: Tensor) -> Tensor:
    x, y, z = w.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*x.shape, 3, 3)
