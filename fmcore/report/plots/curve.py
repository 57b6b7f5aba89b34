"""The training curve of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fmcore.report.plots.figure import figure
from fmcore.report.plots.long_curve import SMOOTHING, smooth

__all__ = ["save_curve"]


def save_curve(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Draw loss and gradient norm over the steps of `lines`, the content of metrics.jsonl."""
    lines = [
        line for line in lines if "loss" in line
    ]  # the other lines hold metrics computed during training
    steps = np.array([line["step"] for line in lines])
    with figure(path, 10, 3.5, 1, 2) as axes:
        for axis, key, name in zip(
            axes[0], ("loss", "grad_norm"), ("loss", "gradient norm"), strict=True
        ):
            values = np.array([line[key] for line in lines], dtype=float)
            axis.plot(steps, values, alpha=0.3)
            half = max(1, round(len(values) * SMOOTHING))
            axis.plot(steps, smooth(values, half), color="C0", linewidth=2)
            axis.set(xlabel="step", ylabel=name)
            axis.grid(alpha=0.3)
            axis.set_ylim(
                *np.quantile(values, [0, 0.98]) * (0.95, 1.05)
            )  # without the first steps, whose loss would flatten the rest
