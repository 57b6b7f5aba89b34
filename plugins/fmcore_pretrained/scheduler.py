"""What a network of diffusers was trained to do: from the configuration of its scheduler."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, Literal, cast, final, get_args

from fmcore import AffinePath, ComponentError, DataError, create
from fmcore_pretrained.betas import BetaSchedule
from fmcore_pretrained.discrete_vp import DiscreteVP

__all__ = ["Prediction", "Trained", "read_json", "trained_as"]

FILE = "scheduler_config.json"

Prediction = Literal["epsilon", "sample", "v_prediction", "flow"]
"""What a network gives: the noise, the data, alpha noise - sigma data, or noise - data."""

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
"""Schedulers that are samplers of one and the same schedule of betas."""

FLOW = frozenset({"FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler"})
"""Schedulers of straight paths: xt = (1 - s) x1 + s x0 with s = 1 - t, whatever their shift."""

BETAS = ("beta_schedule", "beta_start", "beta_end", "num_train_timesteps")


@final
@dataclass(frozen=True)
class Trained:
    """How a network was trained: what it gives, along which path, and how many steps its clock
    counts."""

    prediction: Prediction
    path: AffinePath
    steps: int


def trained_as(place: FilePath) -> Trained:
    """What `place` says: a scheduler_config.json, or a folder that holds one, in it, in its
    `scheduler` or beside it.

    Raises DataError for a file that is missing or damaged, and for a scheduler that is none of
    those whose path is known.
    """
    file = _found(place)
    config = read_json(file)
    name = config.get("_class_name")
    if name in FLOW or _flows(config):
        linear = cast(AffinePath, create("path", "linear"))
        return Trained("flow", linear, int(config.get(BETAS[3], 1000)))
    if name not in DISCRETE:
        known = ", ".join(sorted(DISCRETE | FLOW))
        raise DataError(f"{file}: _class_name is {name!r}; schedulers that are known: {known}")
    return Trained(_prediction(file, config), _betas(file, config), config[BETAS[3]])


def read_json(file: FilePath) -> dict[str, Any]:
    """The object in `file`.  Raises DataError if there is none."""
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{file}: torn, or not JSON ({error}): fetch it again") from error
    if not isinstance(config, dict):
        raise DataError(f"{file}: should hold a JSON object")
    return config


def _found(place: FilePath) -> FilePath:
    if place.is_file():
        return place
    if not place.exists():
        raise DataError(
            f"no file or folder {place}: say where the network of diffusers lies "
            "(model.folder=PATH, and path.folder=PATH)"
        )
    folders = (place, place / "scheduler", place.parent / "scheduler", place.parent)
    for folder in folders:
        if (folder / FILE).is_file():
            return folder / FILE
    raise DataError(
        f"{place}: no {FILE} there, in scheduler/ or beside it: fetch it with the network, for it "
        "says which noise the network was trained with"
    )


def _flows(config: dict[str, Any]) -> bool:
    return config.get("prediction_type") == "flow_prediction" or bool(config.get("use_flow_sigmas"))


def _prediction(file: FilePath, config: dict[str, Any]) -> Prediction:
    told = config.get("prediction_type", "epsilon")  # configurations older than the option
    if told not in get_args(Prediction):
        raise DataError(
            f"{file}: prediction_type is {told!r}, not one of {', '.join(get_args(Prediction))}"
        )
    prediction: Prediction = told
    return prediction


def _betas(file: FilePath, config: dict[str, Any]) -> DiscreteVP:
    lacking = [key for key in BETAS if key not in config]
    if lacking:
        raise DataError(f"{file}: says nothing of {', '.join(lacking)}")
    if config["beta_schedule"] not in get_args(BetaSchedule):
        raise DataError(
            f"{file}: beta_schedule is {config['beta_schedule']!r}; those that are known: "
            f"{', '.join(get_args(BetaSchedule))}"
        )
    options = {key: config[key] for key in BETAS}
    trained = config.get("trained_betas")
    try:
        return DiscreteVP(
            **options,
            trained_betas=None if trained is None else tuple(trained),
            rescale_betas_zero_snr=bool(config.get("rescale_betas_zero_snr")),
        )
    except (ComponentError, TypeError, ValueError) as error:
        raise DataError(f"{file}: {error}") from error
