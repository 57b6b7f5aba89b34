"""Every metric that is registered passes the conformance suite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from fmcore import ConditionSpec, ImageDataset, create
from fmcore.registry import registry
from fmcore.testing import MetricSuite, run_suite

QUICK: dict[str, dict[str, Any]] = {
    "kid_lite0": {"subsets": 3},
    "frechet_distance": {"extractor": "lite0"},
    "kernel_distance": {"extractor": "lite0", "subsets": 3},
    "precision_recall": {"extractor": "lite0"},
}

POINTS = torch.randn(16, 2, generator=torch.Generator().manual_seed(0))
ORIGIN = torch.zeros(16, 2)
SHIFT = torch.tensor([3.0, 4.0])

KNOWN: dict[str, list[tuple[torch.Tensor, torch.Tensor, float]]] = {
    # a shifted set is at the length of the shift
    "wasserstein2": [(POINTS + SHIFT, POINTS, 5.0), (POINTS, POINTS, 0.0)],
    # two points: 2 E|x - y| - E|x - x'| - E|y - y'|
    "energy_distance": [(ORIGIN + SHIFT, ORIGIN, 10.0)],
    "nfe": [(POINTS, POINTS, 8.0)],
}


@dataclass(frozen=True)
class Wide(ImageDataset):
    """Noise of 17 levels and 12x12 pixels, multiplied by `contrast`, with a gray `low`."""

    contrast: float = 1.0

    @property
    def shape(self):
        return (1, 12, 12)

    @property
    def levels(self):
        return 17

    @property
    def length(self):
        return 48

    @property
    def entries(self):
        return {"low": ConditionSpec((1, 6, 6))}

    @property
    def fingerprint(self):
        return f"wide {self.contrast} {self.split}"

    def batch(self, indices):
        seeds = [i + 100 * (self.split == "test") for i in indices]
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        noise = torch.stack([torch.randn(self.shape, generator=g) for g in generators])
        levels = (8 + 4 * self.contrast * noise).round().clamp(0, 16).to(torch.uint8)
        return {"x1": levels, "low": torch.zeros(len(seeds), 1, 6, 6)}


DATA = {"ssim": Wide, "low_pass_error": Wide}

# the reconstruction error needs an autoencoder and has tests of its own; metrics of other spaces
# than R^n are in test_metrics_of_spaces.py, with data of theirs
NAMES = [
    entry.name
    for entry in registry().entries("metric")
    if entry.plugin == "fmcore_metrics" and entry.name != "reconstruction"
]


@pytest.mark.parametrize("name", NAMES)
def test_conforms(name: str) -> None:
    class Suite(MetricSuite):
        def component(self) -> Any:
            return create("metric", name, **QUICK.get(name, {}))

        def data(self) -> Any:
            return DATA[name]() if name in DATA else super().data()

        def known(self) -> Sequence[tuple[torch.Tensor, torch.Tensor, float]]:
            return KNOWN.get(name, [])

    results = run_suite(Suite)
    failed = [f"{r.name}: {r.message}" for r in results if not r.passed]
    assert not failed, "\n".join(failed)
    needs_weights = name in ("fid", "kid", "prc", "isc")
    assert sum(not r.skipped for r in results) >= (4 if needs_weights else 15)
