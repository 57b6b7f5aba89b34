"""The pictures that a run left, and charts of its numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup
from safetensors import safe_open

from fmcore.report.charts import histogram, lines
from fmcore.report.parts import Chart, Picture, attempt, data_uri, shard_files
from fmcore.runs.folder import RunFolder
from fmcore.runs.metrics_log import MEASURED, Curve

__all__ = ["curves", "histograms", "pictures", "progress"]

MAX_PROGRESS_PICTURES = 6
"""Pictures of the training's course that are shown, evenly spaced."""

CURVES = (
    ("loss", "Training loss", "Means over the steps between; bold: averaged, where they are many."),
    ("grad_norm", "Gradient norm", "Before clipping; bold: averaged, where they are many."),
    ("lr", "Learning rate", "As scheduled."),
)


def pictures(folder: RunFolder, omitted: list[str]) -> list[Picture]:
    """Samples, densities, and ways from noise to data."""
    makers: tuple[tuple[str, Callable[[], Picture | None]], ...] = (
        ("the sample grid", lambda: _still(folder, "grid", "Samples", "The first samples drawn.")),
        ("the density", lambda: _still(folder, "density", "Density", _DENSITY, wide=True)),
        ("the animation", lambda: _moving(folder)),
        ("the trajectories", lambda: _still(folder, "trajectories", "From noise to data", _FILM)),
    )
    found = [attempt(what, make, omitted) for what, make in makers]
    return [picture for picture in found if picture is not None]


_DENSITY = "Where the points are at times from noise (left) to samples; last, the data itself."
_FILM = "The same samples on their way: noise first, samples last."


def progress(folder: RunFolder, omitted: list[str]) -> list[Picture]:
    """The same noises, carried by the network at steps of its training."""
    files = sorted((folder.samples / "progress").glob("step-*.png"))
    last = len(files) - 1
    chosen = {
        round(i * last / max(1, MAX_PROGRESS_PICTURES - 1)) for i in range(MAX_PROGRESS_PICTURES)
    }
    shown = [files[i] for i in sorted(chosen) if 0 <= i <= last]
    found = [attempt(f.name, lambda f=f: _stage(f), omitted) for f in shown]  # type: ignore[misc]
    return [picture for picture in found if picture is not None]


def curves(folder: RunFolder, omitted: list[str]) -> list[Chart]:
    """What metrics.jsonl holds, over the steps."""
    logged = Curve(folder.curve_file).lines()
    found = []
    for key, title, caption in CURVES:
        pairs = [(line["step"], line[key]) for line in logged if key in line and "step" in line]
        if pairs:
            made = attempt(title, lambda k=key, p=pairs: _curve(k, p), omitted)  # type: ignore[misc]
            found += [] if made is None else [Chart(title, caption, made)]
    return found + _measured(logged, omitted)


def _measured(logged: Sequence[Mapping[str, Any]], omitted: list[str]) -> list[Chart]:
    """What was measured while training; a name stands in the title, where it is escaped."""
    keys = dict.fromkeys(key for line in logged for key in line if key.startswith(MEASURED))
    found = []
    for i, key in enumerate(keys):
        pairs = [(line["step"], line[key]) for line in logged if key in line and "step" in line]
        title = f"{key.removeprefix(MEASURED)} while training"
        made = attempt(title, lambda i=i, p=pairs: _curve(f"measured {i}", p, "value"), omitted)  # type: ignore[misc]
        found += [] if made is None else [Chart(title, _WHILE_TRAINING, made)]
    return found


_WHILE_TRAINING = "Of the average at these steps; how each was made is in evaluations/."


def histograms(folder: RunFolder, omitted: list[str]) -> list[Chart]:
    """The cost of every sample, and each metric's values example by example."""
    found = [attempt("the histogram of NFE", lambda: _nfe(folder), omitted)]
    for i, file in enumerate(sorted((folder.root / "per_sample").glob("*.safetensors"))):
        if file.stem != "nfe":
            what = f"the histogram of {file.stem}"
            found.append(attempt(what, lambda i=i, f=file: _per_sample(i, f), omitted))  # type: ignore[misc]
    return [chart for chart in found if chart is not None]


def _still(
    folder: RunFolder, name: str, title: str, caption: str, wide: bool = False
) -> Picture | None:
    data = data_uri(folder.samples / f"{name}.png")
    return None if data is None else Picture(title, caption, data, wide=wide)


def _moving(folder: RunFolder) -> Picture | None:
    data = data_uri(folder.samples / "trajectories.webp")
    if data is None:
        return None
    still = data_uri(folder.samples / "trajectories.png")
    return Picture("On the way", "Samples moving from noise to data.", data, still)


def _stage(file: Path) -> Picture:
    data = data_uri(file)
    if data is None:
        raise FileNotFoundError(file.name)
    return Picture(f"Step {int(file.stem.partition('-')[2]):,}", "", data)


def _curve(key: str, pairs: Sequence[tuple[float, float]], label: str | None = None) -> Markup:
    steps, values = zip(*pairs, strict=True)
    name = f"curve-{key.replace(' ', '-')}"
    return lines(name, [(steps, values)], label or key.replace("_", " "))


def _nfe(folder: RunFolder) -> Chart | None:
    counts = list(_counts(folder))
    if not counts:
        return None
    mean = sum(counts) / len(counts)
    caption = (
        f"Evaluations of the network for each of {len(counts):,} samples: "
        f"mean {mean:.4g} (dashed), {min(counts)} to {max(counts)}."
    )
    svg = histogram("nfe", counts, "NFE", whole=True)
    return Chart("Evaluations per sample", caption, svg)


def _counts(folder: RunFolder) -> Iterator[int]:
    for file in shard_files(folder.samples):
        with safe_open(file, "pt") as held:
            yield from held.get_tensor("nfe").tolist()


def _per_sample(place: int, file: Path) -> Chart:
    with safe_open(file, "pt") as held:
        values = held.get_tensor("values").double().flatten()
    finite = values[values.isfinite()]
    odd = len(values) - len(finite)
    caption = f"Of {len(values):,} examples: mean {float(finite.mean()):.4g} (dashed)" + (
        f"; {odd} not finite, not shown." if odd else "."
    )
    return Chart(file.stem, caption, histogram(f"each-{place}", finite.tolist(), "value"))
