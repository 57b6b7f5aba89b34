"""The kinds of component that a plugin can register.  Imports nothing heavy.

A kind ties together the word used in `create(kind, name)`, the recipe section of that name, the
hook that registers components, and the interface that they implement.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["KINDS", "Kind"]


@dataclass(frozen=True)
class Kind:
    """One kind of component.

    `given` names constructor arguments that the framework fills in where a recipe leaves them out:
    a model's `shape` is the data's.
    """

    name: str
    hook: str
    interface: str
    given: tuple[str, ...] = ()


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("path", "register_paths", "fmcore.interfaces.path:Path"),
        Kind("source", "register_sources", "fmcore.interfaces.source:Source"),
        Kind("coupling", "register_couplings", "fmcore.interfaces.coupling:Coupling"),
        Kind("objective", "register_objectives", "fmcore.interfaces.objective:Objective"),
        Kind(
            "model",
            "register_models",
            "fmcore.interfaces.model:VectorField",
            given=("shape", "span"),
        ),
        Kind("solver", "register_solvers", "fmcore.interfaces.solver:Solver"),
        Kind("metric", "register_metrics", "fmcore.interfaces.metric:Metric"),
        Kind("data", "register_datasets", "fmcore.interfaces.dataset:Dataset"),
    )
}
