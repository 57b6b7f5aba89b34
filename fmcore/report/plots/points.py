"""Plots of points in the plane: densities and trajectories."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from fmcore.report.plots.figure import figure

__all__ = ["save_densities", "save_paths"]

BINS = 96
MARGIN = 1.25


def save_densities(path: Path, clouds: Sequence[Tensor], titles: Sequence[str]) -> None:
    """Draw the density of each cloud, `(n, 2)`, side by side on the axes of the last one."""
    reach = float(clouds[-1].abs().quantile(0.999)) * MARGIN
    edges = np.linspace(-reach, reach, BINS + 1)
    with figure(path, 2.6 * len(clouds), 2.9, 1, len(clouds)) as axes:
        for axis, cloud, title in zip(axes[0], clouds, titles, strict=True):
            counts, _, _ = np.histogram2d(
                cloud[:, 0].cpu().numpy(), cloud[:, 1].cpu().numpy(), bins=(edges, edges)
            )
            axis.imshow(counts.T, origin="lower", extent=(-reach, reach) * 2, cmap="magma")
            axis.set_title(title, fontsize=9)
            axis.set(xticks=[], yticks=[])


def save_paths(path: Path, states: Tensor) -> None:
    """Draw the trajectories `states`, `(times, n, 2)`, from noise (grey) to data (blue)."""
    trajectories = states.cpu().numpy()
    with figure(path, 5, 5) as axes:
        axis = axes[0, 0]
        axis.plot(
            trajectories[:, :, 0], trajectories[:, :, 1], color="0.6", linewidth=0.5, alpha=0.6
        )
        axis.scatter(*trajectories[0].T, s=4, color="0.4", label="noise", zorder=2)
        axis.scatter(*trajectories[-1].T, s=6, color="C0", label="samples", zorder=3)
        axis.set_aspect("equal")
        axis.legend(loc="upper right", fontsize=8)
        axis.set(xticks=[], yticks=[])
