"""Curves of several methods: means over seeds, with the standard deviation as a band."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Final, final

from fmcore.report.plots.figure import figure

__all__ = ["STYLES", "CurvePoint", "Panel", "Style", "draw_panel", "save_panels"]

Style = tuple[str, str, Any]
"""Colour, marker, dashes: curves differ in greyscale too."""

STYLES: Final[Sequence[Style]] = (
    ("#e69f00", "s", (0, (5, 1.5))),
    ("#56b4e9", "^", (0, (1, 1))),
    ("#cc79a7", "v", (0, (3, 1, 1, 1))),
    ("#0a7fc2", "D", (0, (6, 1, 1, 1, 1, 1))),
    ("#d55e00", "o", "-"),
    ("#009e73", "P", (0, (2, 1))),
    ("#8c8c8c", "X", (0, (4, 2, 1, 2))),
)
"""The colour-blind safe palette of Okabe and Ito (jfly.uni-koeln.de/color); the blue is lightened
for dark pages.
"""

OPAQUE = 0.18  # of a band
LETTERS = 17  # of the caption per inch


@final
@dataclass(frozen=True)
class CurvePoint:
    """The values of a method's seeds at `x`; NaN for a seed that could not be measured."""

    x: float
    values: tuple[float, ...]

    @property
    def mean(self) -> float | None:
        """The mean over seeds; None if one is not finite: a mean of the others would hide it."""
        return fmean(self.values) if all(map(math.isfinite, self.values)) else None

    @property
    def std(self) -> float | None:
        """The standard deviation over seeds; None for one seed or without a mean."""
        return None if self.mean is None or len(self.values) < 2 else stdev(self.values)

    def __str__(self) -> str:
        if self.mean is None:
            return "–" if any(map(math.isnan, self.values)) else "exploded"
        return f"{self.mean:.3g}" + ("" if self.std is None else f" ± {self.std:.1g}")


@final
@dataclass(frozen=True)
class Panel:
    """One quantity over another: a curve for each method, in order of `x`."""

    name: str
    title: str
    across: str
    up: str
    curves: Mapping[str, Sequence[CurvePoint]]
    log_x: bool = False
    log_y: bool = False

    def json(self) -> dict[str, Any]:
        """Return the curves for other programs; values that are not finite are null."""
        return {
            "title": self.title,
            "x": self.across,
            "y": self.up,
            "curves": {
                method: [
                    {
                        "x": point.x,
                        "mean": point.mean,
                        "std": point.std,
                        "values": [v if math.isfinite(v) else None for v in point.values],
                    }
                    for point in points
                ]
                for method, points in self.curves.items()
            },
        }


def save_panels(
    file: Path,
    panels: Sequence[Panel],
    names: Mapping[str, str],
    styles: Mapping[str, Style],
    how: str,
    kinds: Sequence[str] = ("png", "svg", "pdf"),
) -> None:
    """Draw `panels` in a row into `file`, with one legend, and below them `how` they were made.

    `names` and `styles` are those of the methods.
    """
    from matplotlib.lines import Line2D

    width = 3.9 * len(panels) + 1.5
    with figure(file, width, 3.6, 1, len(panels), kinds, dpi=200) as axes:
        for axis, panel in zip(axes[0], panels, strict=True):
            draw_panel(axis, panel, styles)
            axis.set_title(_plain(panel.title), fontsize=10)
            axis.set(xlabel=_plain(panel.across), ylabel=_plain(panel.up))
            axis.grid(alpha=0.25, which="major", linewidth=0.6)
            for side in ("top", "right"):
                axis.spines[side].set_visible(False)
        shown = [m for m in names if any(m in panel.curves for panel in panels)]
        handles = [
            Line2D([], [], color=c, marker=m, linestyle=d, markersize=4.5, label=names[method])
            for method in shown
            for c, m, d in (styles[method],)
        ]
        sheet = axes[0, 0].figure
        sheet.legend(
            handles=handles, loc="outside right upper", frameon=False, fontsize=9, handlelength=3
        )
        wrapped = textwrap.fill(_plain(how), round(LETTERS * width))
        sheet.supxlabel(wrapped, fontsize=7, color="0.35")


def draw_panel(axis: Any, panel: Panel, styles: Mapping[str, Style]) -> None:
    """Draw the curves and set the scales, without labels."""
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

    if panel.log_x:
        axis.set_xscale("log", base=2)
        ticks = sorted({point.x for points in panel.curves.values() for point in points})
        axis.xaxis.set_major_locator(FixedLocator(_apart(ticks)))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.xaxis.set_major_formatter("{x:g}")
    if panel.log_y:
        axis.set_yscale("log")
        if _span(panel) < 10:  # a decade may hold no power of ten
            axis.yaxis.set_major_formatter("{x:g}")
            axis.yaxis.set_minor_formatter("{x:g}")
            axis.tick_params(axis="y", which="minor", labelsize=8)
        else:
            axis.yaxis.set_minor_formatter(NullFormatter())
    for method, points in panel.curves.items():
        color, marker, dashes = styles[method]
        for part in _unbroken(points):
            x = [point.x for point in part]
            mean = [point.mean for point in part]
            axis.plot(
                x, mean, color=color, marker=marker, linestyle=dashes, markersize=4, linewidth=1.5
            )
            if all(point.std is not None for point in part):
                low, high = zip(*map(_band, part), strict=True)
                axis.fill_between(x, low, high, color=color, alpha=OPAQUE, linewidth=0)


def _band(point: CurvePoint) -> tuple[float, float]:
    """Return the mean ± one deviation.

    A lower end at or below zero, which a logarithmic axis cannot show, is the smallest value.
    """
    mean, std = point.mean or 0.0, point.std or 0.0
    low = mean - std
    return (min(point.values) if low <= 0 < min(point.values) else low), mean + std


def _unbroken(points: Sequence[CurvePoint]) -> Iterator[list[CurvePoint]]:
    """Yield the parts of a curve between points without a mean."""
    part: list[CurvePoint] = []
    for point in points:
        if point.mean is not None:
            part.append(point)
        elif part:
            yield part
            part = []
    if part:
        yield part


def _apart(ticks: Sequence[float]) -> list[float]:
    """Return the `ticks` whose labels do not overlap on a logarithmic axis."""
    kept: list[float] = []
    for tick in ticks:
        if not kept or tick >= 1.3 * kept[-1]:
            kept.append(tick)
    return kept


def _span(panel: Panel) -> float:
    means = [p.mean for points in panel.curves.values() for p in points if p.mean]
    return max(means) / min(means) if means else 1.0


def _plain(text: str) -> str:
    """Escape the signs that matplotlib reads as mathematics."""
    return text.replace("$", r"\$")
