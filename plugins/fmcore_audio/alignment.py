"""Monotonic alignments of symbols with frames, and durations."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["best_alignment", "by_durations", "log_likelihoods"]


def log_likelihoods(mu: Tensor, x: Tensor) -> Tensor:
    """Return -1/2 |x_j - mu_i|^2, `(batch, symbols, frames)`, of `mu`, `(batch, channels,
    symbols)`, and `x`, `(batch, channels, frames)`.
    """
    cross = mu.transpose(1, 2) @ x
    return cross - 0.5 * (mu.square().sum(1)[:, :, None] + x.square().sum(1)[:, None, :])


@torch.no_grad()
def best_alignment(scores: Tensor, symbols: Tensor, frames: Tensor) -> Tensor:
    """Return the monotonic alignment of greatest score, `(batch, symbols, frames)` of 0 and 1.

    Every frame belongs to one symbol, every symbol has at least one frame, and the order is kept.
    `scores` has that shape; `symbols` and `frames`, `(batch,)`, are how many of each row exist.
    A row with more symbols than frames has only the last of its symbols aligned.
    Source: Kim et al. 2020 (arXiv 2005.11129), section 3.2: dynamic programming over the frames.
    """
    device = scores.device
    scores, symbols, frames = scores.double().cpu(), symbols.long().cpu(), frames.long().cpu()
    batch, most, length = scores.shape
    best = torch.full((batch, most), -torch.inf, dtype=scores.dtype)
    best[:, 0] = 0
    moved = torch.zeros(batch, most, length, dtype=torch.bool)
    start = best.clone()
    for j in range(length):
        before = torch.cat([best.new_full((batch, 1), -torch.inf), best[:, :-1]], 1)
        if j == 0:
            best = start
        else:
            moved[:, :, j] = before > best
            best = torch.maximum(before, best)
        best = best + scores[:, :, j]
    found = torch.zeros_like(scores)
    rows, symbol = torch.arange(batch), (symbols - 1).clamp_min(0)
    for j in range(length - 1, -1, -1):
        exists = (j < frames) & (symbols > 0)
        found[rows, symbol, j] = exists.to(found.dtype)
        symbol = symbol - (moved[rows, symbol, j] & exists).long()
    return found.to(device, torch.float32)


def by_durations(durations: Tensor, frames: int) -> Tensor:
    """Return the alignment of symbols that last `durations` frames, `(batch, symbols)`, one after
    the other, `(batch, symbols, frames)` of 0 and 1.  What is beyond `frames` is cut off.
    """
    ends = durations.cumsum(1)[:, :, None]
    places = torch.arange(frames, device=durations.device)
    return ((places < ends) & (places >= ends - durations[:, :, None])).float()
