"""The pictures and sounds of a run: training curve, samples, and trajectories from noise to data.

The dataset gives the portraits of its samples (`Dataset.portray`); points in the plane have
densities and trajectories.  A portrait that fails is a warning: the numbers of the run do not
depend on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.flow.field import Field
from fmcore.interfaces.dataset import Dataset, ImageDataset
from fmcore.interfaces.levels import to_levels
from fmcore.interfaces.portrait import Portrait
from fmcore.recipe.sections import Sample
from fmcore.report.plots.animation import save_images_moving, save_points_moving
from fmcore.report.plots.curve import save_curve
from fmcore.report.plots.grid import save_grid
from fmcore.report.plots.points import save_densities, save_paths
from fmcore.runs.files import atomic
from fmcore.runs.folder import RunFolder
from fmcore.runs.portraits import write_portraits
from fmcore.runs.samples import Shards
from fmcore.runs.signals import raise_if_stopped
from fmcore.stages.components import Components
from fmcore.stages.sampler import Sampler
from fmcore.stages.sampling_field import wrap_path_and_guidance
from fmcore.stages.shard_entries import conditions_in, decoded_from

__all__ = ["attempt", "illustrate_samples", "illustrate_training", "preview"]

FILM_IMAGES, FILM_TIMES = 8, 11
DENSITY_POINTS, DENSITY_TIMES = 4096, 6
PATH_POINTS, PATH_TIMES = 200, 41
COMPARED = 16
SEARCHED = 1000
"""Examples among which those of the samples' classes are chosen."""

PREVIEW_POINTS = 1024
PREVIEW_FILES = 4
"""Sounds or texts of one preview; pictures are one grid."""

T = TypeVar("T")


def attempt(what: str, draw: Callable[[], T], folder: RunFolder) -> T | None:
    """Return the result of `draw`; log a warning and return None if it fails."""
    try:
        return draw()
    except (
        Exception
    ) as error:  # such as a limit of an image format: no picture may cost the numbers
        raise_if_stopped()  # perhaps the failure was a signal
        folder.log(f"warning: {what} is left out: {type(error).__name__}: {error}")
        return None


def illustrate_training(folder: RunFolder) -> None:
    """Draw the training curve, if anything was trained."""
    lines = folder.curve.lines()
    if any("loss" in line for line in lines):
        attempt(
            "the training curve", lambda: save_curve(folder.root / "training.png", lines), folder
        )


def illustrate_samples(sampler: Sampler, folder: RunFolder) -> None:
    """Write the portraits of the first samples, with a grid and a film of pictures; or draw
    densities and trajectories of points in the plane.
    """
    data = sampler.components.data
    count = min(data.portrayed, sampler.settings.count)
    found = attempt("the portraits", lambda: _portraits(sampler, count, folder), folder)
    if found:
        root = folder.samples
        attempt("the files of the portraits", lambda: write_portraits(root, found), folder)
        # one picture may show all samples: a plot has no grid and no film
        if _are_pictures(found) and len(found) == count:
            file = root / "grid.png"
            attempt("the sample grid", lambda: save_grid(file, found, 8, captions=True), folder)
            attempt("the grid of data", lambda: _real(sampler, count, folder), folder)
            attempt("the comparison", lambda: _comparison(sampler, folder), folder)
            attempt("the trajectories", lambda: _film(sampler, folder), folder)
    elif _in_the_plane(data):
        attempt("the density", lambda: _density(sampler, folder), folder)
        attempt("the trajectories", lambda: _paths(sampler, folder), folder)


def preview(
    components: Components, settings: Sample, field: Field, step: int, folder: RunFolder
) -> None:
    """Draw samples 0, 1, ... by `field` into samples/progress/step-N.png, or .wav, .txt, ..."""
    plane = _in_the_plane(components.data)
    if not plane and type(components.data).portray is Dataset.portray:
        return
    device = next(field.model.parameters()).device
    guided = wrap_path_and_guidance(field, settings, components.train)
    sampler = Sampler(components, settings, guided, device)
    # the same noises at every step, so that the pictures show the network and not the noise
    indices = range(min(settings.count, PREVIEW_POINTS if plane else components.data.portrayed))
    drawn = sampler.stored(sampler.solve(sampler.noise(indices), indices).x, indices).cpu()
    file = folder.samples / "progress" / f"step-{step:09d}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    portraits = _portrayed(sampler, drawn, indices)
    if _are_pictures(portraits):
        save_grid(file, portraits, columns=8)
    elif plane:
        save_densities(file, [drawn], [f"step {step}"])
    for i, portrait in enumerate(portraits[:PREVIEW_FILES]):
        if portrait.suffix != "png":
            named = file.with_name(f"{file.stem}-{i:04d}.{portrait.suffix}")
            atomic(named, lambda part, own=portrait: part.write_bytes(own.content))  # type: ignore[misc]


def _in_the_plane(data: Dataset) -> bool:
    return tuple(data.shape) == (2,)


def _are_pictures(portraits: Sequence[Portrait]) -> bool:
    return bool(portraits) and all(portrait.suffix == "png" for portrait in portraits)


def _portraits(sampler: Sampler, count: int, folder: RunFolder) -> list[Portrait]:
    """Return the portraits of the first samples on disk."""
    shards = Shards.on_disk(folder.samples)
    drawn = shards.first(min(count, shards.kept()[-1].stop))
    decoded = decoded_from(sampler.components.codec, drawn)
    return sampler.components.data.portray(drawn["x"], conditions_in(drawn), decoded)


def _real(sampler: Sampler, count: int, folder: RunFolder) -> None:
    """Draw examples of the data next to the samples: for sample i one of the same class, if it has
    a class, else one of `count` that are evenly spread.
    """
    data, root = sampler.components.data, folder.samples
    labels = (sampler.condition(range(count)) or {}).get("label")
    spread = [i * data.length // count for i in range(count)]
    batch = data.batch(sorted(set(spread)))
    if labels is not None and "label" in batch:
        many = range(0, data.length, max(1, data.length // SEARCHED))
        batch = data.batch(list(many))
        chosen = _of_classes(batch["label"].tolist(), labels.tolist())
        batch = {name: value[chosen] for name, value in batch.items()}
    pictures = data.portray(batch["x1"], {k: v for k, v in batch.items() if k != "x1"})
    if _are_pictures(pictures):
        save_grid(root / "data.png", pictures, 8, captions=True)


def _of_classes(labels: Sequence[int], wanted: Sequence[int]) -> list[int]:
    """Return for each wanted class a row with that label, different ones while there are some;
    classes without a row are left out.
    """
    rows: dict[int, list[int]] = {}
    for row, label in enumerate(labels):
        rows.setdefault(label, []).append(row)
    used: Counter[int] = Counter()
    found = []
    for label in wanted:
        if label in rows:
            found.append(rows[label][used[label] % len(rows[label])])
            used[label] += 1
    return found


def _portrayed(sampler: Sampler, x: Tensor, indices: Sequence[int]) -> list[Portrait]:
    """Return the portraits of `x`, the samples `indices` as shards store them."""
    condition: Mapping[str, Tensor] = sampler.described(indices)
    decoded = decoded_from(sampler.components.codec, {"x": x, **condition})
    return sampler.components.data.portray(x, condition, decoded)


def _comparison(sampler: Sampler, folder: RunFolder) -> None:
    """Draw the images of the conditions, the sample and, where there is one, the true image of the
    first samples; nothing without conditions that are images.
    """
    data = sampler.components.data
    drawn = Shards.on_disk(folder.samples).first(COMPARED)
    given = [v for v in conditions_in(drawn).values() if v.ndim == 4 and v.shape[1] in (1, 3)]
    if not given or not isinstance(data, ImageDataset):
        return
    height, width = data.shape[1:]
    inputs = [F.interpolate(v.float(), (height, width)) for v in given]  # whole pixels, as given
    images = [*(to_levels(v, data.levels, "none") for v in inputs), drawn["x"]]
    if "example" in drawn:
        split = sampler.split_of_conditions
        images.append(split.batch(drawn["example"].tolist())["x1"])
    rows = [row for of_one in zip(*images, strict=True) for row in of_one]
    pictures = [Portrait.picture(row, data.levels) for row in rows]
    save_grid(folder.samples / "comparison.png", pictures, columns=2 * len(images))


def _film(sampler: Sampler, folder: RunFolder) -> None:
    indices = range(min(FILM_IMAGES, sampler.settings.count))
    states = _states(sampler, indices, FILM_TIMES)
    frames = [
        _portrayed(sampler, sampler.stored(state, indices).cpu(), indices) for state in states
    ]
    if not all(map(_are_pictures, frames)):
        return
    still = [frame[i] for i in range(len(frames[0])) for frame in frames]  # a row a sample
    save_grid(folder.samples / "trajectories.png", still, columns=FILM_TIMES)
    save_images_moving(folder.samples / "trajectories.webp", frames, columns=4)


def _density(sampler: Sampler, folder: RunFolder) -> None:
    data = sampler.components.data
    states = _examples(sampler, DENSITY_POINTS, DENSITY_TIMES)
    real = data.batch(range(min(DENSITY_POINTS, data.length)))["x1"]
    titles = [f"t = {t:.1f}" for t in torch.linspace(0, 1, DENSITY_TIMES)]
    save_densities(folder.samples / "density.png", [*states, real], [*titles, "data"])


def _paths(sampler: Sampler, folder: RunFolder) -> None:
    # few points, many times: lines of 4096 points would cover one another
    states = _examples(sampler, PATH_POINTS, PATH_TIMES)
    save_paths(folder.samples / "trajectories.png", states)
    save_points_moving(folder.samples / "trajectories.webp", states)


def _examples(sampler: Sampler, most: int, times: int) -> Tensor:
    """Return the points of the first samples at evenly spaced times, `(times, n, *shape)`."""
    indices = range(min(most, sampler.settings.count))
    states = _states(sampler, indices, times)
    return torch.stack([sampler.stored(state, indices) for state in states])


def _states(sampler: Sampler, indices: range, times: int) -> Tensor:
    """Return the states of samples `indices` at evenly spaced times, `(times, n, *shape)`."""
    path = sampler.field.path
    stops = torch.linspace(path.t_min, path.t_max, times, dtype=torch.float64).tolist()
    noise = sampler.noise(indices)
    try:
        states = sampler.solve(noise, indices, times=tuple(stops)).trajectory
    except ComponentError:  # the solver's budget has fewer steps than there are times
        states = None
    return _state_by_state(sampler, noise, indices, stops) if states is None else states.cpu()


def _state_by_state(sampler: Sampler, noise: Tensor, indices: range, stops: list[float]) -> Tensor:
    """Return the same by a solve from each time to the next: more evaluations, for any solver."""
    states = [noise]
    for t0, t1 in pairwise(stops):
        states.append(sampler.solve(states[-1], indices, t0, t1).x.cpu())
    return torch.stack(states)
