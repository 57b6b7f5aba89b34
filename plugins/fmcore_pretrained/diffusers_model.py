"""A network of diffusers, from its folder, as a vector field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any, final

from torch import Tensor, nn

from fmcore import (
    ComponentError,
    Condition,
    DataError,
    Pretrained,
    Quantity,
    VectorField,
    append_dims,
    load_into,
)
from fmcore_pretrained.diffusers_library import build
from fmcore_pretrained.labels import class_indices
from fmcore_pretrained.scheduler import Prediction, Trained, read_json, trained_as
from fmcore_pretrained.weights import read_weights

__all__ = ["DiffusersModel"]

CONFIG = "config.json"
WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")
PARTS = (".", "unet", "transformer")

QUANTITIES: dict[Prediction, Quantity] = {
    "epsilon": "noise",
    "sample": "data",
    "v_prediction": "velocity",
    "flow": "velocity",
}
"""What becomes of each prediction; both velocities need a factor first."""

OLD_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""Layers of attention in files older than diffusers 0.15, and what they are called since."""


@final
class DiffusersModel(VectorField):
    """A `UNet2DModel` or `DiTTransformer2DModel` in `folder`: config.json beside
    diffusion_pytorch_model.safetensors (or .bin, read without running anything), or a pipeline with
    these in `unet` or `transformer`.

    What it predicts and along which path is read from scheduler_config.json, in the folder, in
    `scheduler` or beside it, or from the folder or file `scheduler`; `prediction` overrides what it
    says.  Noise (`epsilon`) goes with objective ddpm, `sample` with data, `v_prediction` and `flow`
    with flow_matching, and the path is `{name: diffusers, folder: ...}`.  `null_class` says that
    the last class of a U-Net means none; a DiT has its own.  A learned variance is left out.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        folder: str,
        scheduler: str | None = None,
        prediction: Prediction | None = None,
        null_class: bool = False,
    ) -> None:
        super().__init__()
        root = FilePath(folder).expanduser()
        home = _home(root)
        config = read_json(home / CONFIG)
        trained = trained_as(home if scheduler is None else FilePath(scheduler).expanduser())
        self.trained = Trained(prediction or trained.prediction, trained.path, trained.steps)
        self.network = build(config, home / CONFIG)
        self.channels = _checked(shape, config, home / CONFIG)
        self.classes, self.null = _classes(config, null_class)
        source = _fill(self.network, home)
        self.pretrained = Pretrained(source, QUANTITIES[self.trained.prediction], trained.path)

    def forward(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        known = self.classes or self.null is not None
        labels = class_indices(condition, x, self.null) if known else None
        raw: Tensor = self.network(x, self.clock(t), class_labels=labels, return_dict=False)[0]
        raw = raw[:, : self.channels]  # a learned variance comes after the mean
        if self.trained.prediction == "flow":
            return -raw  # theirs runs from data to noise
        if self.trained.prediction == "v_prediction":
            c = self.trained.path.coefficients(t)
            # alpha noise - sigma data is minus the velocity of a circle passed at unit speed
            speed = c.sigma * c.d_alpha - c.alpha * c.d_sigma
            return -append_dims(speed, raw).to(x.dtype) * raw
        return raw

    def clock(self, t: Tensor) -> Tensor:
        """The time that the network was trained to be told at `t`: not below step 0, where its
        training ends."""
        if self.trained.prediction == "flow":
            return self.trained.steps * (1 - t)
        return (self.trained.steps * (1 - t) - 1).clamp_min(0)


def _home(root: FilePath) -> FilePath:
    """The folder with the network's configuration.  Raises DataError if there is none."""
    if not root.is_dir():
        raise DataError(f"no folder {root}: say where the network lies: model.folder=PATH")
    for part in PARTS:
        if (root / part / CONFIG).is_file():
            return root / part
    raise DataError(
        f"{root}: no {CONFIG} there, nor in unet/ or transformer/: a network of diffusers is a "
        f"folder with {CONFIG} and {WEIGHTS[0]}"
    )


def _checked(shape: tuple[int, ...], config: Mapping[str, Any], file: FilePath) -> int:
    """The channels of data of `shape`.  Raises ComponentError if the network takes another."""
    takes = config.get("in_channels", 4 if "num_layers" in config else 3)
    gives = config.get("out_channels") or takes
    if len(shape) != 3 or shape[0] != takes:
        raise ComponentError(
            f"{file}: takes images of {takes} channels; the data have shape {tuple(shape)}"
        )
    if gives not in (takes, 2 * takes):
        raise DataError(
            f"{file}: out_channels = {gives} is neither in_channels = {takes} nor twice"
        )
    size = config.get("sample_size")
    sizes = size if isinstance(size, list | tuple) else (size, size)
    if "num_layers" in config and tuple(sizes) != tuple(shape[1:]):
        raise ComponentError(
            f"{file}: takes {sizes[0]}x{sizes[1]}; the data have shape {tuple(shape)}"
        )
    halvings = len(config.get("block_out_channels", ())) - 1
    if halvings > 0 and any(n % 2**halvings for n in shape[1:]):
        raise ComponentError(
            f"{file}: takes heights and widths that are multiples of {2**halvings}; the data have "
            f"shape {tuple(shape)}"
        )
    return int(takes)


def _classes(config: Mapping[str, Any], null_class: bool) -> tuple[int, int | None]:
    """How many classes there are, and the index that stands for none."""
    if "num_layers" in config:  # DiT keeps a row more than its classes
        count = int(config.get("num_embeds_ada_norm", 1000))
        return count, count
    count = int(config.get("num_class_embeds") or 0)
    if null_class and count == 0:
        raise ComponentError("model.null_class=true: the network knows no classes")
    return (count - 1, count - 1) if null_class else (count, None)


def _fill(network: nn.Module, home: FilePath) -> str:
    """Load the weights, and tell which; on the meta device there is nothing to load into."""
    file = next((home / name for name in WEIGHTS if (home / name).is_file()), None)
    if file is None:
        index = home / f"{WEIGHTS[0]}.index.json"
        cut = ": it is cut in shards, save it in one (max_shard_size)" if index.exists() else ""
        raise DataError(f"{home}: no {WEIGHTS[0]} there{cut}")
    if any(parameter.is_meta for parameter in network.parameters()):
        return file.name
    weights = read_weights(file)
    load_into(network, {_renamed(k): v for k, v in weights.found.items()}, str(file))
    return weights.source


def _renamed(name: str) -> str:
    old = re.compile(rf"(attentions\.\d+)\.({'|'.join(OLD_NAMES)})\.(weight|bias)$")
    return old.sub(lambda found: f"{found[1]}.{OLD_NAMES[found[2]]}.{found[3]}", name)
