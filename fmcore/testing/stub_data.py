"""Small datasets, a flow and batches of samples from fixed seeds, for tests of metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fmcore.flow.field import Field
from fmcore.interfaces.dataset import Dataset, ImageDataset
from fmcore.interfaces.levels import from_levels
from fmcore.interfaces.metric import Evaluation, MetricBatch
from fmcore.interfaces.model import VectorField
from fmcore.interfaces.objective import Regression
from fmcore.interfaces.path import AffinePath, Coefficients, Path, Quantity

__all__ = ["GivenPoints", "Pictures", "Points", "data_sets", "evaluation_of", "rows_of"]

HELD_OUT = 10_000
"""Added to the index of a held-out sample to give its seed."""


@final
@dataclass(frozen=True)
class Points(Dataset):
    """Standard normal points in the plane, multiplied by `contrast`."""

    length: int = 48
    contrast: float = 1.0

    @property
    def shape(self) -> tuple[int, ...]:
        return (2,)

    @property
    def fingerprint(self) -> str:
        return f"points {self.length} {self.contrast} {self.split}"

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        return {"x1": self.contrast * torch.stack([_noise(self, i) for i in indices])}


@final
@dataclass(frozen=True)
class GivenPoints(Dataset):
    """The points given, in both splits."""

    points: list[list[float]]

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.points[0]),)

    @property
    def length(self) -> int:
        return len(self.points)

    @property
    def fingerprint(self) -> str:
        return f"points {self.points} {self.split}"

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        return {"x1": torch.tensor([self.points[i] for i in indices])}


@final
@dataclass(frozen=True)
class Pictures(ImageDataset):
    """Smooth noise of 17 levels and two classes, multiplied by `contrast`."""

    channels: int = 1
    length: int = 48
    contrast: float = 1.0

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.channels, 4, 4)

    @property
    def levels(self) -> int:
        return 17

    @property
    def classes(self) -> int:
        return 2

    @property
    def fingerprint(self) -> str:
        return f"pictures {self.channels} {self.length} {self.contrast} {self.split}"

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        rough = torch.stack([_noise(self, i) for i in indices])
        smooth = F.avg_pool2d(rough, 3, 1, 1) + rough / 2
        levels = (8 + 6 * self.contrast * smooth).round().clamp(0, 16).to(torch.uint8)
        return {"x1": levels, "label": torch.tensor([i % 2 for i in indices])}


def data_sets() -> Iterator[Dataset]:
    """Yield the kinds of data that metrics measure: points, gray images and colour images."""
    yield Points()
    yield Pictures()
    yield Pictures(channels=3)


def evaluation_of(data: Dataset, cache: FilePath, seed: int = 0) -> Evaluation:
    """Return an evaluation of the held-out split, with a flow that is not the identity."""
    path = _Straight()
    return Evaluation(
        data=data.with_split("test"),
        train_data=data.with_split("train"),
        path=path,
        field=Field(_Swirl(), path, _Velocity()),
        seed=seed,
        batch_size=8,
        cache=cache,
    )


def rows_of(data: Dataset, consumes: str, indices: Sequence[int]) -> MetricBatch:
    """Return a batch of held-out rows, or of rows in the role of samples, as in an evaluation."""
    batch = data.with_split("test").batch(indices)
    x1 = batch.pop("x1")
    continuous = data.levels is None
    if not x1.is_floating_point() and continuous:
        x1 = x1.float()  # samples of tokens are whole floating-point numbers
    # another example than the row itself: a distance from it must not be 0
    paired = torch.tensor([(i + 1) % data.length for i in indices], dtype=torch.int64)
    return MetricBatch(
        indices=torch.tensor(list(indices), dtype=torch.int64),
        x=x1 if continuous else None,
        levels=None if continuous else x1,
        condition=batch,
        nfe=torch.tensor([8 + i % 5 for i in indices]) if consumes == "samples" else None,
        examples=paired if consumes == "samples" else None,
    )


def points_of(batch: MetricBatch, data: Dataset) -> Tensor:
    """Return the points of model space of a batch of samples, float32."""
    if batch.levels is None or data.levels is None:
        return torch.empty(0) if batch.x is None else batch.x
    return from_levels(batch.levels, data.levels, "none")


def _noise(data: Dataset, index: int) -> Tensor:
    seed = index + HELD_OUT * (data.split == "test")
    return torch.randn(data.shape, generator=torch.Generator().manual_seed(seed))


class _Swirl(VectorField):
    def __init__(self) -> None:
        super().__init__()
        self.speed = nn.Parameter(torch.tensor(0.3), requires_grad=False)

    def forward(self, x: Tensor, t: Tensor, condition: Any = None) -> Tensor:
        return self.speed.to(x.dtype) * x.sin()


@final
@dataclass(frozen=True)
class _Straight(AffinePath):
    def coefficients(self, t: Tensor) -> Coefficients:
        one = torch.ones_like(t)
        return Coefficients(alpha=t, sigma=1 - t, d_alpha=one, d_sigma=-one)


@final
@dataclass(frozen=True)
class _Velocity(Regression):
    @property
    def prediction(self) -> Quantity:
        return "velocity"

    def weight(self, path: Path, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def sample_time(
        self, n: int, generator: torch.Generator, part: tuple[int, int] = (0, 1)
    ) -> Tensor:
        return torch.rand(n, generator=generator)
