"""The velocity field that a training has come to: a copy, which training does not feel."""

from __future__ import annotations

from fmcore.field import Field
from fmcore.stages.components import Components
from fmcore.training.training import Training

__all__ = ["momentary_field"]


def momentary_field(components: Components, training: Training) -> Field:
    """The field of the first moving average (the weights where none is kept), for evaluation.

    All processes of the training must ask.
    """
    weights = training.weights()
    model = components.model(training.accelerator.device).eval().requires_grad_(False)
    model.load_state_dict(weights)
    return Field(model, components.path, components.objective, coupling=components.coupling)
