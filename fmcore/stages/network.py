"""The trained network of a run, as a velocity field."""

from __future__ import annotations

from typing import Literal

import torch

from fmcore.errors import CheckpointError
from fmcore.field import Field
from fmcore.runs.checkpoint import Checkpoint, load_into
from fmcore.runs.folder import RunFolder
from fmcore.stages.components import Components

__all__ = ["trained_field"]


def trained_field(
    components: Components,
    folder: RunFolder,
    weights: Literal["ema", "raw"] = "ema",
    device: torch.device | str = "cpu",
) -> tuple[Field, Checkpoint]:
    """The field of the newest whole checkpoint, in evaluation mode, and that checkpoint.

    Raises CheckpointError if there is none, or if it holds no moving average and one is asked for.
    """
    checkpoint = folder.checkpoints.latest()
    if checkpoint is None:
        raise CheckpointError(
            f"{folder.root}: no checkpoint yet: train first (fmcore run), "
            "or give train.steps in the recipe"
        )
    averaged = components.train is None or components.train.ema is not None
    tensors = checkpoint.part("ema" if weights == "ema" and averaged else "model")
    model = components.model()
    load_into(model, tensors, str(folder.checkpoints.root))
    model.to(device).eval().requires_grad_(False)
    field = Field(model, components.path, components.objective, coupling=components.coupling)
    return field, checkpoint
