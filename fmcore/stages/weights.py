"""The network of a run as a velocity field: trained, pretrained, or in training."""

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
from fmcore.training.posthoc_ema import EmaProfile, combination_weights, combine
from fmcore.training.trainer import Trainer

__all__ = ["current_field", "shared_field", "trained_field", "weights_of"]


def trained_field(
    components: Components,
    folder: RunFolder,
    weights: str = "ema",
    device: torch.device | str = "cpu",
    step: int | None = None,
) -> tuple[Field, Checkpoint]:
    """Return the field, in evaluation mode, and the checkpoint that its weights are from.

    The checkpoint is that of `step`, the best one for `weights="best"`, or the newest valid one;
    `weights` is a value of `sample.weights`.  A run without `train` whose network is pretrained has
    a checkpoint of step 0 without tensors, which names the weights.  Raises CheckpointError if
    there is no checkpoint, and ComponentError for weights that the training did not keep.
    """
    checkpoint = _checkpoint(folder, weights, step)
    model = components.model()
    if checkpoint is None:
        checkpoint = _pretrained_checkpoint(components, folder, model)
    else:
        tensors = _weights(components, folder, checkpoint, weights)
        load_into(model, tensors, str(folder.checkpoints.root))
    model.to(device).eval().requires_grad_(False)
    return _field(components, model), checkpoint


def shared_field(
    components: Components, folder: RunFolder, weights: str, device: torch.device
) -> tuple[Field, Checkpoint]:
    """Return what `trained_field` does, with the network that the last stage of this command used.

    It is loaded again only for other weights, another device or newer checkpoints.  The checkpoint
    holds no tensors.
    """
    saved = folder.checkpoints
    # training further or another mark of the best makes it another network
    key = (saved.root, tuple(saved.steps()), saved.best, weights, str(device))
    if key not in components.networks:
        components.networks.clear()  # a network may be large: one at a time
        field, checkpoint = trained_field(components, folder, weights, device)
        facts = Checkpoint(checkpoint.step, {}, checkpoint.facts)
        components.networks[key] = (field.model, facts)
    model, checkpoint = components.networks[key]
    return _field(components, model), checkpoint


def weights_of(checkpoint: Checkpoint, weights: str) -> str:
    """Return the provenance of weights: `weights` of a training, or the name of pretrained ones."""
    return str(checkpoint.facts.get("weights", weights))


def current_field(components: Components, trainer: Trainer, model: VectorField) -> Field:
    """Return the field of the first moving average (the weights if there is none), for evaluation.

    `model` is another instance of the network, to which the weights are copied.  Every process of
    the training must call it.
    """
    model.load_state_dict(trainer.weights())
    model.to(trainer.accelerator.device).eval().requires_grad_(False)
    return _field(components, model)


def _field(components: Components, model: VectorField) -> Field:
    return Field(model, components.path, components.objective, coupling=components.coupling)


def _checkpoint(folder: RunFolder, weights: str, step: int | None) -> Checkpoint | None:
    """Return the checkpoint to take weights from; None if there is none at all."""
    if step is not None:
        return folder.checkpoints.load(step)
    return _best(folder) if weights == BEST else folder.checkpoints.latest()


def _best(folder: RunFolder) -> Checkpoint:
    step = folder.checkpoints.best
    if step is None:
        raise CheckpointError(
            f"{folder.root}: no checkpoint is marked as best yet: train.best with "
            "train.evaluate_every marks one; sample.weights=ema uses the last"
        )
    return folder.checkpoints.load(step)


def _pretrained_checkpoint(
    components: Components, folder: RunFolder, model: VectorField
) -> Checkpoint:
    """Return the checkpoint of a pretrained network: step 0, no tensors, the weights' name."""
    if components.train is not None or model.pretrained is None:
        raise CheckpointError(
            f"{folder.root}: no checkpoint yet: train first (fmcore run), "
            "or give train.steps in the recipe"
        )
    return Checkpoint(step=0, tensors={}, facts={"weights": model.pretrained.weights})


def _weights(
    components: Components, folder: RunFolder, checkpoint: Checkpoint, weights: str
) -> dict[str, Tensor]:
    train = components.train
    if train is None:  # the checkpoint of another recipe's training, without its profiles
        return checkpoint.part("model" if weights == "raw" else "ema")
    width = width_of(weights, train)
    if weights == BEST:
        return checkpoint.part(parts_of(train)["ema"])
    if width is None:
        return checkpoint.part(parts_of(train)[weights])
    return _power_average(folder, train, width, checkpoint.step)


def _power_average(folder: RunFolder, train: Train, width: float, last: int) -> dict[str, Tensor]:
    """Compute the power average of `width` at the newest snapshot up to step `last`."""
    steps = [step for step in folder.snapshots.steps() if step <= last]
    if not steps:
        raise CheckpointError(f"{folder.snapshots.root}: no snapshot yet: resume the training")
    powers = [p for p in profiles_of(train) if isinstance(p, Power)]
    profiles = [EmaProfile(power.gamma, step) for step in steps for power in powers]
    weights = combination_weights(profiles, EmaProfile(Power(width).gamma, steps[-1]))
    # generators: one snapshot is in memory at a time
    snapshots = (folder.snapshots.load(step) for step in steps)
    return combine((s.part(power.name) for s in snapshots for power in powers), weights)
