"""What a training refuses before its folder is made."""

from __future__ import annotations

from fmcore.errors import ComponentError
from fmcore.interfaces.model import VectorField
from fmcore.recipe.sections import Train
from fmcore.training.callbacks import rehearse_callbacks
from fmcore.training.ema import profiles_of
from fmcore.training.lr_schedule import check_schedule
from fmcore.training.optimizers import rehearse

__all__ = ["check_training"]


def check_training(train: Train, model: VectorField | None) -> None:
    """Refuse an optimizer, a learning-rate schedule or callbacks that break the training.

    They are tried with small weights of the network's names; `model` may be on the meta device;
    None where it cannot be built there, and then the first step finds out.  Raises ComponentError.
    """
    check_schedule(train)
    if train.fsdp and not train.optimizer.fsdp:
        raise ComponentError(
            f"train.fsdp: {type(train.optimizer).__name__} updates whole weights, and FSDP gives "
            "each process a part of them: set train.fsdp=false, or use train.optimizer=adamw"
        )
    if model is None:
        return
    named = dict(model.named_parameters())
    rehearse(train.optimizer, named)
    has_average = bool(profiles_of(train)) and not train.fsdp
    rehearse_callbacks(train.callbacks, named, train.steps, has_average)
