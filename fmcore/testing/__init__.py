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
    from fmcore.testing.callback import CallbackSuite
    from fmcore.testing.codec import CodecSuite
    from fmcore.testing.coupling import CouplingSuite
    from fmcore.testing.data import DatasetSuite
    from fmcore.testing.extractor import ExtractorSuite
    from fmcore.testing.flow_map_solver import FlowMapSolverSuite
    from fmcore.testing.guidance import GuidanceSuite
    from fmcore.testing.leap_solver import LeapSolverSuite
    from fmcore.testing.lr_schedule import LearningRateSuite
    from fmcore.testing.metric import MetricSuite
    from fmcore.testing.model import ModelSuite
    from fmcore.testing.objective import ObjectiveSuite
    from fmcore.testing.operator import OperatorSuite
    from fmcore.testing.optimizer import OptimizerSuite
    from fmcore.testing.path import PathSuite
    from fmcore.testing.restoration_solver import RestorationSolverSuite
    from fmcore.testing.solver import SolverSuite
    from fmcore.testing.source import SourceSuite
    from fmcore.testing.space import SpaceSuite
    from fmcore.testing.time import TimeSuite
    from fmcore.testing.token_path import TokenPathSuite

SUITES: dict[str, str] = {
    "path": "PathSuite",
    "source": "SourceSuite",
    "coupling": "CouplingSuite",
    "objective": "ObjectiveSuite",
    "model": "ModelSuite",
    "solver": "SolverSuite",
    "guidance": "GuidanceSuite",
    "operator": "OperatorSuite",
    "metric": "MetricSuite",
    "data": "DatasetSuite",
    "space": "SpaceSuite",
    "time": "TimeSuite",
    "optimizer": "OptimizerSuite",
    "lr_schedule": "LearningRateSuite",
    "callback": "CallbackSuite",
    "codec": "CodecSuite",
    "extractor": "ExtractorSuite",
}
"""The suite of each kind; the module of kind K is `fmcore.testing.K`."""

SOLVERS = {
    "jumps": "FlowMapSolverSuite",
    "restores": "RestorationSolverSuite",
    "leaps": "LeapSolverSuite",
}
"""The suites of solvers that follow no velocity, by the attribute that declares them."""

SPECIAL = {
    "FlowMapSolverSuite": "flow_map_solver",
    "LeapSolverSuite": "leap_solver",
    "RestorationSolverSuite": "restoration_solver",
    "TokenPathSuite": "token_path",
}
"""The modules of those suites."""

__all__ = [
    "SUITES",
    "CallbackSuite",
    "CheckResult",
    "CodecSuite",
    "CouplingSuite",
    "DatasetSuite",
    "ExtractorSuite",
    "FlowMapSolverSuite",
    "GuidanceSuite",
    "LeapSolverSuite",
    "LearningRateSuite",
    "MetricSuite",
    "ModelSuite",
    "ObjectiveSuite",
    "OperatorSuite",
    "OptimizerSuite",
    "PathSuite",
    "RestorationSolverSuite",
    "SolverSuite",
    "SourceSuite",
    "SpaceSuite",
    "Suite",
    "TimeSuite",
    "TokenPathSuite",
    "run_suite",
    "suite_of",
]


def suite_of(kind: str, component: type | None = None) -> type[Suite]:
    """The suite for components of `kind`; solvers of flow maps (`jumps`) and solvers that restore
    measurements (`restores`) or move tokens (`leaps`), and paths of tokens (`leaps`), have
    suites of their own.
    """
    if kind == "path" and getattr(component, "leaps", False):
        tokens: type[Suite] = __getattr__("TokenPathSuite")
        return tokens
    special = [suite for flag, suite in SOLVERS.items() if getattr(component, flag, False)]
    suite: type[Suite] = __getattr__(special[0] if special else SUITES[kind])
    return suite


def __getattr__(name: str) -> Any:
    if name in SPECIAL:
        return getattr(importlib.import_module(f"fmcore.testing.{SPECIAL[name]}"), name)
    for kind, suite in SUITES.items():
        if suite == name:
            return getattr(importlib.import_module(f"fmcore.testing.{kind}"), name)
    raise AttributeError(f"module 'fmcore.testing' has no attribute '{name}'")
