"""Interface of operators: how a linear measurement y = A x1 + noise is made of a data point."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from annotated_types import Ge
from torch import Tensor

from fmcore.interfaces.options import Options

__all__ = ["Operator"]


@dataclass(frozen=True)
class Operator(Options, ABC):
    """A linear map A from data points to measurements, and the noise of a measurement.

    A measurement is y = A x1 + `noise` n with n ~ N(0, I); `noise` >= 0 is a standard deviation in
    the units of y.

    Laws (each a check of `fmcore.testing.OperatorSuite`):
    * A is linear: A(a x + b z) = a A x + b A z; in particular A 0 = 0.
    * `adjoint` is its transpose: <A x, y> = <x, adjoint(y)> for all x and y.
    * `shape` is the shape of `apply`'s rows.
    * `project` keeps every A x, and what it removes from y has no part in `adjoint(y)`.
    * Row i of a result depends on row i of the argument alone; results have the argument's dtype
      and device, and gradients reach the argument.
    """

    kind: ClassVar[str] = "operator"

    noise: Annotated[float, Ge(0)] = field(default=0.05, kw_only=True)

    @abstractmethod
    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the measurement of a data point of `shape`.

        Raises ComponentError for a shape that cannot be measured.
        """

    @abstractmethod
    def apply(self, x: Tensor) -> Tensor:
        """Return A x, `(batch, *measured)`, of `x`, `(batch, *shape)`."""

    @abstractmethod
    def adjoint(self, y: Tensor) -> Tensor:
        """Return A^T y, `(batch, *shape)`, of `y`, `(batch, *measured)`."""

    def project(self, y: Tensor) -> Tensor:
        """Return `y` with 0 at the elements that no A x reaches; by default there are none."""
        return y
