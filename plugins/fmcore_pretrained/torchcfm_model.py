"""A U-Net of torchcfm, from its state dict, as a velocity field."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Annotated, Any, final

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn

from fmcore import (
    ComponentError,
    Condition,
    DataError,
    Pretrained,
    VectorField,
    load_into,
)
from fmcore_pretrained.class_indices import class_indices
from fmcore_pretrained.sinusoids import sinusoids
from fmcore_pretrained.weights import read_weights

__all__ = ["TorchCFM"]

PARTS = ("ema_model", "net_model", "state_dict", "model")
"""Names of state dicts in the checkpoints of torchcfm's examples and others, in order of
preference."""

PREFIXES = ("module.", "_orig_mod.")
"""Prefixes that DataParallel and torch.compile add to every name."""


@final
class TorchCFM(VectorField):
    """torchcfm's `UNetModelWrapper` with the state dict in `file` (`.safetensors`, or a file of
    torch.save, read without executing code).

    A state dict does not describe its network: the other options are the wrapper's arguments, under
    its names, and must be those of the training.  `part` selects a state dict from a checkpoint
    with several, by default `ema_model` before `net_model`.  The network predicts the velocity from
    noise to data: objective flow_matching, path linear (or the one it was trained on).
    `null_class` declares that the last of `num_classes` is the null class.

    Raises DataError for a file that is missing or corrupt, CheckpointError for weights of another
    network, and ComponentError for options or a shape that the network does not take.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        file: FilePath,
        num_channels: Annotated[int, Gt(0)] = 128,
        num_res_blocks: Annotated[int, Gt(0)] = 2,
        channel_mult: tuple[int, ...] | None = None,
        attention_resolutions: tuple[int, ...] = (16,),
        num_heads: Annotated[int, Gt(0)] = 4,
        num_head_channels: int = 64,
        num_classes: Annotated[int, Ge(0)] = 0,
        null_class: bool = False,
        use_scale_shift_norm: bool = False,
        resblock_updown: bool = False,
        use_new_attention_order: bool = False,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.1,
        part: str | None = None,
    ) -> None:
        super().__init__()
        from torchcfm.models.unet.unet import UNetModelWrapper

        if null_class and num_classes == 0:
            raise ComponentError("model.null_class=true needs model.num_classes above 0")
        if len(shape) != 3 or min(shape) < 1:
            raise ComponentError(
                f"model 'torchcfm' needs images (channels, height, width), not shape {tuple(shape)}"
            )
        if num_head_channels < 1 and num_head_channels != -1:
            raise ComponentError(
                f"model.num_head_channels={num_head_channels}: must be above 0, or -1 to use "
                "num_heads"
            )
        if not attention_resolutions or min(attention_resolutions) < 1:
            raise ComponentError(
                "model.attention_resolutions needs one or more image heights above 0; a height "
                "above the image's adds no attention"
            )
        if channel_mult is not None and (not channel_mult or min(channel_mult) < 1):
            raise ComponentError("model.channel_mult needs one or more positive integers")
        try:
            self.network = UNetModelWrapper(
                dim=shape,
                num_channels=num_channels,
                num_res_blocks=num_res_blocks,
                channel_mult=channel_mult,
                attention_resolutions=",".join(map(str, attention_resolutions)),
                num_heads=num_heads,
                num_head_channels=num_head_channels,
                class_cond=num_classes > 0,
                num_classes=num_classes,
                use_scale_shift_norm=use_scale_shift_norm,
                resblock_updown=resblock_updown,
                use_new_attention_order=use_new_attention_order,
                dropout=dropout,
            )
        except (AssertionError, ValueError, ZeroDivisionError) as error:
            raise ComponentError(f"torchcfm cannot build its UNetModelWrapper: {error}") from error
        factor = 2 ** (len(self.network.channel_mult) - 1)
        if any(size % factor for size in shape[1:]):
            raise ComponentError(
                f"model 'torchcfm' with {len(self.network.channel_mult)} levels takes heights and "
                f"widths that are multiples of {factor}; the data have shape {tuple(shape)}: give "
                "channel_mult fewer levels"
            )
        _replace_group_norms(self.network)
        self.classes = num_classes - null_class
        self.null = num_classes - 1 if null_class else None
        source = _load_weights(self.network, FilePath(file).expanduser(), part)
        self.pretrained = Pretrained(source, "velocity")

    def forward(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        # UNetModel.forward casts time and x to the dtype that it was built for; this keeps theirs
        net = self.network
        waves = sinusoids(t, net.model_channels).to(net.time_embed[0].weight.dtype)
        embedding = net.time_embed(waves)
        if net.num_classes is not None:
            embedding = embedding + net.label_emb(class_indices(condition, x, self.null))
        h, skips = x, []
        for block in net.input_blocks:
            h = block(h, embedding)
            skips.append(h)
        h = net.middle_block(h, embedding)
        for block in net.output_blocks:
            h = block(torch.cat([h, skips.pop()], dim=1), embedding)
        velocity: Tensor = net.out(h)
        return velocity


def _replace_group_norms(network: nn.Module) -> None:
    """Replace norms that round to float32 by norms that keep float64, equal in float32."""
    child: Any
    for module in list(network.modules()):
        for name, child in module.named_children():
            if type(child).__name__ == "GroupNorm32":
                norm = nn.GroupNorm(child.num_groups, child.num_channels, child.eps)
                setattr(module, name, norm)


def _load_weights(network: nn.Module, file: FilePath, part: str | None) -> str:
    """Load the weights and return their name and hash; on the meta device, return the name only."""
    if not file.is_file():
        raise DataError(f"no file {file}: set model.file=PATH to the file of the state dict")
    if any(parameter.is_meta for parameter in network.parameters()):
        return file.name
    weights = read_weights(file)
    name, state = _select(weights.found, part, file)
    load_into(network, _without_prefixes(state), f"{file}{f' ({name})' if name else ''}")
    return f"{weights.source}{f', {name}' if name else ''}"


def _select(
    found: Mapping[str, Any], part: str | None, file: FilePath
) -> tuple[str, Mapping[str, Tensor]]:
    """Return the state dict `part` and its name in the file; "" if the file is one state dict."""
    inside = {k: v for k, v in found.items() if isinstance(v, Mapping) and _is_state(v)}
    if part is None and _is_state(found):
        return "", found
    name = part or next((p for p in PARTS if p in inside), None)
    if name not in inside:
        missing = "" if part is None else f"no state dict '{part}'; "
        raise DataError(
            f"{file}: {missing}it holds {', '.join(map(str, found)) or 'nothing'}: "
            f"choose a state dict with model.part=NAME ({', '.join(inside) or 'there is none'})"
        )
    return name, inside[name]


def _is_state(found: Mapping[str, Any]) -> bool:
    return bool(found) and all(isinstance(value, Tensor) for value in found.values())


def _without_prefixes(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    renamed = dict(state)
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in renamed):
            renamed = {name.removeprefix(prefix): value for name, value in renamed.items()}
    return renamed
