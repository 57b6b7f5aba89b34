"""The base class of the objectives that regress the score."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from fmcore import AffinePath, Coefficients, ComponentError, Path, Quantity
from fmcore_objectives.timed import Timed

__all__ = ["ScoreRegression"]


@dataclass(frozen=True)
class ScoreRegression(Timed, ABC):
    """An objective whose network predicts the score, grad log p_t, of an affine path.

    Eq. 42-43 as printed regress the negative score, noise / sigma; here the sign is the score's.
    """

    @final
    @property
    def prediction(self) -> Quantity:
        return "score"

    def check(self, path: Path) -> None:
        super().check(path)
        times = torch.tensor([self.time_min, self.time_max], dtype=torch.float64)
        ends = path.t_min + (path.t_max - path.t_min) * times
        if self.schedule(path, ends).sigma[1] == 0:
            raise ComponentError(
                f"{type(self).__name__} on {type(path).__name__}: sigma is 0 at the last training "
                "time, where the score is infinite; set the objective's time_max below 1, "
                "for example to 0.99999"
            )
        if not self.weight(path, ends).isfinite().all():
            raise ComponentError(
                f"{type(self).__name__} on {type(path).__name__}: its weight is infinite at the "
                "first training time; set the objective's time_min above 0, for example to 0.001"
            )

    @final
    def schedule(self, path: Path, t: Tensor) -> Coefficients:
        """Return the coefficients of `path` at `t`.  Raises ComponentError unless it is affine."""
        if isinstance(path, AffinePath):
            return path.coefficients(t)
        raise ComponentError(
            f"{type(self).__name__} needs the alpha and sigma of an affine path; "
            f"{type(path).__name__} is not one: use objective 'flow_matching'"
        )
