"""The trained network of a run, or the one that came trained, as a velocity field."""

from __future__ import annotations

import torch
from torch import Tensor

from fmcore.errors import CheckpointError
from fmcore.flow.field import Field
from fmcore.interfaces.model import VectorField
from fmcore.recipe.sections import Train
from fmcore.runs.checkpoint import Checkpoint, load_into
from fmcore.runs.folder import RunFolder
from fmcore.stages.components import Components
from fmcore.training.ema import BEST, Power, parts_of, profiles_of, width_of
from fmcore.training.posthoc_ema import Kept, combination, combined
from fmcore.training.trainer import Training

__all__ = ["current_field", "trained_field", "weights_of"]


def trained_field(
    components: Components,
    folder: RunFolder,
    weights: str = "ema",
    device: torch.device | str = "cpu",
    step: int | None = None,
) -> tuple[Field, Checkpoint]:
    """The field of the newest whole checkpoint, of that of `step` or of the best one, in evaluation
    mode, and that checkpoint.

    A run without `train` whose network brings its weights has a checkpoint of step 0 without
    tensors, which names them.  `weights` is what `sample.weights` may say.  Raises CheckpointError
    if there is no checkpoint, and ComponentError for weights that the training did not keep.
    """
    checkpoint = _chosen(folder, weights, step)
    model = components.model()
    if checkpoint is None:
        checkpoint = _brought(components, folder, model)
    else:
        tensors = _weights(components, folder, checkpoint, weights)
        load_into(model, tensors, str(folder.checkpoints.root))
    model.to(device).eval().requires_grad_(False)
    field = Field(model, components.path, components.objective, coupling=components.coupling)
    return field, checkpoint


def weights_of(checkpoint: Checkpoint, weights: str) -> str:
    """What a number says of the weights it was made with: `weights` of a training, or those that
    the network brought."""
    return str(checkpoint.facts.get("weights", weights))


def _brought(components: Components, folder: RunFolder, model: VectorField) -> Checkpoint:
    """What stands for a checkpoint where the network came trained."""
    if components.train is not None or model.pretrained is None:
        raise CheckpointError(
            f"{folder.root}: no checkpoint yet: train first (fmcore run), "
            "or give train.steps in the recipe"
        )
    return Checkpoint(step=0, tensors={}, facts={"weights": model.pretrained.weights})


def _chosen(folder: RunFolder, weights: str, step: int | None) -> Checkpoint | None:
    """The checkpoint to take weights from; None where there is none at all."""
    if step is not None:
        return folder.checkpoints.load(step)
    return _best(folder) if weights == BEST else folder.checkpoints.latest()


def _best(folder: RunFolder) -> Checkpoint:
    step = folder.checkpoints.best
    if step is None:
        raise CheckpointError(
            f"{folder.root}: no checkpoint is the best yet: train.best with train.evaluate_every "
            "marks one; sample.weights=ema takes the last"
        )
    return folder.checkpoints.load(step)


def _weights(
    components: Components, folder: RunFolder, checkpoint: Checkpoint, weights: str
) -> dict[str, Tensor]:
    train = components.train
    if train is None:
        return checkpoint.part("model" if weights == "raw" else "ema")
    width = width_of(weights, train)
    if weights == BEST:
        return checkpoint.part(parts_of(train)["ema"])
    if width is None:
        return checkpoint.part(parts_of(train)[weights])
    return _made_afterwards(folder, train, width, checkpoint.step)


def _made_afterwards(folder: RunFolder, train: Train, width: float, last: int) -> dict[str, Tensor]:
    """The power average of `width` at the newest snapshot up to step `last`."""
    steps = [step for step in folder.snapshots.steps() if step <= last]
    if not steps:
        raise CheckpointError(f"{folder.snapshots.root}: no snapshot yet: train on")
    powers = [p for p in profiles_of(train) if isinstance(p, Power)]
    kept = [Kept(power.gamma, step) for step in steps for power in powers]
    weights = combination(kept, Kept(Power(width).gamma, steps[-1]))
    snapshots = (folder.snapshots.load(step) for step in steps)
    return combined((s.part(power.name) for s in snapshots for power in powers), weights)


def current_field(components: Components, training: Training) -> Field:
    """The field of the first moving average (the weights where none is kept), for evaluation.

    All processes of the training must ask.
    """
    weights = training.weights()
    model = components.model(training.accelerator.device).eval().requires_grad_(False)
    model.load_state_dict(weights)
    return Field(model, components.path, components.objective, coupling=components.coupling)
