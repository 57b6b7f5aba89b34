"""Conformance suites for plugin authors: one class per kind of component, one method per law.

    class TestMyPath(fmcore.testing.PathSuite):
        def component(self):
            return MyPath()

pytest collects the subclass; `fmcore plugins check NAME` runs the same checks without pytest.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fmcore.testing.suite import CheckResult, Suite, run_suite

if TYPE_CHECKING:
    from fmcore.testing.coupling import CouplingSuite
    from fmcore.testing.data import DatasetSuite
    from fmcore.testing.metric import MetricSuite
    from fmcore.testing.model import ModelSuite
    from fmcore.testing.objective import ObjectiveSuite
    from fmcore.testing.path import PathSuite
    from fmcore.testing.solver import SolverSuite
    from fmcore.testing.source import SourceSuite

SUITES: dict[str, str] = {
    "path": "PathSuite",
    "source": "SourceSuite",
    "coupling": "CouplingSuite",
    "objective": "ObjectiveSuite",
    "model": "ModelSuite",
    "solver": "SolverSuite",
    "metric": "MetricSuite",
    "data": "DatasetSuite",
}
"""The suite of each kind; the module of kind K is `fmcore.testing.K`."""

__all__ = [
    "SUITES",
    "CheckResult",
    "CouplingSuite",
    "DatasetSuite",
    "MetricSuite",
    "ModelSuite",
    "ObjectiveSuite",
    "PathSuite",
    "SolverSuite",
    "SourceSuite",
    "Suite",
    "run_suite",
    "suite_of",
]


def suite_of(kind: str) -> type[Suite]:
    """Return the suite for components of `kind`."""
    suite: type[Suite] = __getattr__(SUITES[kind])
    return suite


def __getattr__(name: str) -> Any:
    for kind, suite in SUITES.items():
        if suite == name:
            return getattr(importlib.import_module(f"fmcore.testing.{kind}"), name)
    raise AttributeError(f"module 'fmcore.testing' has no attribute '{name}'")
