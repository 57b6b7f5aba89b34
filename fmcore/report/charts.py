"""Charts as inline SVG, drawn by matplotlib in the page's text colour.

A chart contains only numbers and fixed labels.  Names from a run are in the page around it, where
the template escapes them, or in the tooltips of points, which are escaped here.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup, escape

from fmcore.report.plots.long_curve import Numbers, envelope, smooth

__all__ = ["PALETTE", "chart_svg", "histogram", "lines", "tip"]

PALETTE = ("#3b82c4", "#d9822b", "#3f9c5f", "#c4504b", "#8a6cc9", "#8c6d5a", "#cf6fb0", "#7f8c8d")
"""Readable on white and on near-black."""

INK = "#010203"
"""A colour that the SVG replaces by the page's text colour; nothing else has it."""

WIDTH, HEIGHT = 4.6, 2.7  # inches: as wide as a phone, so that the text is not scaled
COLUMNS = 300
"""Of a curve; a page holds at most two points of each, however long the training was."""
BINS = 32


def lines(
    name: str, series: Sequence[tuple[Sequence[float], Sequence[float]]], label: str
) -> Markup:
    """Return curves over steps, each `(steps, values)` in its palette colour: bold smoothed; a
    single one also faint as logged.  Raises ValueError without finite values.
    """
    sheet, axis = _sheet()
    finite = [_finite(steps, values) for steps, values in series]
    if not any(len(values) for _, values in finite):
        raise ValueError("no finite value")
    for i, (steps, values) in enumerate(finite):
        color, mean = PALETTE[i % len(PALETTE)], smooth(values)
        if len(series) == 1:
            shown = envelope(steps, values, COLUMNS)
            axis.plot(steps[shown], values[shown], color=color, alpha=0.35, linewidth=0.8)
        shown = envelope(steps, mean, COLUMNS)
        axis.plot(steps[shown], mean[shown], color=color, linewidth=1.6)
    ends = [np.quantile(v, [0, 0.98]) for _, v in finite if len(v)]
    low, high = min(e[0] for e in ends), max(e[1] for e in ends)
    room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    axis.set_ylim(
        low - room, high + room
    )  # without the first steps, whose loss would flatten the rest
    axis.set(xlabel="step", ylabel=label)
    return _svg(sheet, name)


def histogram(name: str, values: Sequence[float], label: str, whole: bool = False) -> Markup:
    """Return the histogram of `values` with a dashed line at the mean; a few `whole` numbers get a
    bar each.  Raises ValueError without finite values.
    """
    numbers = np.asarray(values, dtype=float)
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        raise ValueError("no finite value")
    sheet, axis = _sheet()
    axis.hist(numbers, _edges(numbers, whole), color=PALETTE[0], alpha=0.85)
    axis.axvline(float(numbers.mean()), color=INK, linewidth=1, linestyle="--")
    axis.set(xlabel=label, ylabel="count")
    return _svg(sheet, name)


def chart_svg(name: str, draw: Callable[[Any], Sequence[str]], across: str, up: str) -> Markup:
    """Return what `draw` draws on axes.  `draw` returns the tooltips of its points, in the order of
    its calls of `tip`.
    """
    sheet, axis = _sheet()
    tips = draw(axis)
    axis.set(xlabel=across, ylabel=up)
    return Markup(_with_tips(str(_svg(sheet, name)), name, tips))  # which escapes the tips


def tip(axis: Any, place: int, x: float, y: float) -> None:
    """Draw an invisible target for tooltip number `place` over the point (x, y)."""
    axis.plot(
        [x],
        [y],
        marker="o",
        markersize=11,
        linestyle="none",
        markeredgecolor="none",
        markerfacecolor=INK,
        alpha=0.0,
        gid=f"tip-{place}",
    )


def _with_tips(svg: str, name: str, tips: Sequence[str]) -> str:
    """Return the SVG with a title, which browsers show as a tooltip, in the group of every tip."""
    for place, text in enumerate(tips):
        group = f'<g id="{name}-tip-{place}"'
        svg = svg.replace(f"{group}>", f'{group} class="tip"><title>{escape(text)}</title>', 1)
    return svg


def _edges(numbers: Numbers, whole: bool) -> Any:
    low, high = float(numbers.min()), float(numbers.max())
    if whole and high - low < BINS:
        return np.arange(low - 2 if low == high else low, high + (4 if low == high else 2)) - 0.5
    return min(BINS, max(8, round(len(numbers) ** 0.5) * 2))


def _finite(steps: Sequence[float], values: Sequence[float]) -> tuple[Numbers, Numbers]:
    at, found = np.asarray(steps, dtype=float), np.asarray(values, dtype=float)
    kept = np.isfinite(found)
    return at[kept], found[kept]


def _sheet() -> tuple[Any, Any]:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    sheet = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    FigureCanvasSVG(sheet)
    axis = sheet.subplots()
    axis.grid(color=INK, alpha=0.12, linewidth=0.6)
    axis.tick_params(colors=INK, labelsize=10)
    axis.xaxis.label.set(color=INK, size=11)
    axis.yaxis.label.set(color=INK, size=11)
    axis.xaxis.set_major_locator(_few_ticks())
    for side, spine in axis.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set(color=INK, linewidth=0.6)
    return sheet, axis


def _few_ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=6)


def _svg(sheet: Any, name: str) -> Markup:
    import matplotlib

    stream = io.StringIO()
    nothing: Mapping[str, None] = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "fmcore"}):
        sheet.savefig(stream, format="svg", transparent=True, metadata=nothing)
    return Markup(_inline(stream.getvalue(), name))  # it contains only numbers and fixed labels


def _inline(svg: str, name: str) -> str:
    """Return the SVG for a page: without prologue, addresses or styles; with unique ids; in the
    page's text colour.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(r'\s(xmlns(:\w+)?)="[^"]*"', "", body)
    body = re.sub(r"<(metadata|style)\b.*?</\1>", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r"url\(#", f"url(#{name}-", body)
    body = re.sub(r'xlink:href="#', f'href="#{name}-', body)
    body = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", body)  # in the page's font
    body = re.sub(r' (width|height)="[\d.]+pt"', "", body, count=2)
    return body.replace(INK, "currentColor").replace("<svg", '<svg aria-hidden="true"', 1).strip()
