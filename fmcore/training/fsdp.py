"""Sharding of weights among processes (FSDP2), and its inverse for checkpoints.

A sharded tensor is a torch DTensor.  Element-wise computations, such as a moving average, run on
the local shard of each process.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

__all__ = [
    "copy_shard_",
    "distribute_like",
    "fsdp_units",
    "full_tensor",
    "gather_full",
    "is_dtensor",
    "local_shard",
    "shard",
]


def shard(model: nn.Module, device: torch.device) -> None:
    """Shard `model`'s parameters among all processes, in place.

    Before a unit computes, its parameters are gathered; afterwards each process keeps its shard.
    """
    from torch.distributed import get_world_size
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (get_world_size(),))
    for unit in fsdp_units(model):
        fully_shard(unit, mesh=mesh)
    fully_shard(model, mesh=mesh)


def fsdp_units(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules that are gathered at once: members of lists, and other direct children."""
    for child in model.children():
        # a whole list at once would gather most of the network: its members one by one
        if isinstance(child, nn.ModuleList | nn.Sequential):
            yield from (member for member in child if _has_parameters(member))
        elif _has_parameters(child):
            yield child


def is_dtensor(tensor: Tensor) -> bool:
    """Return whether this process holds only a shard of `tensor`."""
    # by its method: importing DTensor costs a second, also where nothing is sharded
    return hasattr(tensor, "full_tensor")


def local_shard(tensor: Tensor) -> Tensor:
    """Return this process's shard of `tensor`, in the same memory."""
    return tensor.to_local() if is_dtensor(tensor) else tensor  # type: ignore[attr-defined]


def full_tensor(tensor: Tensor) -> Tensor:
    """Return all of `tensor`, on its device; every process must call it."""
    return tensor.full_tensor() if is_dtensor(tensor) else tensor  # type: ignore[attr-defined]


def gather_full(tensor: Tensor, keep: bool = True) -> Tensor:
    """Return all of `tensor`, on the CPU if it is sharded; every process must call it.

    A process with `keep=False` gets an empty tensor, so that only the main one needs the memory.
    """
    if not is_dtensor(tensor):
        return tensor
    full = full_tensor(tensor)
    # every process gathers, since it is a collective; only one keeps the result
    return full.cpu() if keep else full.new_empty(0)


@torch.no_grad()
def copy_shard_(tensor: Tensor, full: Tensor) -> None:
    """Copy this process's shard of `full` into `tensor`."""
    local_shard(tensor).copy_(_own(full, tensor))


def distribute_like(full: Tensor, pattern: Any) -> Tensor:
    """Return `full` sharded as `pattern` of the same shape is; unchanged if that is not sharded, or
    the shapes differ.
    """
    if not is_dtensor(pattern) or full.shape != pattern.shape:
        return full
    from torch.distributed.tensor import DTensor

    # without communication: each process has the full tensor, read from the checkpoint
    own = _own(full, pattern).to(pattern.device).contiguous()
    sharded: Tensor = DTensor.from_local(
        own, pattern.device_mesh, pattern.placements, shape=full.shape, stride=full.stride()
    )
    return sharded


def _own(full: Tensor, pattern: Any) -> Tensor:
    """Return the rows of `full` that this process holds of `pattern`."""
    if not is_dtensor(pattern):
        return full
    # fully_shard cuts along the first dimension, in torch.chunk's sizes
    parts = full.chunk(pattern.device_mesh.size(), dim=0)
    rank = pattern.device_mesh.get_local_rank()
    return parts[rank] if rank < len(parts) else full[:0]


def _has_parameters(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None
