"""The field that samples are drawn with: trained, along another path, and guided."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from fmcore.errors import ComponentError
from fmcore.flow.reschedule import change_schedule
from fmcore.interfaces.field import Predictor
from fmcore.interfaces.guidance import Guidance
from fmcore.recipe.sections import Sample, Train
from fmcore.runs.checkpoint import Checkpoint
from fmcore.runs.folder import RunFolder
from fmcore.stages.components import Components
from fmcore.stages.conditions import (
    NOTHING_TO_DROP,
    dropped_names,
)
from fmcore.stages.weights import shared_field

__all__ = ["sampling_field", "wrap_path_and_guidance"]


def sampling_field(
    components: Components, settings: Sample, folder: RunFolder, device: torch.device
) -> tuple[Predictor, Checkpoint]:
    """Return the trained field, with the path and guidance of the settings, and its checkpoint."""
    trained, checkpoint = shared_field(components, folder, settings.weights, device)
    return wrap_path_and_guidance(trained, settings, components.train), checkpoint


def wrap_path_and_guidance(
    trained: Predictor, settings: Sample, train: Train | None = None
) -> Predictor:
    """Return the trained field along `settings.path`, guided by `settings.guidance`.

    `train` names the conditions that training dropped.
    """
    field = trained
    if settings.path is not None:
        along = settings.path.on(trained.path.space)
        settings.solver.check(along)
        field = change_schedule(field, along)
    for guidance in settings.guidance or ():
        field = _guided(field, guidance, train)
    return field


def _guided(field: Predictor, guidance: Guidance, train: Train | None) -> Predictor:
    if guidance.drop is not None:
        return guidance.wrap(field)
    drop = dropped_names(field.model, guidance, train)
    if not drop:
        raise ComponentError(NOTHING_TO_DROP)
    options: Any = {"drop": drop}  # an option, where it is not the default of the interface
    return replace(guidance, **options).wrap(field)
