"""Ramachandran plots, and the distance of two distributions of torsions."""

from __future__ import annotations

import io
import math

import torch
from torch import Tensor

from fmcore import Portrait

__all__ = ["BINS", "histogram", "jensen_shannon", "ramachandran"]

BINS = 24
"""Bins of an angle, 15 degrees each."""


def histogram(angles: Tensor, bins: int = BINS) -> Tensor:
    """Return the shares of pairs of angles `(n, 2)` in `bins` x `bins` cells, float64."""
    cell = ((angles.double() + math.pi) / (2 * math.pi) * bins).floor().long().clamp(0, bins - 1)
    counts = torch.bincount(cell[:, 0] * bins + cell[:, 1], minlength=bins**2).double()
    return counts / counts.sum()


def jensen_shannon(p: Tensor, q: Tensor) -> float:
    """Return the Jensen-Shannon divergence of two distributions in nats, from 0 to log 2."""
    middle = (p + q) / 2
    halves = [torch.special.xlogy(r, r / middle.clamp_min(1e-300)).sum() / 2 for r in (p, q)]
    return float(sum(halves))


def ramachandran(samples: Tensor, data: Tensor, caption: str) -> Portrait:
    """Return a PNG of phi and psi of samples and of data, `(n, 2)` each, as two histograms in
    logarithmic colours.
    """
    # here, since only pictures need them, and they take half a second to import
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    sheet = Figure(figsize=(8, 4), layout="constrained", dpi=120)
    FigureCanvasAgg(sheet)
    axes = sheet.subplots(1, 2, sharex=True, sharey=True)
    for axis, angles, title in zip(axes, (samples, data), ("samples", "data"), strict=True):
        degrees = torch.rad2deg(angles).numpy()
        edges = torch.linspace(-180, 180, 73).numpy()
        # counts differ a thousandfold between a helix and a loop
        axis.hist2d(degrees[:, 0], degrees[:, 1], bins=[edges, edges], cmap="Blues", norm=LogNorm())
        axis.set_title(f"{title} ({len(angles)})")
        axis.set_xlabel("phi (degrees)")
        axis.set_ylabel("psi (degrees)")
        axis.set_aspect("equal")
    file = io.BytesIO()
    sheet.savefig(file, format="png")
    return Portrait(file.getvalue(), "png", caption)
