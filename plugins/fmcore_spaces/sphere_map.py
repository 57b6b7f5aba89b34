"""Maps of points on the sphere."""

from __future__ import annotations

import io

import torch
from torch import Tensor

from fmcore import Portrait

__all__ = ["sphere_map"]


def sphere_map(samples: Tensor, data: Tensor) -> Portrait:
    """Return a PNG of samples and data, unit vectors `(n, 3)`, on two maps of the whole sphere in
    Mollweide's projection, which keeps areas, and so densities.
    """
    # here, since only pictures need them, and they take half a second to import
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sheet = Figure(figsize=(11, 3.2), layout="constrained", dpi=120)
    FigureCanvasAgg(sheet)
    axes = sheet.subplots(1, 2, subplot_kw={"projection": "mollweide"})
    for axis, points, title in zip(axes, (samples, data), ("samples", "data"), strict=True):
        longitude = torch.atan2(points[:, 1], points[:, 0])
        latitude = points[:, 2].clamp(-1, 1).asin()
        axis.scatter(longitude, latitude, s=1, alpha=0.4, linewidths=0)
        axis.set_title(f"{title} ({len(points)})")
        axis.set_xticklabels([])
        axis.set_yticklabels([])
        axis.grid(alpha=0.3)
    file = io.BytesIO()
    sheet.savefig(file, format="png")
    return Portrait(file.getvalue(), "png", "samples and data on the sphere")
