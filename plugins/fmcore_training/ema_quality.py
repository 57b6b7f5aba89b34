"""The loss of the moving average."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from torch import Tensor

from fmcore import Callback, ComponentError, TrainingView

__all__ = ["EmaQuality"]


@final
@dataclass(frozen=True)
class EmaQuality(Callback):
    """The loss of the first moving average (`average`), and of the weights (`weights`), on the same
    rows of the batch just trained on.

    An average whose loss stays above that of the weights forgets too slowly.  Costs two forward
    passes.  Raises ComponentError without `train.ema`, and with `train.fsdp`.
    """

    def after_step(self, view: TrainingView) -> Mapping[str, Tensor]:
        if view.average is None:
            raise ComponentError(
                "callback 'ema_quality' reads the moving average of the weights: set train.ema, "
                "and train.fsdp=false"
            )
        return {"average": view.loss(view.average), "weights": view.loss()}
