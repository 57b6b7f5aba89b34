"""How a network of diffusers was trained, read from its scheduler_config.json.

A scheduler's configuration holds two things: how the network was trained (its schedule, what it
predicts, the time it is given), which is read here, and how diffusers samples it, which the
recipe's solver replaces.  Every option of the known schedulers is in one of the tables below, so
that none is left out silently.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, Literal, cast, final, get_args

from torch import Tensor

from fmcore import AffinePath, ComponentError, DataError, create
from fmcore_pretrained.betas import BetaSchedule
from fmcore_pretrained.discrete_vp import DiscreteVP

__all__ = ["Prediction", "Trained", "read_json", "read_scheduler"]

FILE = "scheduler_config.json"

Prediction = Literal["epsilon", "sample", "v_prediction", "flow"]
"""What a network predicts: the noise, the data, alpha noise - sigma data, or noise - data."""

Clock = Literal["steps", "falling", "rising"]
"""The time that a network is given at t, for T training steps: `steps` T (1 - t) - 1, not below 0;
`falling` T (1 - t); `rising` T t."""

DISCRETE = frozenset(
    f"{name}Scheduler"
    for name in (
        "DDPM",
        "DDPMParallel",
        "DDIM",
        "DDIMParallel",
        "PNDM",
        "LMSDiscrete",
        "EulerDiscrete",
        "EulerAncestralDiscrete",
        "HeunDiscrete",
        "DPMSolverMultistep",
        "DPMSolverSinglestep",
        "DEISMultistep",
        "UniPCMultistep",
    )
)
"""Schedulers that sample one discrete schedule of betas, each by its own method."""

FLOW = frozenset({"FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler"})
"""Schedulers of straight paths: xt = (1 - s) x1 + s x0 with s = 1 - t, for any shift."""

STEPS = "num_train_timesteps"
BETAS = ("beta_schedule", "beta_start", "beta_end", STEPS)

READ = frozenset(
    {
        *BETAS,
        "trained_betas",
        "rescale_betas_zero_snr",
        "prediction_type",
        "predict_epsilon",  # of diffusers before 0.10: false is prediction_type sample
        "use_flow_sigmas",
        "invert_sigmas",
        "timestep_type",
    }
)
"""Options that describe how the network was trained."""

STEP_PLACEMENT = frozenset(
    {
        "timestep_spacing",
        "steps_offset",
        "set_alpha_to_one",
        "final_sigmas_type",
        "lambda_min_clipped",
        "interpolation_type",
        "sigma_min",
        "sigma_max",
        "use_karras_sigmas",
        "use_exponential_sigmas",
        "use_beta_sigmas",
        "use_lu_lambdas",
        "shift",
        "flow_shift",
        "shift_terminal",
        "use_dynamic_shifting",
        "base_shift",
        "max_shift",
        "base_image_seq_len",
        "max_image_seq_len",
        "time_shift_type",
        "timestep_values",  # of diffusers before 0.3
    }
)
"""Options that place the steps of diffusers' sampler, as `grid` does for a solver of fmcore;
docs/pretrained.md shows how to take diffusers' steps as a grid."""

METHOD = frozenset(
    {
        "algorithm_type",
        "solver_order",
        "solver_type",
        "solver_p",
        "predict_x0",
        "disable_corrector",
        "lower_order_final",
        "euler_at_final",
        "skip_prk_steps",
        "variance_type",
        "tensor_format",  # of diffusers before 0.3
        # bounds of what clip_sample and thresholding do, without effect on their own
        "clip_sample_range",
        "sample_max_value",
        "dynamic_thresholding_ratio",
    }
)
"""Options of diffusers' sampling method, which the recipe's solver replaces."""

NOT_APPLIED = {
    "clip_sample": "clips every prediction of the data",
    "thresholding": "clips every prediction of the data to a quantile of its values",
    "stochastic_sampling": "draws fresh noise in every step",
}
"""Options that change the result of a step and that no solver of fmcore applies."""


@final
@dataclass(frozen=True)
class Trained:
    """How a network was trained: what it predicts, along which path, with which time as input.

    `steps` is the number T of training steps; `file` and `config` are the configuration.
    """

    prediction: Prediction
    path: AffinePath
    steps: int
    clock: Clock
    file: FilePath
    config: Mapping[str, Any]

    def time_input(self, t: Tensor) -> Tensor:
        """Return the time that the network is given at `t` in [0, 1], in t's shape and dtype."""
        if self.clock == "rising":
            return self.steps * t
        if self.clock == "falling":
            return self.steps * (1 - t)
        return (self.steps * (1 - t) - 1).clamp_min(0)  # training ends at step 0

    def check_options(self, ignored: tuple[str, ...]) -> None:
        """Raise DataError for an option of the configuration that is neither read, nor replaced by
        the recipe's solver, nor in `ignored`; ComponentError for an entry of `ignored` that the
        configuration does not hold.
        """
        for name in ignored:
            if name not in self.config:
                raise ComponentError(f"model.ignore: {self.file} has no option '{name}'")
        known = READ | STEP_PLACEMENT | METHOD | set(ignored)
        for name, value in self.config.items():
            if name in known or name.startswith("_") or value is None or value is False:
                continue
            effect = NOT_APPLIED.get(name)
            reason = f"{effect}, which fmcore does not do" if effect else "is not known to fmcore"
            raise DataError(
                f"{self.file}: {name} = {_json(value)} {reason}: set "
                f"model.ignore=[{', '.join([*ignored, name])}] to sample without it"
            )

    def step_options(self) -> str:
        """Return the options that move diffusers' steps away from its defaults, as text."""
        flags = [name for name in sorted(STEP_PLACEMENT) if self.config.get(name) is True]
        moves = [name for name in flags if name != "set_alpha_to_one"]
        moves += [n for n in ("shift", "flow_shift") if self.config.get(n, 1) not in (1, None)]
        moves += [n for n in ("shift_terminal",) if self.config.get(n) is not None]
        return ", ".join(f"{name} = {_json(self.config[name])}" for name in moves)


def read_scheduler(place: FilePath, prediction: Prediction | None = None) -> Trained:
    """Return how the network was trained whose scheduler_config.json is `place`, or is in the
    folder `place`, in its subfolder `scheduler`, or next to it.

    `prediction` overrides the prediction of the file.  Raises DataError for a file that is missing
    or corrupt, and for a scheduler whose path is not known; ComponentError for a `prediction` that
    does not fit the scheduler.
    """
    file = _found(place)
    config = read_json(file)
    clock = _clock(file, config)
    found = _prediction(file, config, clock) if prediction is None else prediction
    if (found == "flow") if clock == "steps" else (found == "v_prediction"):
        raise ComponentError(
            f"model.prediction='{found}': {file} describes "
            + (
                "betas; only flow matching predicts the flow"
                if clock == "steps"
                else "flow matching"
            )
        )
    path = _betas(file, config) if clock == "steps" else cast(AffinePath, create("path", "linear"))
    return Trained(found, path, _step_count(file, config), clock, file, config)


def read_json(file: FilePath) -> dict[str, Any]:
    """Return the JSON object in `file`.  Raises DataError if there is none."""
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{file}: corrupt, or not JSON ({error}): download it again") from error
    if not isinstance(config, dict):
        raise DataError(f"{file}: must hold a JSON object")
    return config


def _found(place: FilePath) -> FilePath:
    if place.is_file():
        return place
    if not place.exists():
        raise DataError(
            f"no file or folder {place}: set model.folder=PATH and path.folder=PATH to the folder "
            "of a diffusers network"
        )
    folders = (place, place / "scheduler", place.parent / "scheduler", place.parent)
    for folder in folders:
        if (folder / FILE).is_file():
            return folder / FILE
    raise DataError(
        f"{place}: no {FILE} in it, in its subfolder scheduler or next to it: download it with the "
        "network, since it defines the noise schedule of training"
    )


def _clock(file: FilePath, config: Mapping[str, Any]) -> Clock:
    """Return the clock of the scheduler's class.  Raises DataError for an unknown class."""
    name = config.get("_class_name")
    if name not in DISCRETE | FLOW:
        known = ", ".join(sorted(DISCRETE | FLOW))
        raise DataError(f"{file}: _class_name is {name!r}; schedulers that can be read: {known}")
    if config.get("timestep_type", "discrete") != "discrete":
        raise DataError(
            f"{file}: timestep_type is {_json(config['timestep_type'])}: such a network is given "
            "the logarithm of the noise level as its time, which fmcore does not do"
        )
    if name in DISCRETE:
        return "falling" if config.get("use_flow_sigmas") else "steps"
    return "rising" if config.get("invert_sigmas") else "falling"


def _prediction(file: FilePath, config: Mapping[str, Any], clock: Clock) -> Prediction:
    default = "flow_prediction" if config.get("_class_name") in FLOW else "epsilon"
    if config.get("predict_epsilon") is False:
        default = "sample"
    value = config.get("prediction_type", default)  # older files have no such option
    known: dict[Any, Prediction] = {"epsilon": "epsilon", "sample": "sample"}
    if clock == "steps":
        known["v_prediction"] = "v_prediction"
    elif default == "flow_prediction":
        known = {"flow_prediction": "flow"}
    else:
        known["flow_prediction"] = "flow"
    if not isinstance(value, str) or value not in known:
        raise DataError(
            f"{file}: prediction_type is {_json(value)}; a {config['_class_name']} with "
            f"use_flow_sigmas = {_json(bool(config.get('use_flow_sigmas')))} allows "
            f"{', '.join(known)}"
        )
    return known[value]


def _step_count(file: FilePath, config: Mapping[str, Any]) -> int:
    steps = config.get(STEPS, 1000)
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
        raise DataError(f"{file}: {STEPS} must be a positive integer, got {_json(steps)}")
    return steps


def _betas(file: FilePath, config: Mapping[str, Any]) -> DiscreteVP:
    missing = [key for key in BETAS if key not in config]
    if missing:
        raise DataError(f"{file}: {', '.join(missing)} missing")
    if config["beta_schedule"] not in get_args(BetaSchedule):
        raise DataError(
            f"{file}: beta_schedule is {_json(config['beta_schedule'])}; schedules that are known: "
            f"{', '.join(get_args(BetaSchedule))}"
        )
    trained = config.get("trained_betas")
    if not isinstance(trained, list | None):
        raise DataError(f"{file}: trained_betas must be a list of numbers, got {_json(trained)}")
    for key, value in (
        ("beta_start", config["beta_start"]),
        ("beta_end", config["beta_end"]),
        *(("trained_betas", beta) for beta in trained or ()),
    ):
        if not isinstance(value, int | float):
            raise DataError(f"{file}: {key} must hold numbers, got {_json(value)}")
    try:
        return DiscreteVP(
            beta_schedule=config["beta_schedule"],
            beta_start=config["beta_start"],
            beta_end=config["beta_end"],
            num_train_timesteps=_step_count(file, config),
            trained_betas=None if trained is None else tuple(trained),
            rescale_betas_zero_snr=bool(config.get("rescale_betas_zero_snr")),
        )
    except ComponentError as error:
        raise DataError(f"{file}: {error}") from error


def _json(value: Any) -> str:
    """Return `value` as the file writes it."""
    return json.dumps(value)
