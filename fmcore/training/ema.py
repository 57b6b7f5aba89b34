"""Moving averages of a network's weights, and the names by which a recipe selects them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from fmcore.errors import CheckpointError, ComponentError, did_you_mean
from fmcore.recipe.sections import Train
from fmcore.training.fsdp import copy_shard_, local_shard

__all__ = [
    "BEST",
    "Exponential",
    "MovingAverage",
    "Power",
    "Profile",
    "parts_of",
    "profiles_of",
    "width_of",
]

BEST = "best"
"""The value of `sample.weights` for the first average of the best checkpoint."""

MAX_WIDTH = 0.28
"""Just below 12 ** -0.5, the width of a plain mean (gamma = 0)."""


@final
@dataclass(frozen=True)
class Exponential:
    """theta <- decay theta + (1 - decay) weights.

    The decay warms up as min(decay, (1 + step) / (10 + step)), so that a short run forgets its
    initial weights.
    """

    decay: float

    @property
    def name(self) -> str:
        """Its name in `sample.weights`."""
        return f"ema:{self.decay:g}"

    def keep(self, step: int) -> float:
        """Return the share of the average that step `step`, counted from 1, keeps."""
        return min(self.decay, (1 + step) / (10 + step))


@final
@dataclass(frozen=True)
class Power:
    """The average of all weights so far, those of step tau weighted by tau^gamma.

    `width` is the standard deviation of that profile as a share of the training: a small one covers
    the last steps only.  Source: arXiv 2312.02696, eq. 1-3.
    """

    width: float

    @property
    def name(self) -> str:
        """Its name in `sample.weights`."""
        return f"power:{self.width:g}"

    @property
    def gamma(self) -> float:
        """The exponent: width^2 = (gamma + 1) / ((gamma + 2)^2 (gamma + 3)), solved for gamma."""
        inverse = self.width**-2
        roots = np.roots([1, 7, 16 - inverse, 12 - inverse])
        # for widths below MAX_WIDTH the cubic has one positive root, the largest
        return float(roots.real.max())

    def keep(self, step: int) -> float:
        """Return the share of the average that step `step`, counted from 1, keeps."""
        return float((1 - 1 / step) ** (self.gamma + 1))


Profile = Exponential | Power


@final
class MovingAverage:
    """average <- keep * average + (1 - keep) * weights, in float32, with `keep` from `profile`.

    Buffers that are not floating point are the network's own.  Of sharded weights each process
    averages its shard.
    """

    def __init__(self, model: nn.Module, profile: Profile) -> None:
        self.profile = profile
        self._live = {k: v.detach() for k, v in model.state_dict(keep_vars=True).items()}
        self._averages = {
            # float32: steps of 1 - decay = 1e-4 are lost in the 8 bits of bfloat16
            k: v.clone().float()
            for k, v in self._live.items()
            if v.is_floating_point()
        }
        # Collected once: the optimizer updates these tensors in place, so they stay valid, and a
        # state_dict at every step would cost more than the average itself.
        self._parts = [local_shard(average) for average in self._averages.values()]
        self._weights = [local_shard(self._live[k]) for k in self._averages]
        self._in_float32 = all(weight.dtype == torch.float32 for weight in self._weights)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Add the weights after step `step`, counted from 1, in one fused operation."""
        weights = self._weights if self._in_float32 else [w.float() for w in self._weights]
        torch._foreach_lerp_(self._parts, weights, 1 - self.profile.keep(step))

    def state(self) -> dict[str, Tensor]:
        """Return the averages under the network's own names."""
        return {k: self._averages.get(k, v) for k, v in self._live.items()}

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore saved averages.  Raises CheckpointError if they are of another network."""
        for name, average in self._averages.items():
            if name not in tensors or tensors[name].shape != average.shape:
                raise CheckpointError(f"the average '{self.profile.name}' lacks '{name}'")
            copy_shard_(average, tensors[name])


def profiles_of(train: Train) -> list[Profile]:
    """Return the profiles of a training, in the recipe's order."""
    # `ema` is a number, several or none in a recipe
    decays = () if train.ema is None else train.ema
    if isinstance(decays, float | int):
        decays = (float(decays),)
    return [*map(Exponential, decays), *map(Power, train.ema_power)]


def parts_of(train: Train) -> Mapping[str, str]:
    """Return, for each value of `sample.weights`, the part of a checkpoint that holds it.

    `ema` is the first profile, or the last weights if there is no average.
    """
    profiles = profiles_of(train)
    own = {p.name: "ema" if i == 0 else p.name for i, p in enumerate(profiles)}
    return {"raw": "model", "ema": "ema" if profiles else "model", **own}


def width_of(weights: str, train: Train) -> float | None:
    """Return the width of a power profile to be computed from snapshots; None for weights that a
    checkpoint holds.

    Raises ComponentError for weights that this training does not provide.
    """
    known = [*parts_of(train), *([BEST] if train.best else [])]
    if weights in known:
        return None
    kind, _, number = weights.partition(":")
    width = _number(number) if kind == "power" else None
    if width is not None and 0 < width <= MAX_WIDTH and train.ema_power and train.snapshot_every:
        return width
    hint = did_you_mean(weights, known) or ";"
    raise ComponentError(
        f"sample.weights: no weights '{weights}'{hint} this training keeps {', '.join(known)}; "
        f"{'' if train.best else 'best needs train.best; '}"
        "power:WIDTH of any width needs train.ema_power and train.snapshot_every"
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
