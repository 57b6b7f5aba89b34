"""Interface of objectives: the predicted quantity, the training times, the weight of errors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, final

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.options import Options
from fmcore.interfaces.path import AffinePath, Path, PathSample, Quantity
from fmcore.interfaces.shapes import require_shape

if TYPE_CHECKING:
    from fmcore.interfaces.source import Condition

__all__ = ["Objective"]


class Objective(Options, ABC):
    """A weighted regression onto one quantity of the path.

    Laws:
    * `weight(path, t)` is `(batch,)`, finite and >= 0 at every time that `sample_time` draws.
    * `sample_time` draws n values in [0, 1], fractions of the path's interval, from `generator`
      alone.
    * The minimizer of the loss is the conditional expectation of `prediction` given xt.
    """

    kind: ClassVar[str] = "objective"

    def check(self, path: Path) -> None:  # nothing to refuse by default
        """Raise ComponentError with the reason if this cannot be trained along `path`; called
        before training.
        """

    @property
    @abstractmethod
    def prediction(self) -> Quantity:
        """The quantity that the network is trained to predict."""

    @abstractmethod
    def weight(self, path: Path, t: Tensor) -> Tensor:
        """Return the weight lambda(t) >= 0 of a squared error at `t`, both `(batch,)`.

        Raises ComponentError if it is not defined for this path.
        """

    @abstractmethod
    def sample_time(
        self, n: int, generator: torch.Generator, part: tuple[int, int] = (0, 1)
    ) -> Tensor:
        """Draw `(n,)` fractions of the interval, float32, on the CPU.

        This is part `part[0]` of `part[1]` equal parts of one batch (of processes or accumulation),
        so that a stratified draw can cover the whole batch.
        """

    @final
    def target(self, path: Path, sample: PathSample) -> Tensor:
        """Return the regression target of `sample`, `(batch, *shape)`.

        Raises ComponentError for noise or score along a path that is not affine.
        """
        if self.prediction == "velocity":
            return sample.ut
        if self.prediction == "data":
            return sample.x1
        if not isinstance(path, AffinePath):
            raise ComponentError(
                f"objective predicts {self.prediction}, which only an affine path defines; "
                f"{type(path).__name__} is not one: use objective 'flow_matching'"
            )
        if self.prediction == "noise":
            return sample.x0
        return path.convert(sample.x0, sample.xt, sample.t, source="noise", target="score")

    @final
    def loss(
        self, path: Path, sample: PathSample, prediction: Tensor, condition: Condition | None = None
    ) -> Tensor:
        """Return the weighted mean square error of each row, `(batch,)`, in the dtype of
        `sample.ut`.

        A `mask` in the condition excludes the elements where it is 0.
        """
        error = (prediction.to(sample.ut.dtype) - self.target(path, sample)).square()
        mask = None if condition is None else condition.get("mask")
        if mask is None:
            mean = error.flatten(1).mean(1)
        else:
            mask = mask.to(error.dtype).expand_as(error)
            mean = (error * mask).flatten(1).sum(1) / mask.flatten(1).sum(1).clamp_min(1)
        weight = self.weight(path, sample.t)
        require_shape(weight, mean.shape, f"the weight of objective {type(self).__name__}")
        return weight * mean
