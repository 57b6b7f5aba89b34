"""What the network draws while it trains: the same noises every time, so that pictures compare."""

from __future__ import annotations

import torch
from torch import Tensor

from fmcore.field import Field
from fmcore.interfaces.dataset import ImageDataset
from fmcore.pictures.grid import save_grid
from fmcore.pictures.points import save_densities
from fmcore.recipe.sections import Sample
from fmcore.runs.folder import RunFolder
from fmcore.stages.components import Components
from fmcore.stages.sample import Sampler
from fmcore.training.training import Training

__all__ = ["preview"]

IMAGES = 64
POINTS = 1024


def preview(
    components: Components, settings: Sample, training: Training, folder: RunFolder
) -> None:
    """Draw samples 0, 1, ... with the averaged weights into samples/progress/step-N.png.

    Nothing that training depends on is touched.
    """
    data = components.data
    images = isinstance(data, ImageDataset)
    if not images and data.shape != (2,):
        return
    sampler = Sampler(components, settings, _field(components, training), _device(training))
    indices = range(min(settings.count, IMAGES if images else POINTS))
    drawn = sampler.stored(sampler.solve(sampler.noise(indices), indices).x).cpu()
    file = folder.samples / "progress" / f"step-{training.step:09d}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(data, ImageDataset):
        save_grid(file, drawn, data.levels, columns=8)
    else:
        save_densities(file, [drawn], [f"step {training.step}"])


def _field(components: Components, training: Training) -> Field:
    model = components.model(_device(training)).eval().requires_grad_(False)
    model.load_state_dict(_weights(training))
    return Field(model, components.path, components.objective, coupling=components.coupling)


def _weights(training: Training) -> dict[str, Tensor]:
    average = training.averages.get("ema")
    return training.model.state_dict() if average is None else average.state()


def _device(training: Training) -> torch.device:
    device: torch.device = training.accelerator.device
    return device
