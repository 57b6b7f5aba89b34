"""Class indices in the form that networks of other libraries expect."""

from __future__ import annotations

import torch
from torch import Tensor

from fmcore import ComponentError, Condition

__all__ = ["class_indices"]


def class_indices(condition: Condition | None, x: Tensor, null: int | None) -> Tensor:
    """Return a class index for each row of `x`, `(batch,)`, with `null` in place of -1.

    Raises ComponentError for a row without a class if the network has no null class.
    """
    if condition is not None and "label" in condition:
        label = condition["label"]
    else:
        label = torch.full((len(x),), -1, dtype=torch.int64, device=x.device)
    if null is not None:
        return torch.where(label < 0, null, label)
    # the meta device has no values to compare
    if not label.is_meta and bool((label < 0).any()):
        raise ComponentError(
            "this network was trained with a class for every sample and has no null class: "
            "give each row a label, without guidance (set model.null_class=true if its last class "
            "is the null class)"
        )
    return label.clamp_min(0)
