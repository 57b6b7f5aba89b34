"""A U-Net of torchcfm, from its state dict, as a vector field."""

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
from fmcore_pretrained.labels import class_indices
from fmcore_pretrained.sinusoids import sinusoids
from fmcore_pretrained.weights import read_weights

__all__ = ["TorchCFM"]

PARTS = ("ema_model", "net_model", "state_dict", "model")
"""What a checkpoint of torchcfm's examples, and of others, calls its networks, the best first."""

PREFIXES = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before every name."""


@final
class TorchCFM(VectorField):
    """torchcfm's `UNetModelWrapper` with the state dict in `file` (`.safetensors`, or what
    torch.save wrote, read without running anything).

    A state dict does not say of which network it is: the other options are the wrapper's arguments,
    by its names; they have to be those it was trained with.  `part` chooses from a checkpoint that
    holds several state dicts, `ema_model` before `net_model` by default.  It gives the velocity
    from noise to data: objective flow_matching, path linear (or the one it was trained along).
    `null_class` says that the last of `num_classes` means none.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        file: str,
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
            raise ComponentError("model.null_class=true: model.num_classes=0 leaves no class")
        if len(shape) != 3:
            raise ComponentError(f"takes images; the data have shape {tuple(shape)}")
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
            raise ComponentError(f"UNetModelWrapper cannot be made: {error}") from error
        _sharpen(self.network)
        self.classes = num_classes - null_class
        self.null = num_classes - 1 if null_class else None
        source = _fill(self.network, FilePath(file).expanduser(), part)
        self.pretrained = Pretrained(source, "velocity")

    def forward(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        # As the network's own forward, but for the precision of time and of x.
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


def _sharpen(network: nn.Module) -> None:
    """Plain group norms for those that round to float32: the same there, and right in float64."""
    child: Any
    for module in list(network.modules()):
        for name, child in module.named_children():
            if type(child).__name__ == "GroupNorm32":
                own = nn.GroupNorm(child.num_groups, child.num_channels, child.eps)
                setattr(module, name, own)


def _fill(network: nn.Module, file: FilePath, part: str | None) -> str:
    """Load the weights, and tell which; on the meta device there is nothing to load into."""
    if not file.is_file():
        raise DataError(f"no file {file}: say where the state dict lies: model.file=PATH")
    if any(parameter.is_meta for parameter in network.parameters()):
        return file.name
    weights = read_weights(file)
    name, state = _chosen(weights.found, part, file)
    load_into(network, _bare(state), f"{file}{f' ({name})' if name else ''}")
    return f"{weights.source}{f', {name}' if name else ''}"


def _chosen(
    found: Mapping[str, Any], part: str | None, file: FilePath
) -> tuple[str, Mapping[str, Tensor]]:
    """The state dict asked for, and what the file calls it; "" for a file that is one."""
    inside = {k: v for k, v in found.items() if isinstance(v, Mapping) and _is_state(v)}
    if part is None and _is_state(found):
        return "", found
    name = part or next((p for p in PARTS if p in inside), None)
    if name not in inside:
        asked = "" if part is None else f"no state dict '{part}'; "
        raise DataError(
            f"{file}: {asked}it holds {', '.join(map(str, found)) or 'nothing'}: "
            f"choose a state dict with model.part=NAME ({', '.join(inside) or 'there is none'})"
        )
    return name, inside[name]


def _is_state(found: Mapping[str, Any]) -> bool:
    return bool(found) and all(isinstance(value, Tensor) for value in found.values())


def _bare(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    bare = dict(state)
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in bare):
            bare = {name.removeprefix(prefix): value for name, value in bare.items()}
    return bare
