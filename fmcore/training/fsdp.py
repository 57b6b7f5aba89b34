"""Weights cut among processes (FSDP2), and whole again: a checkpoint knows nothing of the cut.

A cut tensor is one of torch's DTensors.  What is computed element by element, such as a moving
average, each process computes on its own part.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["fill", "gathered", "is_cut", "like", "part", "shard", "units", "whole"]


def shard(model: nn.Module, device: torch.device) -> None:
    """Cut `model`'s parameters among all processes, in place.

    Before a unit computes, its parameters are gathered; afterwards each process keeps its part.
    """
    from torch.distributed import get_world_size
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (get_world_size(),))
    for unit in units(model):
        fully_shard(unit, mesh=mesh)
    fully_shard(model, mesh=mesh)


def units(model: nn.Module) -> Iterator[nn.Module]:
    """What is gathered at once: the members of lists of modules, and the other parts."""
    for child in model.children():
        if isinstance(child, nn.ModuleList | nn.Sequential):
            yield from (member for member in child if _has_parameters(member))
        elif _has_parameters(child):
            yield child


def is_cut(tensor: Tensor) -> bool:
    """Whether this process holds only a part of `tensor`."""
    return hasattr(tensor, "full_tensor")


def part(tensor: Tensor) -> Tensor:
    """What this process holds of `tensor`, in the same memory."""
    return tensor.to_local() if is_cut(tensor) else tensor  # type: ignore[attr-defined]


def gathered(tensor: Tensor) -> Tensor:
    """All of `tensor`, where it is; every process has to ask."""
    return tensor.full_tensor() if is_cut(tensor) else tensor  # type: ignore[attr-defined]


def whole(tensor: Tensor, keep: bool = True) -> Tensor:
    """All of `tensor`, on the CPU where it was cut; every process has to ask.

    One that does not `keep` it gets nothing, so that no process but the leading one needs room.
    """
    if not is_cut(tensor):
        return tensor
    full = gathered(tensor)
    return full.cpu() if keep else full.new_empty(0)


@torch.no_grad()
def fill(tensor: Tensor, full: Tensor) -> None:
    """Copy what belongs to this process of `full` into `tensor`."""
    part(tensor).copy_(_own(full, tensor))


def like(full: Tensor, pattern: Any) -> Tensor:
    """`full`, cut as `pattern` of the same shape is; uncut where that is, or the shapes differ."""
    if not is_cut(pattern) or full.shape != pattern.shape:
        return full
    from torch.distributed.tensor import DTensor

    own = _own(full, pattern).to(pattern.device).contiguous()
    made: Tensor = DTensor.from_local(
        own, pattern.device_mesh, pattern.placements, shape=full.shape, stride=full.stride()
    )
    return made


def _own(full: Tensor, pattern: Any) -> Tensor:
    """The rows of `full` that this process holds: torch cuts along the first dimension."""
    if not is_cut(pattern):
        return full
    parts = full.chunk(pattern.device_mesh.size(), dim=0)
    rank = pattern.device_mesh.get_local_rank()
    return parts[rank] if rank < len(parts) else full[:0]


def _has_parameters(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None
