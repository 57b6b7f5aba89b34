"""Charts as inline SVG, drawn by matplotlib, with the page's own ink and no foreign text.

A chart holds numbers and fixed words alone: names that come from a run stand in the page around
it, where they are escaped, or in the words shown over a point, which are escaped here.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

__all__ = ["PALETTE", "drawn", "histogram", "lines", "tip"]

PALETTE = ("#3b82c4", "#d9822b", "#3f9c5f", "#c4504b", "#8a6cc9", "#8c6d5a", "#cf6fb0", "#7f8c8d")
"""Readable on white and on near-black."""

INK = "#010203"
"""Stands for the page's text colour until the SVG is written."""

WIDTH, HEIGHT = 4.6, 2.7  # inches: the width of a telephone, so that letters keep their size there
MAX_POINTS = 600
BINS = 32
SMOOTHING = 0.02
"""The share of a curve that its bold line averages to each side: nothing of a short one."""

Numbers = npt.NDArray[np.float64]


def lines(
    name: str, series: Sequence[tuple[Sequence[float], Sequence[float]]], label: str
) -> Markup:
    """Curves over steps, each `(steps, values)` in its palette colour: faint as logged, bold as
    averaged over a fiftieth of
    them to each side.  Raises ValueError if nothing is finite.
    """
    sheet, axis = _sheet()
    drawn = [_finite(steps, values) for steps, values in series]
    if not any(len(values) for _, values in drawn):
        raise ValueError("no finite value")
    for i, (steps, values) in enumerate(drawn):
        color, smooth = PALETTE[i % len(PALETTE)], _smooth(values)
        shown = slice(None, None, max(1, len(values) // MAX_POINTS))
        if len(series) == 1:
            axis.plot(steps[shown], values[shown], color=color, alpha=0.35, linewidth=0.8)
        axis.plot(steps[shown], smooth[shown], color=color, linewidth=1.6)
    ends = [np.quantile(v, [0, 0.98]) for _, v in drawn if len(v)]
    low, high = min(e[0] for e in ends), max(e[1] for e in ends)
    room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    axis.set_ylim(low - room, high + room)  # not the first fall
    axis.set(xlabel="step", ylabel=label)
    return _svg(sheet, name)


def histogram(name: str, values: Sequence[float], label: str, whole: bool = False) -> Markup:
    """How often each value occurs, with a dashed line at the mean; `whole` numbers get a bar each
    where they are few.  Raises ValueError if nothing is finite.
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


def drawn(name: str, draw: Callable[[Any], Sequence[str]], across: str, up: str) -> Markup:
    """What `draw` draws on axes in the page's ink.  It returns the words of its points, in the
    order in which it called `tip` for them: a browser shows them over a point.
    """
    sheet, axis = _sheet()
    words = draw(axis)
    axis.set(xlabel=across, ylabel=up)
    return Markup(_with_words(str(_svg(sheet, name)), name, words))  # words are escaped there


def tip(axis: Any, place: int, x: float, y: float) -> None:
    """Make room over the point (x, y) for the words of `place`."""
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


def _with_words(svg: str, name: str, words: Sequence[str]) -> str:
    """The SVG with a title in the group of every tip."""
    for place, said in enumerate(words):
        group = f'<g id="{name}-tip-{place}"'
        svg = svg.replace(f"{group}>", f'{group} class="tip"><title>{escape(said)}</title>', 1)
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


def _smooth(values: Numbers) -> Numbers:
    """A centred mean that narrows towards the ends, by one running sum."""
    half = round(len(values) * SMOOTHING)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    first, last = np.maximum(at - half, 0), np.minimum(at + half + 1, len(values))
    mean: Numbers = (sums[last] - sums[first]) / (last - first)
    return mean


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
    return Markup(_inline(stream.getvalue(), name))  # numbers and fixed words


def _inline(svg: str, name: str) -> str:
    """The SVG as part of a page: no prologue, addresses or styles; its own ids; the page's ink."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r'\s(xmlns(:\w+)?)="[^"]*"', "", body)
    body = re.sub(r"<(metadata|style)\b.*?</\1>", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r"url\(#", f"url(#{name}-", body)
    body = re.sub(r'xlink:href="#', f'href="#{name}-', body)
    body = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", body)  # the page's letters
    body = re.sub(r' (width|height)="[\d.]+pt"', "", body, count=2)
    return body.replace(INK, "currentColor").replace("<svg", '<svg aria-hidden="true"', 1).strip()
