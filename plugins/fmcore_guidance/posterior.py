"""What the posterior guidances share: a measurement y = A x1 + noise, and its likelihood.

Notation: xt = alpha x1 + sigma x0 with x0 ~ N(0, I), D(xt) = E[x1 | xt] the data prediction,
V(xt) = Cov[x1 | xt] = sigma^2 / alpha dD/dxt.  Guidance by a likelihood p(y | xt) changes the data
prediction to

    D + sigma^2 / alpha grad log p(y | xt)

which is E[x1 | xt, y] where the likelihood is exact.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Ge
from torch import Tensor

from fmcore import (
    AffinePath,
    ComponentError,
    Condition,
    ConditionSpec,
    Gaussian,
    Guidance,
    GuidedCall,
    Operator,
    Path,
    Predictor,
    Quantity,
    Rows,
    append_dims,
    branches,
)
from fmcore_guidance.geometry import dot, require_affine
from fmcore_guidance.measurement import encode_measurement, measured

__all__ = ["Linearization", "Posterior", "solve"]

FIRST_RATIO = 0.03
"""The least alpha / sigma at which a network is evaluated for a likelihood.  V is a derivative over
alpha, which is 0 / 0 at alpha = 0; the posterior of x1 there is that at this ratio up to 3 %, and
few of the steps are below it."""


@dataclass(frozen=True)
class Posterior(Guidance):
    """Guidance by a measurement of x1, the condition called `measurement`, made by `operator`.

    `strength` multiplies the change of the data prediction: 0 is no guidance, 1 the method's own.
    """

    quantity: ClassVar[Quantity | None] = "data"
    neutral: ClassVar[dict[str, Any]] = {"strength": 0.0}

    operator: Operator
    measurement: str = "measurement"
    strength: Annotated[float, Ge(0)] = 1.0

    @property
    def reads(self) -> frozenset[str]:
        return frozenset({self.measurement})

    def check(self, path: Path) -> None:
        affine = require_affine(type(self).__name__.lower(), path)
        if not isinstance(affine.source, Gaussian):
            raise ComponentError(
                f"guidance '{type(self).__name__.lower()}' needs Gaussian noise, and the source is "
                f"{type(affine.source).__name__}: train with path.source=gaussian"
            )

    def entries(self, shape: tuple[int, ...]) -> Mapping[str, ConditionSpec]:
        return {self.measurement: ConditionSpec(self.operator.shape(shape))}

    def encode(self, given: Mapping[str, Any], shape: tuple[int, ...]) -> dict[str, Tensor]:
        return super().encode(encode_measurement(given, self.entries(shape)), shape)

    def measure(self, x1: Tensor, rows: Rows) -> dict[str, Tensor]:
        return {self.measurement: measured(self.operator, x1, rows)}

    def prepare(self, field: Predictor, raw: Condition | None) -> Condition | None:
        if raw is None or self.measurement not in raw:
            raise ComponentError(
                f"guidance by a measurement reads the condition '{self.measurement}', which is "
                f"missing: give it, as in condition.{self.measurement}=photo.png (data whose "
                "likelihood is measured have none)"
            )
        y = self.operator.project(raw[self.measurement])
        return branches({"y": y}, strong=field.prepare(raw))

    def guide(self, call: GuidedCall) -> Tensor:
        data, change = self.change(call, call.entry("y").to(call.x.dtype))
        return data + self.strength * change

    @abstractmethod
    def change(self, call: GuidedCall, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the data prediction, and its change by the measurement `y`; both of x's shape."""


class Linearization:
    """The data prediction at a call, and products with its covariance V = sigma^2 / alpha dD/dxt.

    `data` is D, `covariance(w)` is V w of each row; each product is a backward pass.  dD/dxt is
    symmetric for the exact D, so that a backward pass serves for a product with V.
    """

    def __init__(self, call: GuidedCall) -> None:
        path = call.path
        first = _first_time(path) if isinstance(path, AffinePath) else 0.0
        alpha, self.sigma2 = _scales(call, first)
        self.alpha2, self._ratio = alpha**2, self.sigma2 / alpha
        # a guidance around this one differentiates it, and needs the derivative of V too
        self._differentiated = torch.is_grad_enabled() and call.x.requires_grad
        with torch.enable_grad():
            self._x = call.x if self._differentiated else call.x.detach().requires_grad_()
            self._data = call.predict(target="data", x=self._x, t=call.t.clamp(min=first))
        self.data = self._data if self._differentiated else self._data.detach()

    def covariance(self, w: Tensor) -> Tensor:
        """Return V w, `(batch, *shape)`."""
        (product,) = torch.autograd.grad(
            self._data, self._x, w, retain_graph=True, create_graph=self._differentiated
        )
        return self._ratio * product


def _scales(call: GuidedCall, first: float) -> tuple[Tensor, Tensor]:
    """Return alpha and the variance of the noise at the call's times, which broadcast to x."""
    path = call.path
    if not isinstance(path, AffinePath) or not isinstance(path.source, Gaussian):
        raise ComponentError("posterior guidance needs an affine path from Gaussian noise")
    c = path.coefficients(call.t.clamp(min=first).to(call.x.dtype))
    variance = (path.source.temperature * c.sigma) ** 2
    return append_dims(c.alpha, call.x), append_dims(variance, call.x)


@lru_cache(maxsize=64)
def _first_time(path: AffinePath) -> float:
    """Return the time at which alpha / sigma is FIRST_RATIO."""
    wanted = torch.tensor([2 * math.log(FIRST_RATIO)], dtype=torch.float64)
    return float(path.inverse_log_snr(wanted))


def solve(
    matrix: Callable[[Tensor], Tensor], right: Tensor, iterations: int, tolerance: float = 1e-10
) -> Tensor:
    """Return u with `matrix(u)` = `right`, by conjugate gradients from 0, for each row apart.

    `matrix` is linear, symmetric and positive semidefinite in each row.  A row ends at a residual
    of `tolerance` times that of `right`, or where its curvature is not positive, as the derivative
    of a network may have it.
    """
    u, residual = torch.zeros_like(right), right
    direction, size = right, dot(right, right)
    enough = tolerance**2 * size
    for _ in range(iterations):
        image = matrix(direction)
        curvature = dot(direction, image)
        running = (size > enough) & (curvature > 0)
        step = torch.where(running, size / torch.where(running, curvature, 1), 0)
        u = u + step * direction
        residual = residual - step * image
        before, size = size, torch.where(running, dot(residual, residual), 0)
        direction = residual + size / torch.where(before > 0, before, 1) * direction
    return u
