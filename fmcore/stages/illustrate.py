"""The pictures of a run: training curve, samples, and trajectories from noise to data."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

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
from fmcore.runs.metrics_log import Curve
from fmcore.runs.samples import Shards
from fmcore.stages.components import Components
from fmcore.stages.sample import Sampler, led

__all__ = ["illustrate_samples", "illustrate_training", "preview"]

SHOWN = 64

TRAVELLERS = 8

PANELS = 6

TIMES = 11

POINTS = 4096


def illustrate_training(folder: RunFolder) -> list[Path]:
    """The training curve, if anything was trained."""
    lines = Curve(folder.curve_file).lines()
    if not any("loss" in line for line in lines):
        return []
    path = folder.root / "training.png"
    save_curve(path, lines)
    return [path]


def illustrate_samples(sampler: Sampler, folder: RunFolder) -> list[Path]:
    """A grid and a filmstrip of images, or densities and ways of points in the plane."""
    data = sampler.components.data
    if isinstance(data, ImageDataset):
        return _images(sampler, data, folder)
    if data.shape == (2,):
        return _points(sampler, folder)
    return []


def _images(sampler: Sampler, data: ImageDataset, folder: RunFolder) -> list[Path]:
    grid, film = folder.samples / "grid.png", folder.samples / "trajectories.png"
    moving = folder.samples / "trajectories.webp"
    shards = Shards.there(folder.samples)
    drawn = shards.first(min(SHOWN, shards.kept()[-1].stop))["x"]
    save_grid(grid, drawn, data.levels, columns=8)
    states = _states(sampler, range(min(TRAVELLERS, sampler.settings.count)), TIMES)
    levels = to_levels(states, data.levels, data.dequantize)
    save_grid(film, levels.transpose(0, 1).flatten(0, 1), data.levels, columns=TIMES)
    save_images_moving(moving, levels, data.levels, columns=4)
    return [grid, film, moving]


def _points(sampler: Sampler, folder: RunFolder) -> list[Path]:
    density, ways = folder.samples / "density.png", folder.samples / "trajectories.png"
    moving = folder.samples / "trajectories.webp"
    data = sampler.components.data
    states = _states(sampler, range(min(POINTS, sampler.settings.count)), PANELS)
    real = data.batch(range(min(POINTS, data.length)))["x1"]
    titles = [f"t = {t:.1f}" for t in torch.linspace(0, 1, PANELS)]
    save_densities(density, [*states, real], [*titles, "data"])
    travelled = _states(sampler, range(min(200, sampler.settings.count)), 41)
    save_paths(ways, travelled)
    save_points_moving(moving, travelled)
    return [density, ways, moving]


def _states(sampler: Sampler, indices: range, times: int) -> Tensor:
    """Where the samples `indices` are at evenly spaced times, `(times, n, *shape)`, on the CPU."""
    path = sampler.field.path
    stops = torch.linspace(path.t_min, path.t_max, times, dtype=torch.float64).tolist()
    noise = sampler.noise(indices)
    try:
        there = sampler.solve(noise, indices, times=tuple(stops)).trajectory
    except ComponentError:  # the solver's budget is less than a step for each time
        there = None
    return _leg_by_leg(sampler, noise, indices, stops) if there is None else there.cpu()


def _leg_by_leg(sampler: Sampler, noise: Tensor, indices: range, stops: list[float]) -> Tensor:
    """The same with a solve from each time to the next: more evaluations, for any solver."""
    states = [noise]
    for t0, t1 in pairwise(stops):
        states.append(sampler.solve(states[-1], indices, t0, t1).x.cpu())
    return torch.stack(states)


IMAGES = 64

POINTS = 1024


def preview(
    components: Components, settings: Sample, field: Field, step: int, folder: RunFolder
) -> None:
    """Draw samples 0, 1, ... by `field` into samples/progress/step-N.png."""
    data = components.data
    images = isinstance(data, ImageDataset)
    if not images and data.shape != (2,):
        return
    device = next(field.model.parameters()).device
    sampler = Sampler(components, settings, led(field, settings, device), device)
    indices = range(min(settings.count, IMAGES if images else POINTS))
    drawn = sampler.stored(sampler.solve(sampler.noise(indices), indices).x).cpu()
    file = folder.samples / "progress" / f"step-{step:09d}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(data, ImageDataset):
        save_grid(file, drawn, data.levels, columns=8)
    else:
        save_densities(file, [drawn], [f"step {step}"])
