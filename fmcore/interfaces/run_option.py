"""The option of a component that needs another run: a teacher, a weak field, a codec.

Imports no torch.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, final

from annotated_types import Ge

from fmcore.interfaces.options import Options

if TYPE_CHECKING:
    import torch

    from fmcore.interfaces.field import Predictor

__all__ = ["RunOption"]


@final
@dataclass(frozen=True)
class RunOption(Options):
    """A trained run that a component needs; in a recipe, its folder alone is enough.

    `run` is the folder, `weights` a value of `sample.weights`, and `guidance` the scale of
    classifier-free guidance of that run (1: none).  Before training, the framework refuses runs
    that are missing, not trained, or in need of the run that needs them; it records the checksum of
    their weights.
    """

    shorthand: ClassVar[str] = "run"

    run: Path
    weights: str = "ema"
    guidance: Annotated[float, Ge(0)] = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "run", Path(self.run))  # text, where Python gives it

    def open(self, device: torch.device | str = "cpu") -> Predictor:
        """Return the trained field of the run on `device`, in evaluation mode, its weights frozen.

        `.model` of it is the network.  The networks opened last are cached.  Raises RunError for a
        folder without a run, and CheckpointError for a run that is not trained.
        """
        # by its name: the stages open runs, and import the interfaces, not the reverse
        stages: Any = importlib.import_module("fmcore.stages.other_runs")
        field: Predictor = stages.open_run_option(self, device)
        return field
