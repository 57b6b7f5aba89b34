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
    from fmcore.testing.flow_map_solver import FlowMapSolverSuite
    from fmcore.testing.metric import MetricSuite
    from fmcore.testing.model import ModelSuite
    from fmcore.testing.objective import ObjectiveSuite
    from fmcore.testing.path import PathSuite
    from fmcore.testing.solver import SolverSuite
    from fmcore.testing.source import SourceSuite
    from fmcore.testing.space import SpaceSuite

SUITES: dict[str, str] = {
    "path": "PathSuite",
    "source": "SourceSuite",
    "coupling": "CouplingSuite",
    "objective": "ObjectiveSuite",
    "model": "ModelSuite",
    "solver": "SolverSuite",
    "metric": "MetricSuite",
    "data": "DatasetSuite",
    "space": "SpaceSuite",
}
"""The suite of each kind; the module of kind K is `fmcore.testing.K`."""

__all__ = [
    "SUITES",
    "CheckResult",
    "CouplingSuite",
    "DatasetSuite",
    "FlowMapSolverSuite",
    "MetricSuite",
    "ModelSuite",
    "ObjectiveSuite",
    "PathSuite",
    "SolverSuite",
    "SourceSuite",
    "SpaceSuite",
    "Suite",
    "run_suite",
    "suite_of",
]


def suite_of(kind: str, component: type | None = None) -> type[Suite]:
    """The suite for components of `kind`; a solver of flow maps (`jumps`) has one of its own."""
    name = "FlowMapSolverSuite" if getattr(component, "jumps", False) else SUITES[kind]
    suite: type[Suite] = __getattr__(name)
    return suite


def __getattr__(name: str) -> Any:
    if name == "FlowMapSolverSuite":
        return importlib.import_module("fmcore.testing.flow_map_solver").FlowMapSolverSuite
    for kind, suite in SUITES.items():
        if suite == name:
            return getattr(importlib.import_module(f"fmcore.testing.{kind}"), name)
    raise AttributeError(f"module 'fmcore.testing' has no attribute '{name}'")
