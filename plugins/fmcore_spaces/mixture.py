"""The path of tokens: each jumps from x0 to x1 at its own time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self, final

import torch
from torch import Tensor

from fmcore import (
    ComponentError,
    Condition,
    PathSample,
    Quantity,
    Rows,
    Source,
    Space,
    Tokens,
    append_dims,
)
from fmcore_spaces.kappa import Scheduled
from fmcore_spaces.mask import Mask
from fmcore_spaces.uniform import Uniform

__all__ = ["MixturePath"]

IMPOSSIBLE = -1e9
"""The logit of a token that cannot be: finite, so that no product with 0 is NaN."""


@final
@dataclass(frozen=True)
class _Unit(Source):
    """Uniform numbers of [0, 1)."""

    def sample(
        self,
        rows: Rows,
        shape: tuple[int, ...],
        condition: Condition | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        return rows.uniform(shape, dtype)

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        inside = ((x >= 0) & (x < 1)).flatten(1).all(1)
        return torch.where(inside, 0.0, -torch.inf).to(x.dtype)


@final
@dataclass(frozen=True)
class MixturePath(Scheduled):
    """xt is x1 where z < kappa(t), else x0, for each token, with z uniform: one jump at a time of
    its own.

    ut is 0: tokens have no velocity.  `source` is the mask by default where the space has one, else
    uniform.  With the mask source, a token that is no mask is known: its posterior is itself.
    Source: Gat et al. 2024 (arXiv 2407.15595), section 3; Campbell et al. 2024 (arXiv 2402.04997).
    """

    leaps: ClassVar[bool] = True

    source: Source | None = None
    space: Space = Tokens(2)  # noqa: RUF009  # a frozen value; the data's space replaces it

    def on(self, space: Space) -> Self:
        if not isinstance(space, Tokens):
            raise ComponentError(
                f"path 'mixture' needs tokens, and the data are points of {type(space).__name__}: "
                "use path 'geodesic' on a manifold, 'product' for several parts"
            )
        source = None if self.source is None else self.source.on(space)
        return replace(self, source=source, space=space)

    def bridge(self) -> Source:
        return _Unit()

    def noise(self) -> Source:
        if self.source is not None:
            return self.source
        space = self.tokens
        return Mask(space) if space.mask else Uniform(space)

    def prior(self) -> Source:
        return self.noise()

    @property
    def tokens(self) -> Tokens:
        """The space."""
        if not isinstance(self.space, Tokens):
            raise ComponentError("path 'mixture' needs tokens as its space")
        return self.space

    @property
    def masked(self) -> bool:
        """Whether x0 is the mask."""
        return isinstance(self.noise(), Mask)

    def sample(self, x0: Tensor, x1: Tensor, t: Tensor, z: Tensor | None = None) -> PathSample:
        if z is None:
            raise ComponentError("path 'mixture' needs z, a draw of its bridge()")
        kappa = append_dims(self.kappa(t.to(torch.promote_types(t.dtype, torch.float32)))[0], z)
        xt = torch.where(z < kappa, x1, x0.to(x1.dtype))
        return PathSample(x0=x0, x1=x1, t=t, xt=xt, ut=torch.zeros_like(xt))

    def constrain(self, value: Tensor, xt: Tensor, quantity: Quantity) -> Tensor:
        """Return the logits, with those of known tokens under a mask source replaced."""
        if quantity != "posterior" or not self.masked:
            return value
        known = (xt < self.tokens.classes).unsqueeze(-1)
        one_hot = xt.unsqueeze(-1) == torch.arange(value.shape[-1], device=xt.device)
        return torch.where(known, IMPOSSIBLE * (~one_hot).to(value.dtype), value)

    def convert(
        self, value: Tensor, xt: Tensor, t: Tensor, *, source: Quantity, target: Quantity
    ) -> Tensor:
        """Return the most likely data of a posterior.  Raises ComponentError for other changes."""
        if source == target:
            return value
        if (source, target) == ("posterior", "data"):
            return value.argmax(-1).to(xt.dtype)
        raise ComponentError(
            f"cannot turn {source} into {target}: tokens have a posterior and no velocity; sample "
            "them with solver 'leap'"
        )
