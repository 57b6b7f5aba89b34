"""Small datasets and evaluations for the tests of metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fmcore import Dataset, Evaluation, Field, ImageDataset, MetricBatch, VectorField
from fmcore_objectives.flow_matching import FlowMatching
from fmcore_paths.ot import OTPath


@dataclass(frozen=True)
class Pictures(ImageDataset):
    """Blurred noise of any number of levels; the splits have different seeds."""

    shape: tuple[int, ...] = (1, 8, 8)
    levels: int = 17
    length: int = 40
    noise: float = 1.0

    @property
    def fingerprint(self) -> str:
        return f"{self.shape}{self.levels}{self.length}{self.split}{self.noise}"

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        rows = [self._picture(i) for i in indices]
        label = torch.tensor([i % 2 for i in indices])
        return {"x1": torch.stack(rows), "label": label}

    def _picture(self, i: int) -> Tensor:
        seed = 10_000 * (self.split == "test") + i
        random = torch.Generator().manual_seed(seed)
        rough = self.noise * torch.randn(self.shape, generator=random)
        smooth = torch.nn.functional.avg_pool2d(rough[None], 3, 1, 1)[0] + rough / 4
        levels = (self.levels / 2 + smooth * self.levels / 4).round().clamp(0, self.levels - 1)
        return levels.to(torch.uint8)


@dataclass(frozen=True)
class Points(Dataset):
    """Normal points about `mean` of width `width`."""

    dimension: int = 2
    length: int = 200
    mean: float = 0.0
    width: float = 1.0

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.dimension,)

    @property
    def fingerprint(self) -> str:
        return f"points {self}"

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        seed = 1 if self.split == "test" else 0
        random = torch.Generator().manual_seed(seed)
        points = torch.randn(self.length, self.dimension, generator=random)
        return {"x1": self.mean + self.width * points[list(indices)]}


class Zero(VectorField):
    """A velocity field of 0."""

    def __init__(self) -> None:
        super().__init__()
        self.speed = torch.nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, t: Tensor, condition: Any = None) -> Tensor:
        return self.speed * x


Evaluate = Callable[..., Evaluation]


@pytest.fixture
def evaluation(tmp_path: Path) -> Evaluate:
    """A factory of evaluations of a dataset, with velocity 0 or `model`."""

    def build(
        data: Dataset, model: VectorField | None = None, *, path: Any = None, seed: int = 0
    ) -> Evaluation:
        path = path or OTPath()
        return Evaluation(
            data=data.with_split("test"),
            train_data=data.with_split("train"),
            path=path,
            field=Field(model or Zero(), path, FlowMatching()),
            seed=seed,
            batch_size=16,
            cache=tmp_path / "cache",
        )

    return build


@dataclass
class Stream:
    """Rows of a dataset, as a metric receives them."""

    data: Dataset
    nfe: int = 10
    given: dict[str, Any] = field(default_factory=dict)

    def rows(self, indices: Sequence[int]) -> MetricBatch:
        batch = self.data.batch(indices)
        x1 = batch.pop("x1")
        continuous = self.data.levels is None
        return MetricBatch(
            indices=torch.tensor(list(indices)),
            x=x1 if continuous else None,
            levels=None if continuous else x1,
            condition=batch,
            nfe=torch.tensor([self.nfe + i % 3 for i in indices]),
        )


def measured(metric: Any, evaluation: Evaluation, *batches: MetricBatch) -> dict[str, Any]:
    """Return the results of a metric over batches."""
    return measured_together([metric], evaluation, *batches)


def measured_together(
    metrics: Sequence[Any], evaluation: Evaluation, *batches: MetricBatch
) -> dict[str, Any]:
    """Return the results of several metrics over one stream, as in an evaluation."""
    for metric in metrics:
        metric.begin(evaluation)
    for batch in batches:
        for metric in metrics:
            metric.update(batch)
    return {name: result for metric in metrics for name, result in metric.compute().items()}
