"""Profiles of a moving average: how much of the past each keeps at a step.

An exponential profile forgets at a fixed rate; a power profile's memory grows with the training, so
that its length is a fixed share of it (Karras et al., arXiv 2312.02696, section 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from fmcore.errors import ComponentError
from fmcore.recipe.sections import Train
from fmcore.suggest import did_you_mean

__all__ = ["BEST", "Exponential", "Power", "Profile", "parts_of", "profiles_of", "width_of"]


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
