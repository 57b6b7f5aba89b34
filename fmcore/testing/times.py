"""The times at which checks evaluate a path."""

from __future__ import annotations

import torch
from torch import Tensor

from fmcore.interfaces.path import Path

__all__ = ["from_end_to_end", "inside", "shown"]


def from_end_to_end(path: Path, n: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return `(n,)` times from t_min to t_max inclusive."""
    t = torch.linspace(path.t_min, path.t_max, n, dtype=torch.float64)
    return t.to(dtype).clamp(path.t_min, path.t_max)


def inside(path: Path, n: int) -> Tensor:
    """Return `(n,)` times at least 1 % of the interval away from its ends, where derivatives are
    finite.
    """
    margin = (path.t_max - path.t_min) / 100
    return torch.linspace(path.t_min + margin, path.t_max - margin, n, dtype=torch.float64)


def shown(t: Tensor) -> str:
    """Return the first few times as text."""
    few = ", ".join(f"{float(time):.4g}" for time in t[:4])
    return f"[{few}, ...]" if len(t) > 4 else f"[{few}]"
