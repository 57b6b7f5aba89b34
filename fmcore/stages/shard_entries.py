"""What the tensors of a shard are: samples, what a solver reports, and conditions."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from fmcore.interfaces.codec import Codec, Decoded

__all__ = ["CONDITION", "conditions_in", "decoded_from"]

CONDITION = "condition/"
"""Prefix of the conditions in a shard, except `label` and `mask`."""

NOT_CONDITIONS = ("x", "nfe", "forwards", "status", "example")
"""The tensors of a shard that are not conditions of its samples."""


def conditions_in(shard: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the conditions of a shard's samples, by name."""
    return {k.removeprefix(CONDITION): v for k, v in shard.items() if k not in NOT_CONDITIONS}


def decoded_from(codec: Codec | None, shard: Mapping[str, Tensor]) -> Decoded | None:
    """Return what a codec that only decodes makes of a shard's samples; None without one."""
    if codec is None or codec.encodes:
        return None
    with torch.no_grad():
        return codec.decode(shard["x"], conditions_in(shard)).cpu()
