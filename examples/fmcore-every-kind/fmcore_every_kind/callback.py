"""The size of a network's weights, and their distance to the moving average."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import final

import torch
from fmcore import Callback, TrainingView
from torch import Tensor

__all__ = ["EveryCallback"]


@final
@dataclass(frozen=True)
class EveryCallback(Callback):
    """The norm of all weights, and of their difference to the average if there is one.

    The numbers are in metrics.jsonl and in the report, every `every` steps.  `view` is read-only.
    """

    def after_step(self, view: TrainingView) -> Mapping[str, Tensor]:
        numbers = {"weights": _norm(view.weights.values())}
        if view.average is not None:
            average = view.average
            numbers["to_average"] = _norm(w - average[name] for name, w in view.weights.items())
        return numbers


def _norm(tensors: Iterable[Tensor]) -> Tensor:
    return torch.stack([tensor.square().sum() for tensor in tensors]).sum().sqrt()
