"""The moving average of a network's weights, in one fused operation a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from fmcore.errors import CheckpointError, ComponentError, did_you_mean
from fmcore.recipe.sections import Train
from fmcore.training.fsdp import fill, part

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


@final
class MovingAverage:
    """average <- keep * average + (1 - keep) * weights, in float32; what is not a number is taken
    as is.

    `profile` says what is kept.  Of weights cut among processes, each averages its part.
    """

    def __init__(self, model: nn.Module, profile: Profile) -> None:
        self.profile = profile
        self._live = {k: v.detach() for k, v in model.state_dict(keep_vars=True).items()}
        self._averages = {
            k: v.clone().float() for k, v in self._live.items() if v.is_floating_point()
        }
        self._parts = [part(average) for average in self._averages.values()]
        self._weights = [part(self._live[k]) for k in self._averages]
        self._in_float32 = all(weight.dtype == torch.float32 for weight in self._weights)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step `step`, counted from 1."""
        weights = self._weights if self._in_float32 else [w.float() for w in self._weights]
        torch._foreach_lerp_(self._parts, weights, 1 - self.profile.keep(step))

    def state(self) -> dict[str, Tensor]:
        """The averages under the network's own names."""
        return {k: self._averages.get(k, v) for k, v in self._live.items()}

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from averages saved before.  Raises CheckpointError if they are of another
        network.
        """
        for name, average in self._averages.items():
            if name not in tensors or tensors[name].shape != average.shape:
                raise CheckpointError(f"the average '{self.profile.name}' lacks '{name}'")
            fill(average, tensors[name])


BEST = "best"
"""What `sample.weights` calls the first average of the checkpoint that measured best."""


@final
@dataclass(frozen=True)
class Exponential:
    """theta <- decay theta + (1 - decay) weights.

    The decay warms up as min(decay, (1 + step) / (10 + step)), so that a short run forgets its
    initialisation.
    """

    decay: float

    @property
    def name(self) -> str:
        """As `sample.weights` names it."""
        return f"ema:{self.decay:g}"

    def keep(self, step: int) -> float:
        """The share of the average that step `step`, counted from 1, keeps."""
        return min(self.decay, (1 + step) / (10 + step))


@final
@dataclass(frozen=True)
class Power:
    """The average of all weights so far, each counted by tau^gamma, tau its step.

    `width` is the standard deviation of that profile as a share of the training: small ones look at
    the end alone.  Source: arXiv 2312.02696, eq. 1-3.
    """

    width: float

    @property
    def name(self) -> str:
        """As `sample.weights` names it."""
        return f"power:{self.width:g}"

    @property
    def gamma(self) -> float:
        """The exponent: width^2 = (gamma + 1) / ((gamma + 2)^2 (gamma + 3)), solved for gamma."""
        inverse = self.width**-2
        roots = np.roots([1, 7, 16 - inverse, 12 - inverse])
        return float(roots.real.max())

    def keep(self, step: int) -> float:
        """The share of the average that step `step`, counted from 1, keeps."""
        return float((1 - 1 / step) ** (self.gamma + 1))


Profile = Exponential | Power


def profiles_of(train: Train) -> list[Profile]:
    """The profiles that a training keeps, in the recipe's order."""
    decays = () if train.ema is None else train.ema
    if isinstance(decays, float | int):
        decays = (float(decays),)
    return [*map(Exponential, decays), *map(Power, train.ema_power)]


def parts_of(train: Train) -> Mapping[str, str]:
    """What `sample.weights` may say -> which part of a checkpoint that is.

    `ema` is the first profile, or the last weights where no average is kept.
    """
    profiles = profiles_of(train)
    own = {p.name: "ema" if i == 0 else p.name for i, p in enumerate(profiles)}
    return {"raw": "model", "ema": "ema" if profiles else "model", **own}


def width_of(weights: str, train: Train) -> float | None:
    """The width of a power profile that is made afterwards, from snapshots; None for what a
    checkpoint holds.

    Raises ComponentError for weights that this training does not give.
    """
    known = [*parts_of(train), *([BEST] if train.best else [])]
    if weights in known:
        return None
    kind, _, number = weights.partition(":")
    width = _number(number) if kind == "power" else None
    if width is not None and 0 < width <= WIDEST and train.ema_power and train.snapshot_every:
        return width
    hint = did_you_mean(weights, known) or ";"
    raise ComponentError(
        f"sample.weights: no weights '{weights}'{hint} this training keeps {', '.join(known)}; "
        f"{'' if train.best else 'best needs train.best; '}"
        "power:WIDTH of any width needs train.ema_power and train.snapshot_every"
    )


WIDEST = 0.28
"""Just below 12 ** -0.5, the width of a plain mean (gamma = 0)."""


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
