"""What a network learns: the quantity it predicts, the numbers a step draws, and the losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import partial
from typing import ClassVar, Literal, final

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.condition import learned
from fmcore.interfaces.net import Batch, Net
from fmcore.interfaces.options import Options
from fmcore.interfaces.path import AffinePath, Path, PathSample, Quantity
from fmcore.interfaces.shapes import require_shape
from fmcore.interfaces.source import Condition
from fmcore.interfaces.space import Manifold, Space
from fmcore.interfaces.tensors import mean_over_mask

__all__ = ["Objective", "Regression"]

ENDS = 1e-5
"""The share of a path's interval at each end where a conversion has the slope of a time further
inside."""


class Objective(Options, ABC):
    """A training loss that owns its step: it draws numbers, calls the network and returns losses.

    Laws:
    * `draw` gives tensors `(n,)` from `generator` alone.  Those named in `times` are fractions in
      [0, 1] of the path's interval.
    * `losses` gives exactly the names of `loss_names`, each `(batch,)` and at least float32; row i
      depends on row i of the batch alone.
    * The minimiser is the quantity `prediction` that `read` finds in the network's output.

    `loss_names` is the same on every process.  `spans` objectives train networks of two times
    (see `VectorField.span`).
    """

    kind: ClassVar[str] = "objective"
    times: ClassVar[tuple[str, ...]] = ("t",)
    spans: ClassVar[bool] = False

    def supports(self, space: Space) -> bool:
        """Return whether this trains flows of points of `space`: by default only those of R^n."""
        return space.flat

    def check(self, path: Path) -> None:  # nothing to refuse by default
        """Raise ComponentError if this cannot be trained along `path`, with the reason; called
        before training.
        """

    @property
    def reads(self) -> frozenset[str]:
        """The entries of the condition that the losses use, besides the mask."""
        return frozenset()

    @property
    @abstractmethod
    def prediction(self) -> Quantity:
        """The quantity that the network is trained to predict."""

    @property
    @abstractmethod
    def loss_names(self) -> tuple[str, ...]:
        """The names of the losses, in a fixed order."""

    @property
    def loss_weights(self) -> Mapping[str, float]:
        """The weights of the losses in the total that is minimised, 1 where there is none; logged
        losses are without them.
        """
        return {}

    @abstractmethod
    def draw(
        self, n: int, generator: torch.Generator, part: tuple[int, int] = (0, 1)
    ) -> Mapping[str, Tensor]:
        """Draw the random numbers of `n` rows, `(n,)` float32 each; this call is part `part[0]` of
        `part[1]` equal parts of one batch, so that a stratified draw can cover the whole batch.
        """

    @abstractmethod
    def losses(self, net: Net, path: Path, batch: Batch) -> Mapping[str, Tensor]:
        """The losses of each row by name, `(batch,)` each."""

    def output_shape(self, path: Path, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the network's output for data of `shape`; the same unless overridden."""
        return shape

    def read(self, raw: Tensor, xt: Tensor, t: Tensor, path: Path) -> Mapping[Quantity, Tensor]:
        """The quantities in the output `raw` at (xt, t): `prediction` by default."""
        return {self.prediction: raw}


class Regression(Objective, ABC):
    """A weighted regression onto one quantity of the path, at one time for each row.

    Laws, besides those of Objective:
    * `weight(path, t)` is `(batch,)`, finite and >= 0 at every time that `sample_time` draws.
    * `sample_time` gives n values in [0, 1]: fractions of the path's interval, from `generator`
      alone.
    * The minimiser of the loss is the conditional expectation of `prediction` given xt.

    `loss_on` names the quantity whose error is squared, after conversion of the prediction along
    an affine path; None is the prediction itself.  The conversion multiplies the square error by a
    factor of t, at most `max_factor`: it is unbounded where the path ends.  The minimiser is the
    same.  Source: Li & He 2025 (arXiv 2511.13720), which trains data predictions on the velocity
    with the factor bounded by 1 / .05^2.
    """

    loss_on: Literal["velocity", "data", "noise"] | None = None
    max_factor: float = 400.0

    def check(self, path: Path) -> None:
        """Raise ComponentError for `loss_on` along a path that cannot convert the prediction."""
        if self.loss_on is not None:
            middle = torch.tensor([(path.t_min + path.t_max) / 2])
            self.factor(path, middle)

    @final
    @property
    def loss_names(self) -> tuple[str, ...]:
        return ("regression",)

    @abstractmethod
    def weight(self, path: Path, t: Tensor) -> Tensor:
        """Return the weight lambda(t) >= 0 of a squared error at `t`, both `(batch,)`.

        Raises ComponentError if it is not defined for this path.
        """

    @abstractmethod
    def sample_time(
        self, n: int, generator: torch.Generator, part: tuple[int, int] = (0, 1)
    ) -> Tensor:
        """Draw `(n,)` fractions of the interval, float32; `part` is that of `draw`."""

    @final
    def draw(
        self, n: int, generator: torch.Generator, part: tuple[int, int] = (0, 1)
    ) -> Mapping[str, Tensor]:
        return {"t": self.sample_time(n, generator, part)}

    @final
    def supports(self, space: Space) -> bool:
        of_manifold = self.prediction in ("velocity", "data") and isinstance(space, Manifold)
        return space.flat or of_manifold

    @final
    def losses(self, net: Net, path: Path, batch: Batch) -> Mapping[str, Tensor]:
        sample = batch.at(batch.draws["t"])
        prediction = net(sample.xt, sample.t)
        return {"regression": self.loss(path, sample, prediction, batch.condition)}

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
    def factor(self, path: Path, t: Tensor) -> Tensor:
        """Return the factor of the square error by `loss_on` at `t`, both `(batch,)`.

        Raises ComponentError along a path that cannot convert the prediction.
        """
        if self.loss_on in (None, self.prediction):
            return torch.ones_like(t)
        # at the ends of the path one of the two may be unknown, and the slope not defined
        margin = ENDS * (path.t_max - path.t_min)
        t = t.clamp(path.t_min + margin, path.t_max - margin)
        one, zero = t.new_ones(len(t), 1), t.new_zeros(len(t), 1)
        convert = partial(path.convert, source=self.prediction, target=self.loss_on)
        # a conversion is affine in the prediction: its slope is a difference of two values
        slope = (convert(one, zero, t) - convert(zero, zero, t))[:, 0]
        return slope.square().clamp(max=self.max_factor)

    @final
    def loss(
        self, path: Path, sample: PathSample, prediction: Tensor, condition: Condition | None = None
    ) -> Tensor:
        """Return the weighted mean square error of each row, `(batch,)`, in the dtype of
        `sample.ut`.

        A `mask` in the condition excludes the elements where it is 0, `frozen` those where it is 1.
        On a manifold the error of a velocity is measured by its metric, that of data by their
        distance.
        """
        error = self._squared_error(path, sample, prediction.to(sample.ut.dtype))
        mean = mean_over_mask(error, learned(condition, path.space))
        weight = self.weight(path, sample.t)
        require_shape(weight, mean.shape, f"the weight of objective {type(self).__name__}")
        if self.loss_on is not None:
            weight = weight * self.factor(path, sample.t)
        return weight * mean

    def _squared_error(self, path: Path, sample: PathSample, prediction: Tensor) -> Tensor:
        """Return the squared error of each element; of each point on a manifold."""
        space, target = path.space, self.target(path, sample)
        if space.flat or not isinstance(space, Manifold):
            return (prediction - target).square()
        allowed = path.constrain(prediction, sample.xt, self.prediction)
        at, error = sample.xt, allowed - target
        if self.prediction == "data":
            # a difference of points is no tangent vector
            at, error = target, space.log(target, allowed)
        return space.inner(at, error, error)
