"""A component of every kind for fmcore."""

from __future__ import annotations

from fmcore import Register, hookimpl


@hookimpl
def register_paths(register: Register) -> None:
    """Register `every_path`; its module is imported when it is first used."""
    register(
        "every_path",
        "fmcore_every_kind.path:EveryPath",
        summary="straight, with exponentially growing speed",
    )


@hookimpl
def register_sources(register: Register) -> None:
    """Register `every_source`; its module is imported when it is first used."""
    register(
        "every_source",
        "fmcore_every_kind.source:EverySource",
        summary="Laplace noise",
    )


@hookimpl
def register_couplings(register: Register) -> None:
    """Register `every_coupling`; its module is imported when it is first used."""
    register(
        "every_coupling",
        "fmcore_every_kind.coupling:EveryCoupling",
        summary="pairs in the order of their means",
    )


@hookimpl
def register_objectives(register: Register) -> None:
    """Register `every_objective`; its module is imported when it is first used."""
    register(
        "every_objective",
        "fmcore_every_kind.objective:EveryObjective",
        summary="the velocity, with more weight on one end",
    )


@hookimpl
def register_models(register: Register) -> None:
    """Register `every_model`; its module is imported when it is first used."""
    register(
        "every_model",
        "fmcore_every_kind.model:EveryModel",
        summary="a small residual network",
    )


@hookimpl
def register_solvers(register: Register) -> None:
    """Register `every_solver`; its module is imported when it is first used."""
    register(
        "every_solver",
        "fmcore_every_kind.solver:EverySolver",
        summary="order 3, 3 NFE a step",
    )


@hookimpl
def register_guidance(register: Register) -> None:
    """Register `every_guidance`; its module is imported when it is first used."""
    register(
        "every_guidance",
        "fmcore_every_kind.guidance:EveryGuidance",
        summary="towards the origin",
    )


@hookimpl
def register_operators(register: Register) -> None:
    """Register `every_operator`; its module is imported when it is first used."""
    register(
        "every_operator",
        "fmcore_every_kind.operator:EveryOperator",
        summary="differences between neighbours",
    )


@hookimpl
def register_metrics(register: Register) -> None:
    """Register `every_metric`; its module is imported when it is first used."""
    register(
        "every_metric",
        "fmcore_every_kind.metric:EveryMetric",
        summary="distance between means",
    )


@hookimpl
def register_datasets(register: Register) -> None:
    """Register `every_data`; its module is imported when it is first used."""
    register(
        "every_data",
        "fmcore_every_kind.data:EveryData",
        summary="points on a figure eight",
    )


@hookimpl
def register_times(register: Register) -> None:
    """Register `every_time`; its module is imported when it is first used."""
    register(
        "every_time",
        "fmcore_every_kind.time:EveryTime",
        summary="a triangular density",
    )


@hookimpl
def register_optimizers(register: Register) -> None:
    """Register `every_optimizer`; its module is imported when it is first used."""
    register(
        "every_optimizer",
        "fmcore_every_kind.optimizer:EveryOptimizer",
        summary="RMSprop with a smaller rate for biases",
    )


@hookimpl
def register_lr_schedules(register: Register) -> None:
    """Register `every_lr_schedule`; its module is imported when it is first used."""
    register(
        "every_lr_schedule",
        "fmcore_every_kind.lr_schedule:EveryLrSchedule",
        summary="the inverse root of the step",
    )


@hookimpl
def register_callbacks(register: Register) -> None:
    """Register `every_callback`; its module is imported when it is first used."""
    register(
        "every_callback",
        "fmcore_every_kind.callback:EveryCallback",
        summary="the size of the weights",
    )


@hookimpl
def register_codecs(register: Register) -> None:
    """Register `every_codec`; its module is imported when it is first used."""
    register(
        "every_codec",
        "fmcore_every_kind.codec:EveryCodec",
        summary="examples divided by a scale",
    )


@hookimpl
def register_extractors(register: Register) -> None:
    """Register `every_extractor`; its module is imported when it is first used."""
    register(
        "every_extractor",
        "fmcore_every_kind.extractor:EveryExtractor",
        summary="colours in each part of an image",
    )


@hookimpl
def register_spaces(register: Register) -> None:
    """Register `every_space`; its module is imported when it is first used."""
    register(
        "every_space",
        "fmcore_every_kind.space:EverySpace",
        summary="phases, numbers on a circle",
    )
