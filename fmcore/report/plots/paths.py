"""Paths side by side: schedule, conditional trajectories, marginal density in one dimension."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fmcore.interfaces.path import AffinePath
from fmcore.report.explain import PathExplanation
from fmcore.report.plots.figure import figure

__all__ = ["save_paths_explained"]

TIMES = 121
BINS = 120
STARTS = 11
REACH = 2.6
"""Half the height of the picture, in units of x: nearly all the mass of noise and data."""


def save_paths_explained(file: Path, explained: Sequence[PathExplanation]) -> None:
    """Draw a column for each path: alpha, sigma, log-SNR; trajectories to x1 = 1 and -1; p_t(x).

    The suffix of `file` is its format: .png, .svg or .pdf.
    """
    kinds = [file.suffix.lstrip(".").lower()]
    with figure(file, 3.6 * len(explained), 8.4, 3, len(explained), kinds) as axes:
        for column, one in zip(axes.T, explained, strict=True):
            times = one.times(TIMES)
            column[0].set_title(one.name)
            _schedule(column[0], one, times)
            wide = _width(one, times)
            _trajectories(column[1], one, times, wide)
            _marginals(column[2], one, times, wide)
            column[2].set_xlabel("t, from noise to data")


def _schedule(axis: Any, one: PathExplanation, times: Tensor) -> None:
    if not isinstance(one.path, AffinePath):
        axis.text(0.5, 0.5, "not an affine path", ha="center", transform=axis.transAxes)
        return
    c = one.path.coefficients(times)
    axis.plot(times, c.alpha, label="alpha, share of data")
    axis.plot(times, c.sigma, label="sigma, share of noise")
    if float(c.sigma.max()) > 5:
        axis.set_yscale("log")
    axis.set_ylabel("alpha, sigma")
    axis.legend(fontsize=7, loc="best")
    twin = axis.twinx()
    twin.plot(times, one.path.log_snr(times).clamp(-20, 20), color="0.5", linestyle=":")
    twin.set_ylabel("log-SNR (dotted)", color="0.5", fontsize=8)


def _width(one: PathExplanation, times: Tensor) -> Tensor:
    """Return the scale of x at each time: 1, or the standard deviation of xt on paths whose noise
    is far wider than the data.
    """
    spread = torch.stack([one.marginal(t).std() for t in times])
    return spread if float(spread.max()) > 5 else torch.ones_like(spread)


def _trajectories(axis: Any, one: PathExplanation, times: Tensor, wide: Tensor) -> None:
    starts = torch.linspace(0.02, 0.98, STARTS, dtype=torch.float64)
    for data, color in ((1.0, "C0"), (-1.0, "C1")):
        curves = one.trajectories(times, starts, data) / wide[:, None]
        axis.plot(times, curves, color=color, linewidth=0.8, alpha=0.7)
    axis.set(ylim=(-REACH, REACH), ylabel=_name("xt given x1 = 1 and -1", wide))


def _marginals(axis: Any, one: PathExplanation, times: Tensor, wide: Tensor) -> None:
    edges = np.linspace(-REACH, REACH, BINS + 1)
    columns = [
        np.histogram((one.marginal(t) / w).numpy(), edges, density=True)[0]
        for t, w in zip(times, wide, strict=True)
    ]
    extent = (one.path.t_min, one.path.t_max, -REACH, REACH)
    shown = np.sqrt(
        np.stack(columns, 1)
    )  # the root shows faint noise and sharp data in one picture
    axis.imshow(shown, origin="lower", extent=extent, aspect="auto", cmap="magma")
    axis.set_ylabel(_name("density of xt", wide))


def _name(what: str, wide: Tensor) -> str:
    return what if bool((wide == 1).all()) else f"{what}, over its standard deviation"
