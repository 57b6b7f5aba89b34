"""The pictures, sounds and texts in a run folder, and charts of its numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from safetensors import safe_open

from fmcore.report.charts import PALETTE, histogram, lines
from fmcore.report.parts import Chart, Picture, Sound, Text, attempt, data_uri
from fmcore.report.run_contents import RunContents
from fmcore.runs.metrics_log import MEASURED
from fmcore.runs.portraits import read_portraits

__all__ = ["curves", "histograms", "pictures", "progress", "sounds", "texts"]

MAX_PORTRAITS = 8
"""Sounds, texts, and pictures without a grid, shown each on its own."""

MAX_TEXT = 4000

MAX_PROGRESS_PICTURES = 6
"""Pictures from during the training, evenly spaced."""

CURVES = (
    ("loss", "Training loss", "Means over the logged steps; bold: smoothed."),
    ("grad_norm", "Gradient norm", "Before clipping; bold: smoothed."),
    ("lr", "Learning rate", "As scheduled."),
)

OF_TRAINING = ("loss", MEASURED.rstrip("/"))
"""The first parts of keys that no callback wrote."""

DENSITY = "The density of the samples at times from noise (left) to data; last, the dataset."
COMPARISON = "Of each sample: the images given, the sample, and the true image if known."
REAL = "Images of the dataset, of the same classes as the samples."
FILMSTRIP = "The same samples at several times: noise first, data last."
DURING_TRAINING = "With the averaged weights of these steps; details are in evaluations/."


def pictures(run: RunContents, omitted: list[str]) -> list[Picture]:
    """Return pictures of samples, densities and trajectories."""
    makers: tuple[tuple[str, Callable[[], Picture | None]], ...] = (
        ("the sample grid", lambda: _still(run, "grid", "Samples", "The first samples.")),
        ("the grid of data", lambda: _still(run, "data", "Data", REAL)),
        ("the comparison", lambda: _still(run, "comparison", "Comparison", COMPARISON)),
        ("the density", lambda: _still(run, "density", "Density", DENSITY, wide=True)),
        ("the animation", lambda: _animation(run)),
        ("the trajectories", lambda: _still(run, "trajectories", "From noise to data", FILMSTRIP)),
    )
    found = [attempt(what, make, omitted) for what, make in makers]
    shown = [picture for picture in found if picture is not None]
    if (run.samples / "grid.png").is_file():
        return shown
    each = [
        attempt(file.name, lambda f=file, c=caption: _portrait(f, c), omitted)  # type: ignore[misc]
        for file, caption in _portraits(run, "png")
    ]
    return [*(picture for picture in each if picture is not None), *shown]


def sounds(run: RunContents, omitted: list[str]) -> list[Sound]:
    """Return the first samples that are sounds, and those drawn during training."""
    files = [(_title(file), file, caption) for file, caption in _portraits(run, "wav")]
    progress = sorted((run.samples / "progress").glob("step-*.wav"))[-MAX_PORTRAITS:]
    files += [(f"During training: {file.stem}", file, "") for file in progress]
    found = [
        attempt(file.name, lambda t=title, f=file, c=caption: _sound(t, f, c), omitted)  # type: ignore[misc]
        for title, file, caption in files
    ]
    return [sound for sound in found if sound is not None]


def texts(run: RunContents, omitted: list[str]) -> list[Text]:
    """Return the samples that are texts, and the names of files of other formats."""
    found = [
        attempt(file.name, lambda f=file, c=caption: _text(f, c), omitted)  # type: ignore[misc]
        for file, caption in _portraits(run, "txt")
    ]
    shown = [text for text in found if text is not None]
    others = [
        f"samples/{file.name}  {caption}".rstrip()
        for file, caption in read_portraits(run.samples)
        if file.suffix not in (".png", ".wav", ".txt")
    ]
    return shown + ([Text("Files", "In the folder of the run.", "\n".join(others))] * bool(others))


def progress(run: RunContents, omitted: list[str]) -> list[Picture]:
    """Return pictures of samples from the same noise at steps of the training."""
    files = sorted((run.samples / "progress").glob("step-*.png"))
    last = len(files) - 1
    gaps = MAX_PROGRESS_PICTURES - 1
    chosen = {round(i * last / gaps) for i in range(MAX_PROGRESS_PICTURES)}
    shown = [files[i] for i in sorted(chosen) if 0 <= i <= last]
    found = [attempt(f.name, lambda f=f: _step_picture(f), omitted) for f in shown]  # type: ignore[misc]
    return [picture for picture in found if picture is not None]


def curves(run: RunContents, omitted: list[str]) -> list[Chart]:
    """Return charts of metrics.jsonl over the steps, also of metrics computed during training."""
    measured = dict.fromkeys(key for line in run.curve for key in line if key.startswith(MEASURED))
    wanted = [(key, title, caption, key.replace("_", " ")) for key, title, caption in CURVES]
    wanted += [
        (key, f"{key.removeprefix(MEASURED)} during training", DURING_TRAINING, "value")
        for key in measured
    ]
    found = []
    for place, (key, title, caption, label) in enumerate(wanted):
        pairs = [(line["step"], line[key]) for line in run.curve if key in line]
        if pairs:
            steps, values = zip(*pairs, strict=True)
            # numbered, since the key of a metric may hold any text
            name, series = f"curve-{place}", [(steps, values)]
            svg = attempt(title, lambda n=name, s=series, u=label: lines(n, s, u), omitted)  # type: ignore[misc]
            found += [] if svg is None else [Chart(title, caption, svg)]
    return found + _callbacks(run, omitted)


def _callbacks(run: RunContents, omitted: list[str]) -> list[Chart]:
    """Return a chart for each callback, with a curve for each of its numbers."""
    curves: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for line in run.curve:
        for key, value in line.items():
            callback, slash, number = key.partition("/")
            if slash and callback not in OF_TRAINING:
                own = curves.setdefault(callback, {})
                own.setdefault(number, []).append((line["step"], value))
    found = []
    for place, (callback, own) in enumerate(curves.items()):
        shown = dict(list(own.items())[: len(PALETTE)])
        series = [tuple(zip(*pairs, strict=True)) for pairs in shown.values()]
        name = f"callback-{place}"
        svg = attempt(callback, lambda n=name, s=series: lines(n, s, "value"), omitted)  # type: ignore[misc]
        if svg is not None:
            more = f" and {len(own) - len(shown)} more" if len(own) > len(shown) else ""
            keys = ((key, PALETTE[i]) for i, key in enumerate(shown))
            caption = f"Measured by the callback {callback}{more}; smoothed."
            found.append(Chart(callback.replace("_", " "), caption, svg, key=tuple(keys)))
    return found


def histograms(run: RunContents, omitted: list[str]) -> list[Chart]:
    """Return charts of the NFE of the samples, and of each metric's values per example."""
    found = [attempt("the histogram of NFE", lambda: _nfe(run.nfe), omitted)]
    for i, file in enumerate(sorted((run.root / "per_sample").glob("*.safetensors"))):
        if file.stem != "nfe":
            what = f"the histogram of {file.stem}"
            found.append(attempt(what, lambda i=i, f=file: _per_sample(i, f), omitted))  # type: ignore[misc]
    return [chart for chart in found if chart is not None]


def _portraits(run: RunContents, suffix: str) -> list[tuple[Path, str]]:
    """Return the first portraits of one format, each with its caption."""
    every = read_portraits(run.samples)
    return [(f, c) for f, c in every if f.suffix == f".{suffix}"][:MAX_PORTRAITS]


def _title(file: Path) -> str:
    return f"Sample {int(file.stem)}"


def _portrait(file: Path, caption: str) -> Picture | None:
    data = data_uri(file)
    return None if data is None else Picture(_title(file), caption, data)


def _sound(title: str, file: Path, caption: str) -> Sound | None:
    data = data_uri(file, "audio")
    return None if data is None else Sound(title, caption, data)


def _text(file: Path, caption: str) -> Text:
    with file.open(encoding="utf-8", errors="replace") as opened:
        text = opened.read(MAX_TEXT + 1)
    cut = text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."
    return Text(_title(file), caption, cut)


def _still(
    run: RunContents, name: str, title: str, caption: str, wide: bool = False
) -> Picture | None:
    data = data_uri(run.samples / f"{name}.png")
    return None if data is None else Picture(title, caption, data, wide=wide)


def _animation(run: RunContents) -> Picture | None:
    data = data_uri(run.samples / "trajectories.webp")
    if data is None:
        return None
    still = data_uri(run.samples / "trajectories.png")
    return Picture("Trajectories", "Samples moving from noise to data.", data, still)


def _step_picture(file: Path) -> Picture:
    data = data_uri(file)
    if data is None:
        raise FileNotFoundError(file.name)
    return Picture(f"Step {int(file.stem.partition('-')[2]):,}", "", data)


def _nfe(counts: Sequence[int]) -> Chart | None:
    if not counts:
        return None
    mean = sum(counts) / len(counts)
    caption = (
        f"Network evaluations for each of {len(counts):,} samples: "
        f"mean {mean:.4g} (dashed), {min(counts)} to {max(counts)}."
    )
    svg = histogram("nfe", counts, "NFE", whole=True)
    return Chart("Evaluations per sample", caption, svg)


def _per_sample(place: int, file: Path) -> Chart:
    with safe_open(file, "pt") as stored:
        values = stored.get_tensor("values").double().flatten()
    finite = values[values.isfinite()]
    others = len(values) - len(finite)
    caption = f"For {len(values):,} examples: mean {float(finite.mean()):.4g} (dashed)" + (
        f"; {others} are not finite and not shown." if others else "."
    )
    return Chart(file.stem, caption, histogram(f"each-{place}", finite.tolist(), "value"))
