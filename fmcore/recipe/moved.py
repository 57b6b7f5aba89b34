"""Options that have another key since recipes were written with them."""

from __future__ import annotations

__all__ = ["moved"]

MOVED = {
    ("train", "betas"): "train.optimizer.betas",
    ("train", "eps"): "train.optimizer.eps",
    ("train", "weight_decay"): "train.optimizer.weight_decay, of optimizer 'adamw'",
    ("train", "warmup"): "train.lr_schedule.warmup",
    ("train", "schedule"): "train.lr_schedule",
    ("train", "lr_end"): "train.lr_schedule.end, a fraction of train.lr",
    ("objective", "logit_mean"): "objective.time.mean, of time 'logit_normal'",
    ("objective", "logit_std"): "objective.time.std, of time 'logit_normal'",
}
"""The new key by what has the option, a section or the kind of a component, and the old option."""


def moved(what: str, option: str) -> str:
    """Return `; it is now KEY` for an option of `what` that has a new key, else ''.

    >>> moved("train", "betas")
    '; it is now train.optimizer.betas'
    """
    new = MOVED.get((what.partition(" ")[0], option))
    return "" if new is None else f"; it is now {new}"
