"""What the network draws while it trains: the same noises every time, so that pictures compare."""

from __future__ import annotations

from fmcore.field import Field
from fmcore.interfaces.dataset import ImageDataset
from fmcore.pictures.grid import save_grid
from fmcore.pictures.points import save_densities
from fmcore.recipe.sections import Sample
from fmcore.runs.folder import RunFolder
from fmcore.stages.components import Components
from fmcore.stages.sample import Sampler, led

__all__ = ["preview"]

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
