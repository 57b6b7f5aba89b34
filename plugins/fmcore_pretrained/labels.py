"""Class indices as networks of other libraries want them."""

from __future__ import annotations

import torch
from torch import Tensor

from fmcore import ComponentError, Condition

__all__ = ["class_indices"]


def class_indices(condition: Condition | None, x: Tensor, null: int | None) -> Tensor:
    """A class for each row of `x`, `(batch,)`, with the index `null` in place of -1.

    Raises ComponentError for a row without a class where the network knows no null class.
    """
    if condition is not None and "label" in condition:
        label = condition["label"]
    else:
        label = torch.full((len(x),), -1, dtype=torch.int64, device=x.device)
    if null is not None:
        return torch.where(label < 0, null, label)
    if not label.is_meta and bool((label < 0).any()):
        raise ComponentError(
            "this network was trained with a class for every example and knows no null class: "
            "give each row a label, without guidance (model.null_class=true if its last class "
            "means none)"
        )
    return label.clamp_min(0)
