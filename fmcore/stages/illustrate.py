"""The pictures of a run: training curve, samples, and trajectories from noise to data.

A picture that fails is a warning: the numbers of the run do not depend on it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.flow.field import Field
from fmcore.interfaces.dataset import ImageDataset
from fmcore.interfaces.levels import to_levels
from fmcore.recipe.sections import Sample
from fmcore.report.plots.animation import save_images_moving, save_points_moving
from fmcore.report.plots.curve import save_curve
from fmcore.report.plots.grid import save_grid
from fmcore.report.plots.points import save_densities, save_paths
from fmcore.runs.folder import RunFolder
from fmcore.runs.samples import Shards
from fmcore.runs.signals import raise_if_stopped
from fmcore.stages.components import Components
from fmcore.stages.sample import Sampler, wrap_path_and_guidance

__all__ = ["attempt", "illustrate_samples", "illustrate_training", "preview"]

GRID_IMAGES = 64
FILM_IMAGES, FILM_TIMES = 8, 11
DENSITY_POINTS, DENSITY_TIMES = 4096, 6
PATH_POINTS, PATH_TIMES = 200, 41
PREVIEW_IMAGES, PREVIEW_POINTS = 64, 1024


def attempt(what: str, draw: Callable[[], object], folder: RunFolder) -> None:
    """Call `draw`; log a warning if it fails."""
    try:
        draw()
    except (
        Exception
    ) as error:  # such as a limit of an image format: no picture may cost the numbers
        raise_if_stopped()  # perhaps the failure was a signal
        folder.log(f"warning: {what} is left out: {type(error).__name__}: {error}")


def illustrate_training(folder: RunFolder) -> None:
    """Draw the training curve, if anything was trained."""
    lines = folder.curve.lines()
    if any("loss" in line for line in lines):
        attempt(
            "the training curve", lambda: save_curve(folder.root / "training.png", lines), folder
        )


def illustrate_samples(sampler: Sampler, folder: RunFolder) -> None:
    """Draw a grid and a film of images, or densities and trajectories of points in the plane."""
    data = sampler.components.data
    if isinstance(data, ImageDataset):
        attempt("the sample grid", lambda: _grid(data, folder), folder)
        attempt("the trajectories", lambda: _film(sampler, data, folder), folder)
    elif data.shape == (2,):
        attempt("the density", lambda: _density(sampler, folder), folder)
        attempt("the trajectories", lambda: _paths(sampler, folder), folder)


def preview(
    components: Components, settings: Sample, field: Field, step: int, folder: RunFolder
) -> None:
    """Draw samples 0, 1, ... by `field` into samples/progress/step-N.png."""
    data = components.data
    images = isinstance(data, ImageDataset)
    if not images and data.shape != (2,):
        return
    device = next(field.model.parameters()).device
    guided = wrap_path_and_guidance(field, settings, components.train)
    sampler = Sampler(components, settings, guided, device)
    # the same noises at every step, so that the pictures show the network and not the noise
    indices = range(min(settings.count, PREVIEW_IMAGES if images else PREVIEW_POINTS))
    drawn = sampler.stored(sampler.solve(sampler.noise(indices), indices).x).cpu()
    file = folder.samples / "progress" / f"step-{step:09d}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(data, ImageDataset):
        save_grid(file, drawn, data.levels, columns=8)
    else:
        save_densities(file, [drawn], [f"step {step}"])


def _grid(data: ImageDataset, folder: RunFolder) -> None:
    shards = Shards.on_disk(folder.samples)
    drawn = shards.first(min(GRID_IMAGES, shards.kept()[-1].stop))["x"]
    save_grid(folder.samples / "grid.png", drawn, data.levels, columns=8)


def _film(sampler: Sampler, data: ImageDataset, folder: RunFolder) -> None:
    states = _states(sampler, range(min(FILM_IMAGES, sampler.settings.count)), FILM_TIMES)
    levels = to_levels(states, data.levels, data.dequantize)
    still = levels.transpose(0, 1).flatten(0, 1)  # a row an image, a column a time
    save_grid(folder.samples / "trajectories.png", still, data.levels, columns=FILM_TIMES)
    save_images_moving(folder.samples / "trajectories.webp", levels, data.levels, columns=4)


def _density(sampler: Sampler, folder: RunFolder) -> None:
    data = sampler.components.data
    states = _states(sampler, range(min(DENSITY_POINTS, sampler.settings.count)), DENSITY_TIMES)
    real = data.batch(range(min(DENSITY_POINTS, data.length)))["x1"]
    titles = [f"t = {t:.1f}" for t in torch.linspace(0, 1, DENSITY_TIMES)]
    save_densities(folder.samples / "density.png", [*states, real], [*titles, "data"])


def _paths(sampler: Sampler, folder: RunFolder) -> None:
    # few points, many times: lines of 4096 points would cover one another
    states = _states(sampler, range(min(PATH_POINTS, sampler.settings.count)), PATH_TIMES)
    save_paths(folder.samples / "trajectories.png", states)
    save_points_moving(folder.samples / "trajectories.webp", states)


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
