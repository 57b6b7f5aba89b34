"""The options of time that every objective here shares."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import Annotated, Literal, final

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor

from fmcore import (
    ComponentError,
    Regression,
    logit_normal_times,
    stratified_times,
    uniform_times,
)

__all__ = ["Timed"]


@dataclass(frozen=True)
class Timed(Regression, ABC):
    """An objective whose training times are drawn as `time` says.

    `uniform` is the paper's; `stratified` spreads the times of a batch evenly, which lowers the
    variance of its gradient; `logit_normal` looks at the middle more than at the ends (median
    sigmoid(`logit_mean`), spread `logit_std`).  `time_min` and `time_max` cut the draw to a part of
    the path's interval, given as fractions of it.
    """

    time: Literal["uniform", "stratified", "logit_normal"] = "uniform"
    logit_mean: float = 0.0
    logit_std: Annotated[float, Gt(0)] = 1.0
    time_min: Annotated[float, Ge(0), Le(1)] = 0.0
    time_max: Annotated[float, Ge(0), Le(1)] = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.time_max <= self.time_min:
            raise ComponentError(
                f"{type(self).__name__}: time_max must be above time_min = {self.time_min}, "
                f"got {self.time_max}"
            )

    @final
    def sample_time(
        self, n: int, generator: torch.Generator, part: tuple[int, int] = (0, 1)
    ) -> Tensor:
        if self.time == "uniform":
            fraction = uniform_times(n, generator)
        elif self.time == "stratified":
            fraction = stratified_times(n, generator, part)
        else:
            fraction = logit_normal_times(n, generator, self.logit_mean, self.logit_std)
        return self.time_min + (self.time_max - self.time_min) * fraction
