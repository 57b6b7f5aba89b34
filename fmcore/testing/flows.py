"""Flows with known solutions, a field that records its calls, and a counter of synchronisations,
for tests of solvers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from fmcore.interfaces.path import AffinePath, Coefficients
from fmcore.interfaces.source import Condition
from fmcore.interfaces.tensors import append_dims
from fmcore.testing.checks import generator

__all__ = ["Decay", "Recording", "StraightPath", "Waits", "starts"]


@final
@dataclass(frozen=True)
class StraightPath(AffinePath):
    """alpha = t, sigma = 1 - t: a path for solvers that need one."""

    def coefficients(self, t: Tensor) -> Coefficients:
        one = torch.ones_like(t)
        return Coefficients(alpha=t, sigma=1 - t, d_alpha=one, d_sigma=-one)


@final
class Decay:
    """u = -(1 + t) x^2 for every element: nonlinear and time-dependent."""

    def __call__(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        rate = 1.0 if condition is None else append_dims(condition["rate"], x)
        return -rate * (1 + append_dims(t, x)) * x * x

    @staticmethod
    def exact(x: Tensor, t0: float, t1: float, rate: Tensor | float = 1.0) -> Tensor:
        """Return x(t1) from x at t0: 1/x increases by rate times t + t^2/2."""
        grown = (t1 + t1**2 / 2) - (t0 + t0**2 / 2)
        rate = append_dims(rate, x) if isinstance(rate, Tensor) else rate
        return 1 / (1 / x + rate * grown)

    @staticmethod
    def logdet(x: Tensor, end: Tensor) -> Tensor:
        """Return the integral of the divergence, `(batch,)`: d end / d x = (end / x)^2."""
        return 2 * (end / x).log().flatten(1).sum(1)


def starts(n: int, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return `n` states between 0.2 and 0.4, from which `Decay` stays finite in both directions."""
    return 0.2 + 0.2 * torch.rand((n, *(shape or (3,))), generator=generator(), dtype=dtype)


@final
@dataclass
class Recording:
    """Calls `velocity` and records the times, dtypes and shapes of its arguments."""

    velocity: Any
    times: list[Tensor] = field(default_factory=list)
    dtypes: set[torch.dtype] = field(default_factory=set)
    shapes: set[tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=set)

    def __call__(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        self.times.append(t.detach().clone())
        self.dtypes |= {x.dtype, t.dtype}
        self.shapes.add((tuple(x.shape), tuple(t.shape)))
        velocity: Tensor = (
            self.velocity(x, t) if condition is None else self.velocity(x, t, condition)
        )
        return velocity

    @property
    def calls(self) -> int:
        """The number of calls."""
        return len(self.times)

    @property
    def span(self) -> tuple[float, float]:
        """The earliest and the latest time."""
        times = torch.cat(self.times)
        return float(times.min()), float(times.max())


class _Reads(TorchFunctionMode):
    """Counts tensors that the host reads as a whole, which the dispatcher does not see."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (Tensor.tolist, Tensor.numpy, Tensor.cpu):
            self.reads += 1
        return func(*args, **(kwargs or {}))


@final
class Waits(TorchDispatchMode):  # type: ignore[no-untyped-call]  # of torch's
    """Counts operations, and those for which the host waits for the device, inside its context."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.waits = self.operations = 0
        self._reads = _Reads()

    def __enter__(self) -> Waits:
        self._reads.__enter__()  # type: ignore[no-untyped-call]
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._reads.__exit__(*error)  # type: ignore[no-untyped-call]
        self.waits += self._reads.reads

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations += 1
        if func is torch.ops.aten._local_scalar_dense.default:
            self.waits += 1
        return func(*args, **(kwargs or {}))
