"""torch's optimizers for training without a compiled optimizer step.

torch decorates their methods for torch.compile, and the first call of any of them imports the whole
compiler: 1.2 s, half of a short training's start.  fmcore compiles networks, never optimizers, and
calls the functions inside the decorators.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import MethodType
from typing import Any, final, overload

import torch

__all__ = ["EagerAdam", "EagerAdamW", "EagerSGD"]


class _Eager(torch.optim.Optimizer):
    """An optimizer whose methods run without their decorators; hooks and the profiler work."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        _undecorated(super().add_param_group)(param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        _undecorated(super().zero_grad)(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = _undecorated(super().state_dict)()
        return state

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        # the decorator does this too, with `differentiable`, which fmcore never sets
        with torch.no_grad():
            loss: float | None = _undecorated(super().step)(closure)
        return loss


@final
class EagerAdam(_Eager, torch.optim.Adam):
    """torch.optim.Adam, not for torch.compile."""


@final
class EagerAdamW(_Eager, torch.optim.AdamW):
    """torch.optim.AdamW, not for torch.compile."""


@final
class EagerSGD(_Eager, torch.optim.SGD):
    """torch.optim.SGD, not for torch.compile."""


def _undecorated(method: Any) -> MethodType:
    """Return the bound `method` without its decorators."""
    return MethodType(inspect.unwrap(method.__func__), method.__self__)
