"""From the host to a device, without a wait."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["sent"]


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor` on `device`.

    A copy from ordinary memory would wait until a GPU has done all that it was given before;
    from pinned memory it takes its turn, and the host goes on.
    """
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
