"""The helpers that set times `(batch,)` against data `(batch, *shape)`."""

from __future__ import annotations

import torch
from torch import Tensor

from fmcore.errors import ComponentError

__all__ = ["append_dims", "at_least_float32", "to_device"]


def append_dims(t: Tensor, x: Tensor) -> Tensor:
    """Reshape `t`, `(batch,)`, to `(batch, 1, ...)` so that it broadcasts against `x` from the
    leading dimension.

    Broadcasting from the right, as `t * x` would, is silently wrong where the batch is as large as
    x is wide.

    >>> import torch
    >>> from_the_left(torch.zeros(4), torch.zeros(4, 3, 4, 4)).shape
    torch.Size([4, 1, 1, 1])
    """
    if t.ndim != 1 or t.shape[0] != x.shape[0]:
        raise ComponentError(
            f"time must have shape (batch,) = ({x.shape[0]},) beside x of shape {tuple(x.shape)}, "
            f"got {tuple(t.shape)}"
        )
    return t.reshape(-1, *(1,) * (x.ndim - 1))


def at_least_float32(t: Tensor) -> Tensor:
    """Times in half precision would fall together; the network alone may be that narrow."""
    return t if t.dtype in (torch.float32, torch.float64) else t.float()


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor` on `device`.

    A copy from ordinary memory would wait until a GPU has done all that it was given before;
    from pinned memory it takes its turn, and the host goes on.
    """
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
