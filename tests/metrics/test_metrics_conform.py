"""Every metric that is registered passes the conformance suite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from fmcore import create
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

# the reconstruction error needs an autoencoder, and metrics of other spaces than R^n such data:
# they have tests of their own
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

        def known(self) -> Sequence[tuple[torch.Tensor, torch.Tensor, float]]:
            return KNOWN.get(name, [])

    results = run_suite(Suite)
    failed = [f"{r.name}: {r.message}" for r in results if not r.passed]
    assert not failed, "\n".join(failed)
    needs_weights = name in ("fid", "kid", "prc", "isc")
    assert sum(not r.skipped for r in results) >= (4 if needs_weights else 15)
