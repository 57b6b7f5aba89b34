"""A network of diffusers, from its folder, as a velocity field."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any, final

from torch import Tensor, nn

from fmcore import (
    ComponentError,
    Condition,
    DataError,
    FmcoreWarning,
    Pretrained,
    Quantity,
    VectorField,
    append_dims,
    load_into,
)
from fmcore_pretrained.class_indices import class_indices
from fmcore_pretrained.diffusers_library import build
from fmcore_pretrained.scheduler import Prediction, read_json, read_scheduler
from fmcore_pretrained.weights import read_weights

__all__ = ["CONFIG", "DiffusersModel", "load_weights"]

CONFIG = "config.json"
WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")
PARTS = (".", "unet", "transformer")

QUANTITIES: dict[Prediction, Quantity] = {
    "epsilon": "noise",
    "sample": "data",
    "v_prediction": "velocity",
    "flow": "velocity",
}
"""fmcore's quantity for each prediction; `forward` scales both velocities."""

OLD_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""Attention layers in files of diffusers before 0.15, with their present names."""


@final
class DiffusersModel(VectorField):
    """A `UNet2DModel` or `DiTTransformer2DModel` in `folder`, which holds config.json and
    diffusion_pytorch_model.safetensors (or .bin, read without executing code), or is a pipeline
    with these in `unet` or `transformer`.

    The prediction and the path are read from scheduler_config.json, in the folder, in its subfolder
    `scheduler` or next to it, or from the folder or file `scheduler`; `prediction` overrides the
    file's.  `epsilon` needs objective ddpm, `sample` data, `v_prediction` and `flow` flow_matching,
    and the path is `{name: diffusers, folder: ...}`.  The solver of the recipe replaces diffusers'
    sampler; an option that no solver applies, such as clip_sample, is refused unless `ignore` lists
    it.  `null_class` declares that the last class of a U-Net is the null class; a DiT has one of
    its own.  A learned variance is left out.

    Raises DataError for files that are missing, corrupt or not supported, and ComponentError for
    data of a shape that the network does not take.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        folder: FilePath,
        scheduler: FilePath | None = None,
        prediction: Prediction | None = None,
        null_class: bool = False,
        ignore: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        home = _network_folder(FilePath(folder).expanduser())
        config = read_json(home / CONFIG)
        place = home if scheduler is None else FilePath(scheduler).expanduser()
        self.trained = read_scheduler(place, prediction)
        self.trained.check_options(tuple(ignore))
        self.network = build(config, home / CONFIG)
        self.channels = _channels(shape, config, home / CONFIG)
        self.classes, self.null = _classes(config, null_class)
        weights = load_weights(self.network, home)
        self.pretrained = Pretrained(
            weights, QUANTITIES[self.trained.prediction], self.trained.path
        )
        if (options := self.trained.step_options()) and not _is_meta(self.network):
            warnings.warn(
                f"{self.trained.file}: {options} places the steps of diffusers' sampler; the "
                "recipe's solver places its own (docs/pretrained.md shows how to use the same)",
                FmcoreWarning,
                stacklevel=2,
            )

    def forward(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        has_labels = self.classes or self.null is not None
        labels = class_indices(condition, x, self.null) if has_labels else None
        time = self.trained.time_input(t)
        raw: Tensor = self.network(x, time, class_labels=labels, return_dict=False)[0]
        raw = raw[:, : self.channels]  # a learned variance follows the mean
        if self.trained.prediction == "flow":
            return raw if self.trained.clock == "rising" else -raw  # from noise to data
        if self.trained.prediction == "v_prediction":
            c = self.trained.path.coefficients(t)
            # alpha noise - sigma data is minus the velocity along a circle at unit angular speed
            speed = c.sigma * c.d_alpha - c.alpha * c.d_sigma
            return -append_dims(speed, raw).to(x.dtype) * raw
        return raw


def _network_folder(root: FilePath) -> FilePath:
    """Return the folder with the network's configuration.  Raises DataError if there is none."""
    if not root.is_dir():
        raise DataError(f"no folder {root}: set model.folder=PATH to the folder of the network")
    for part in PARTS:
        if (root / part / CONFIG).is_file():
            return root / part
    raise DataError(
        f"{root}: no {CONFIG} in it, nor in unet/ or transformer/: a network of diffusers is a "
        f"folder with {CONFIG} and {WEIGHTS[0]}"
    )


def _channels(shape: tuple[int, ...], config: Mapping[str, Any], file: FilePath) -> int:
    """Return the number of channels of the data.  Raises ComponentError for data of a shape that
    the network does not take.
    """
    is_dit = "num_layers" in config
    takes = config.get("in_channels", 4 if is_dit else 3)
    gives = config.get("out_channels") or takes
    if len(shape) != 3 or shape[0] != takes:
        raise ComponentError(
            f"{file}: takes images of {takes} channels; the data have shape {tuple(shape)}"
        )
    if gives not in (takes, 2 * takes):
        raise DataError(
            f"{file}: out_channels = {gives} is neither in_channels = {takes} nor twice that"
        )
    size = config.get("sample_size")
    sizes = size if isinstance(size, list | tuple) else (size, size)
    if is_dit and tuple(sizes) != tuple(shape[1:]):
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
    """Return the number of classes, and the index of the null class if there is one."""
    if "num_layers" in config:  # DiT has one row more than classes
        count = int(config.get("num_embeds_ada_norm", 1000))
        return count, count
    count = int(config.get("num_class_embeds") or 0)
    if null_class and count == 0:
        raise ComponentError("model.null_class=true: the network has no classes")
    return (count - 1, count - 1) if null_class else (count, None)


def load_weights(network: nn.Module, home: FilePath) -> str:
    """Load the weights and return their name and hash; on the meta device, return the name only."""
    file = next((home / name for name in WEIGHTS if (home / name).is_file()), None)
    if file is None:
        index = home / f"{WEIGHTS[0]}.index.json"
        hint = ": the weights are sharded, save them in one file (max_shard_size)"
        raise DataError(f"{home}: no {WEIGHTS[0]} in it{hint if index.exists() else ''}")
    if _is_meta(network):
        return file.name
    weights = read_weights(file)
    load_into(network, {_present_name(k): v for k, v in weights.found.items()}, str(file))
    return weights.source


def _is_meta(network: nn.Module) -> bool:
    return any(parameter.is_meta for parameter in network.parameters())


def _present_name(name: str) -> str:
    old = re.compile(rf"(attentions\.\d+)\.({'|'.join(OLD_NAMES)})\.(weight|bias)$")
    return old.sub(lambda found: f"{found[1]}.{OLD_NAMES[found[2]]}.{found[3]}", name)
