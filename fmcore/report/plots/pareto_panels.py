"""Panels of error over cost, log-log: a line per solver, and the Pareto front."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fmcore.report.plots.figure import figure

__all__ = ["MAX_PANELS", "save_pareto_panels"]

MAX_PANELS = 6
"""The number of settings that remain readable in one picture."""

_MARKERS = "osD^vP*X<>ph"

Point = tuple[float, float]
Panel = tuple[str, Sequence[tuple[str, Sequence[Point]]], Sequence[Point]]


def save_pareto_panels(path: Path, rows: Sequence[tuple[str, Sequence[Panel]]]) -> None:
    """Draw `rows` of panels; each row has the label of its cost.

    A panel is a title, the points (cost, error) of each series by name, and those of the front.
    """
    columns = min(MAX_PANELS, len(rows[0][1]))
    names = dict.fromkeys(n for _, panels in rows for _, series, _ in panels for n, _ in series)
    styles = {name: (f"C{i % 10}", _MARKERS[i % len(_MARKERS)]) for i, name in enumerate(names)}
    size = 1.5 + 4.2 * columns, 1 + 3.4 * len(rows)
    with figure(path, *size, len(rows), columns, kinds=("png", "pdf")) as axes:
        for line, (label, panels) in zip(axes, rows, strict=True):
            for axis, panel in zip(line, panels, strict=False):
                _draw(axis, panel, styles)
                _scale(axis, label)
            line[0].set_ylabel("error, RMS")
            _share_errors(line)
            for axis in line[len(panels) :]:
                axis.axis("off")
        handles = [_handle(name, *style) for name, style in styles.items()]
        handles.append(_front_handle())
        axes[0, 0].figure.legend(handles=handles, loc="outside right upper", frameon=False)


def _draw(axis: Any, panel: Panel, styles: dict[str, tuple[str, str]]) -> None:
    title, series, front = panel
    axis.plot(*_columns(sorted(front)), color="0.8", linewidth=7, solid_capstyle="round", zorder=1)
    for name, points in series:
        color, marker = styles[name]
        axis.plot(*_columns(points), color=color, marker=marker, markersize=4.5, linewidth=1.3)
    axis.set_title(title, fontsize=10)
    axis.grid(alpha=0.3, which="major")


def _scale(axis: Any, label: str) -> None:
    from matplotlib.ticker import NullFormatter

    axis.set(xlabel=label, yscale="log")
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())


def _share_errors(line: Any) -> None:
    """Give the panels of a row one error scale, so that they can be compared."""
    limits = [axis.get_ylim() for axis in line]
    for axis in line:
        axis.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))


def _columns(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _handle(name: str, color: str, marker: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=color, marker=marker, markersize=4.5, linewidth=1.3, label=name)


def _front_handle() -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color="0.8", linewidth=7, label="Pareto front")
