"""Every metric that is registered passes the conformance suite."""

from __future__ import annotations

from typing import Any

import pytest

from fmcore import create
from fmcore.registry import registry
from fmcore.testing import MetricSuite, run_suite

QUICK: dict[str, dict[str, Any]] = {
    "kid_lite0": {"subsets": 3},
    "frechet_distance": {"extractor": "lite0"},
    "kernel_distance": {"extractor": "lite0", "subsets": 3},
    "precision_recall": {"extractor": "lite0"},
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

    results = run_suite(Suite)
    failed = [f"{r.name}: {r.message}" for r in results if not r.passed]
    assert not failed, "\n".join(failed)
    needs_weights = name in ("fid", "kid", "prc", "isc")
    assert sum(not r.skipped for r in results) >= (4 if needs_weights else 15)
