"""Pictures of backbones in space."""

from __future__ import annotations

import io

from torch import Tensor

from fmcore import Portrait

__all__ = ["traces"]

COLUMNS = 4


def traces(atoms: Tensor) -> Portrait:
    """Return a PNG of the traces of backbones, `(n, residues, 3, 3)` in Å, each in its own box,
    with the CA atoms as dots.
    """
    # here, since only pictures need them, and they take half a second to import
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-len(atoms) // COLUMNS)
    sheet = Figure(figsize=(3 * COLUMNS, 3 * rows), layout="constrained", dpi=100)
    FigureCanvasAgg(sheet)
    for i, own in enumerate(atoms):
        axis = sheet.add_subplot(rows, COLUMNS, i + 1, projection="3d")
        line, carbon = own.flatten(0, 1).numpy(), own[:, 1].numpy()
        axis.plot(*line.T, linewidth=1.5)
        axis.scatter(*carbon.T, s=18)
        axis.set_title(f"sample {i}", fontsize=8)
        axis.set_box_aspect((1, 1, 1))
        axis.tick_params(labelsize=5)
    file = io.BytesIO()
    sheet.savefig(file, format="png")
    return Portrait(file.getvalue(), "png", "traces of the backbones, from their frames")
