"""Helpers for tensors: broadcasting of times `(batch,)`, precision, and copies to a device."""

from __future__ import annotations

import torch
from torch import Tensor

from fmcore.errors import ComponentError

__all__ = ["append_dims", "as_rows", "at_least_float32", "mean_over_mask", "to_device"]


def append_dims(t: Tensor, x: Tensor) -> Tensor:
    """Return `t`, `(batch,)`, as `(batch, 1, ...)`, which broadcasts against x, `(batch, *shape)`.

    In `t * x`, t would broadcast against the last dimension of x, which is silently wrong where
    that is as long as the batch.  Raises ComponentError for another shape of `t`.

    >>> import torch
    >>> append_dims(torch.zeros(4), torch.zeros(4, 3, 4, 4)).shape
    torch.Size([4, 1, 1, 1])
    """
    if t.ndim != 1 or t.shape[0] != x.shape[0]:
        raise ComponentError(
            f"time must have shape (batch,) = ({x.shape[0]},) for x of shape {tuple(x.shape)}, "
            f"got {tuple(t.shape)}"
        )
    return t.reshape(-1, *(1,) * (x.ndim - 1))


def as_rows(x: Tensor) -> Tensor:
    """Return x, `(batch, *shape)`, as `(batch, elements)`, where `shape` may be empty.

    >>> import torch
    >>> as_rows(torch.zeros(4)).shape, as_rows(torch.zeros(4, 3, 2)).shape
    (torch.Size([4, 1]), torch.Size([4, 6]))
    """
    return x.flatten(1) if x.ndim > 1 else x.unsqueeze(1)


def at_least_float32(t: Tensor) -> Tensor:
    """Return `t` in float32, or in float64 if it is: in half precision, times near 1 are equal."""
    return t if t.dtype in (torch.float32, torch.float64) else t.float()


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Return `tensor` on `device`, without making the host wait.

    A copy to a GPU from pageable memory waits for all earlier work on the GPU; one from pinned
    memory is queued after it.
    """
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def mean_over_mask(values: Tensor, mask: Tensor | None) -> Tensor:
    """Return the mean of `values`, `(batch, *shape)`, over the elements that exist, `(batch,)`.

    `mask` is 1 where an element exists, broadcastable to `values`; None means that all do.
    """
    if mask is None:
        return as_rows(values).mean(1)
    mask = mask.to(values.dtype).expand_as(values)
    return as_rows(values * mask).sum(1) / as_rows(mask).sum(1).clamp_min(1)
