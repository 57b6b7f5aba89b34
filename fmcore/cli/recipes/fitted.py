"""A recipe that fits a dataset of images and a time: the choices of `fmcore recipes new`."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmcore.cli.data.source import open_dataset
from fmcore.errors import DataError, UserError

if TYPE_CHECKING:
    from fmcore.interfaces.dataset import Dataset

__all__ = ["fitted_recipe"]

LARGEST = 64
"""Images of a larger side are averaged down to this one, unless `image_size` is given."""

OPENED = 20_000
"""Image files whose size is read."""

IMAGES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""The suffixes of image files."""

WIDTHS = (128, 64, 32, 16)
"""Channels of the network, largest first."""

FEWEST_STEPS = 1500
"""A larger network is chosen only if it can be trained for as many steps."""

SHORTEST = 50
SMALLEST_BATCH = 16
COUNTS, NFE = (256, 64), 40
"""Samples of the recipe: the second where the first would take more than half of the time."""

GUIDED = 2  # evaluations of the network for one of the guided field
SHARE_FORWARD = 1 / 3  # of a training step: a backward pass costs two forward passes


@dataclass(frozen=True)
class Plan:
    """The choices that depend on the data and the time."""

    options: dict[str, Any]
    data: Dataset
    width: int
    mult: list[int]
    batch: int
    steps: int = 100
    count: int = COUNTS[0]

    @property
    def labelled(self) -> bool:
        return self.data.classes > 0


def fitted_recipe(
    source: Path,
    settings: Sequence[str],
    minutes: float,
    device: str | None,
    name: str,
    to: Path,
) -> str:
    """Return the text of a recipe for the images in `source`, with comments.

    Raises DataError for a source without images, UserError for images of several sizes.
    """
    own = [*settings, *_size_settings(source, settings)]
    kind, data = _opened(source, own)
    if len(data.shape) != 3 or data.levels is None:
        raise UserError(f"{source}: `fmcore recipes new` writes recipes for images only")
    options: dict[str, Any] = {"name": kind, "root": str(source.resolve())}
    options |= {key: _value(text) for key, text in (word.split("=", 1) for word in own)}
    if not _has_test(data):
        options["held_out"] = min(max(data.length // 10, 1), 1000)
        own = [*own, f"held_out={options['held_out']}"]
        kind, data = open_dataset(str(source), own)
    options["dequantize"] = "none"
    plan, seconds = _in_time(_first_plan(options, data), minutes, device)
    return _text(plan, minutes, seconds, name, to)


def _opened(source: Path, settings: Sequence[str]) -> tuple[str, Dataset]:
    """Return the format and the dataset.  Raises DataError where there are no images."""
    if source.is_dir() and not any(file.is_file() for file in source.rglob("*")):
        raise DataError(f"{source}: the folder contains no files: give a folder of images")
    try:
        return open_dataset(str(source), settings)
    except DataError as error:
        if "is in no known format" not in str(error):
            raise
        raise DataError(
            f"{source}: the folder contains no images ({', '.join(sorted(IMAGES))}) and is in no "
            "other format that `fmcore data show` reads: give another one"
        ) from error


def _size_settings(source: Path, settings: Sequence[str]) -> list[str]:
    """Return the options of the dataset that the sizes and colours of its files ask for.

    Raises UserError for files of several sizes, and for sides of unlike length.
    """
    given = {word.partition("=")[0] for word in settings}
    sizes, gray = _sizes(source) if source.is_dir() else (Counter(), False)
    found = ["channels=1"] if gray and "channels" not in given else []
    if not sizes or "image_size" in given:
        return found
    smallest = min(min(size) for size in sizes)
    fitting = _divisible(min(smallest, LARGEST))
    if len(sizes) > 1 or any(width != height for width, height in sizes):
        listed = ", ".join(f"{w}x{h} ({n})" for (w, h), n in sizes.most_common(4))
        more = f" and {len(sizes) - 4} more sizes" if len(sizes) > 4 else ""
        raise UserError(
            f"{source}: the images are {listed}{more}; a network needs squares of one size: add "
            f"image_size=N, which crops the central square of each image and averages it down to "
            f"NxN, at most {smallest}; image_size={fitting} trains fastest of those that suit"
        )
    return [*found, f"image_size={fitting}"] if fitting != smallest else found


def _divisible(side: int) -> int:
    """Return the largest side up to `side` that a U-Net can halve twice, if there is one."""
    return side - side % 4 if side >= 4 else side


def _sizes(folder: Path) -> tuple[Counter[tuple[int, int]], bool]:
    """Return how often each (width, height) occurs among image files, and whether all are gray."""
    from PIL import Image, UnidentifiedImageError

    sizes: Counter[tuple[int, int]] = Counter()
    gray = True
    for file in _image_files(folder):
        try:
            with Image.open(file) as image:  # reads the header only
                sizes[image.size] += 1
                gray = gray and image.mode in ("1", "L")
        except (UnidentifiedImageError, OSError, ValueError) as error:
            raise DataError(f"{file} cannot be read as an image; replace or remove it") from error
    return sizes, gray and bool(sizes)


def _image_files(folder: Path) -> list[Path]:
    visible = (
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in IMAGES
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )
    return [file for file, _ in zip(sorted(visible), range(OPENED), strict=False) if file.is_file()]


def _has_test(data: Dataset) -> bool:
    from fmcore.errors import MissingSplitError

    try:
        data.with_split("test").length  # noqa: B018  # opens the files
    except MissingSplitError:
        return False
    return True


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _first_plan(options: dict[str, Any], data: Dataset) -> Plan:
    side = min(data.shape[1:])
    levels = 1
    # a level more while the image can be halved and stays at 8 pixels; 4 for the smallest images
    while levels < 4 and side % 2 == 0 and side >= (16 if levels > 1 else 8):
        levels, side = levels + 1, side // 2
    mult = [1, 2, 2, 4][:levels]
    batch = min(64 if max(data.shape[1:]) <= 32 else 32, data.length)
    return Plan(options, data, WIDTHS[-1], mult, batch)


def _in_time(plan: Plan, minutes: float, device: str | None) -> tuple[Plan, float]:
    """Return the plan with the largest network that fits into the time, and the seconds a step."""
    seconds, flops = _cost(plan, device, probe=True)
    budget = 60 * minutes
    for width in WIDTHS:
        larger = replace(plan, width=width)
        estimate = seconds * _cost(larger, device, probe=False)[1] / flops
        if width == WIDTHS[-1] or budget >= FEWEST_STEPS * estimate:
            break
    if _sampling(larger) * estimate > budget / 2:
        larger = replace(larger, count=COUNTS[1])
    while larger.batch > SMALLEST_BATCH and _steps(larger, estimate, budget) < FEWEST_STEPS:
        larger, estimate = replace(larger, batch=larger.batch // 2), estimate / 2
    if larger != plan:
        estimate = _cost(larger, device, probe=True)[0]
    steps = max(SHORTEST, _rounded(int(_steps(larger, estimate, budget))))
    return replace(larger, steps=steps), estimate


def _steps(plan: Plan, seconds: float, budget: float) -> float:
    """Return the steps that fit into the budget together with the samples, both in seconds."""
    return budget / seconds - _sampling(plan)


def _sampling(plan: Plan) -> float:
    """Return the training steps that take as long as the samples."""
    evaluations = plan.count * NFE * (GUIDED if plan.labelled else 1)
    return evaluations * SHARE_FORWARD / plan.batch


def _rounded(steps: int) -> int:
    """Return `steps` with two digits, rounded down."""
    unit = int(10 ** max(0, len(str(max(steps, 0))) - 2))
    return steps // unit * unit


def _cost(plan: Plan, device: str | None, probe: bool) -> tuple[float, float]:
    """Return the seconds, 0 without `probe`, and the FLOPs of a training step."""
    from fmcore import stages
    from fmcore.recipe.load import load_recipe

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "plan.yaml"
        file.write_text(_text(plan, 0, 0, "plan", file), encoding="utf-8")
        forecast = stages.dry_run(load_recipe(file), device, probe=probe)
    if forecast.missing:
        raise DataError("\n".join(forecast.missing))
    if not probe:
        return 0.0, float(forecast.flops_per_step)
    time = forecast.time
    if time is None or time.seconds is None:
        raise UserError(f"no training step could be timed: {time.why_not if time else ''}")
    return time.seconds, float(forecast.flops_per_step)


def _text(plan: Plan, minutes: float, seconds: float, name: str, to: Path) -> str:
    data, labelled = plan.data, plan.labelled
    shape = "x".join(map(str, data.shape))
    classes = f" in {data.classes} classes" if labelled else ", without labels"
    names = ", ".join(data.class_names[:20]) + (", ..." if len(data.class_names) > 20 else "")
    options = ", ".join(f"{key}: {json.dumps(value)}" for key, value in plan.options.items())
    ema = 0.99 if plan.steps < 1000 else 0.997 if plan.steps < 5000 else 0.9995
    lr = "1.0e-3" if plan.width <= 32 else "4.0e-4"
    held_out = plan.options.get("held_out")
    short = plan.steps <= SHORTEST
    takes = f"{SHORTEST} steps, the fewest: with the samples more than" if short else "For about"
    unit = "minute" if minutes == 1 else "minutes"
    reference = "test" if data.with_split("test").length >= plan.count else "train"
    guidance = ", guidance: [{name: cfg, scale: 1.5}]" if labelled else ""
    lines = [
        f"# {name}: {data.length} images of {shape}{classes}.   fmcore run {to}",
        f"# {takes} {minutes:g} {unit} on the machine that wrote it: {seconds:.2g} s a step.",
        *([f"# Classes: {names}. Sample one of them with sample.label=NAME."] if names else []),
        "seed: 0",
        *(
            [f"# held_out: {held_out} images are not trained on; they are the test split"]
            if held_out
            else []
        ),
        f"data: {{{options}}}",
        "path: linear # straight lines from noise to data",
        "objective: {name: flow_matching, time: stratified} # times spread evenly over each batch",
        "# channels: the network's size. channel_mult: one level for each halving of the image.",
        "# time_scale: a field smooth in t, which few evaluations follow",
        f"model: {{name: unet, channels: {plan.width}, depth: 1, channel_mult: {plan.mult}, "
        f"updown: conv, time_scale: 30.0{', classes: auto' if labelled else ''}}}",
        f"# steps: what fits into the time. ema: samples use the average of the last "
        f"{round(1 / (1 - ema))} or so steps.",
        *(
            ["# label_dropout: a tenth of the rows without label, which guidance needs"]
            if labelled
            else []
        ),
        f"train: {{steps: {plan.steps}, batch_size: {plan.batch}, lr: {lr}, "
        f"lr_schedule: {{name: cosine, warmup: {min(100, plan.steps // 10)}}}, grad_clip: 1.0, "
        f"ema: {ema}{', label_dropout: 0.1' if labelled else ''}}}",
        *(["# guidance: above 1, clearer classes and less variety"] if labelled else []),
        f"sample: {{solver: {{name: midpoint, nfe: {NFE}}}, count: {plan.count}{guidance}}}",
        f"# fd_lite0: a distance to the {reference} images, in features of a small network; lower "
        "is better",
        f"evaluate: {{metrics: [{{name: fd_lite0, reference: {reference}}}, nfe]}}",
    ]
    return "\n".join(lines) + "\n"
