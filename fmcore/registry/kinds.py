"""The kinds of component that a plugin can register.  Imports nothing heavy.

The name of a kind is that in `create(kind, name)` and of the recipe's section.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["AUTO", "KINDS", "Kind"]

AUTO = "auto"
"""The value of a derived option that asks the framework to fill it in."""


@dataclass(frozen=True)
class Kind:
    """One kind of component: its name, the hook that registers it, and its interface.

    `given` names constructor arguments that the framework fills in where a recipe omits them: a
    model's `shape` is the data's.  `derived` names those that are filled in only where a recipe
    sets them to `auto`.  `light` components are constructed once by a check of the recipe.
    """

    name: str
    hook: str
    interface: str
    given: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()
    light: bool = True


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("path", "register_paths", "fmcore.interfaces.path:Path", given=("space",)),
        Kind("source", "register_sources", "fmcore.interfaces.source:Source", given=("space",)),
        Kind(
            "coupling",
            "register_couplings",
            "fmcore.interfaces.coupling:Coupling",
            given=("space",),
        ),
        Kind("objective", "register_objectives", "fmcore.interfaces.objective:Objective"),
        Kind(
            "model",
            "register_models",
            "fmcore.interfaces.model:VectorField",
            given=("shape", "span", "entries", "space", "output_shape"),
            derived=("classes",),
            light=False,
        ),
        Kind("solver", "register_solvers", "fmcore.interfaces.solver:Solver"),
        Kind("guidance", "register_guidance", "fmcore.interfaces.guidance:Guidance"),
        Kind("operator", "register_operators", "fmcore.interfaces.operator:Operator"),
        Kind("metric", "register_metrics", "fmcore.interfaces.metric:Metric"),
        Kind("data", "register_datasets", "fmcore.interfaces.dataset:Dataset"),
        Kind("time", "register_times", "fmcore.interfaces.time:Time"),
        Kind("optimizer", "register_optimizers", "fmcore.interfaces.optimizer:OptimizerFactory"),
        Kind("lr_schedule", "register_lr_schedules", "fmcore.interfaces.lr_schedule:LearningRate"),
        Kind("callback", "register_callbacks", "fmcore.interfaces.callback:Callback"),
        Kind("codec", "register_codecs", "fmcore.interfaces.codec:Codec"),
        Kind("extractor", "register_extractors", "fmcore.interfaces.extractor:Extractor"),
        Kind("space", "register_spaces", "fmcore.interfaces.space:Space"),
    )
}
