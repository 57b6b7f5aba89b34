"""What a network keeps for its gradient, counted without computing it: on torch's meta device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["Activations"]


@final
class Activations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Bytes of what is computed in here for a gradient, and is still held.

    A backward pass itself runs without gradients: what is recorded meanwhile is computed again
    (activation checkpointing).
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._there: dict[int, tuple[StorageWeakRef, int]] = {}
        self._most = 0

    def __torch_dispatch__(
        self,
        operation: Callable[..., Any],
        types: Sequence[type],
        arguments: Sequence[Any] = (),
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        made = operation(*arguments, **(options or {}))
        if torch.is_grad_enabled():
            given = _storages((arguments, options))
            for place, storage in _storages(made).items():
                if place not in given:  # else it is a view, perhaps of a parameter
                    self._there[place] = _weak(storage), storage.nbytes()
            self._most = max(self._most, self.held())
        return made

    def held(self) -> int:
        """Bytes that are held now."""
        self._there = {k: v for k, v in self._there.items() if not _gone(v[0])}
        return sum(size for _, size in self._there.values())

    def again(self, backward: Callable[[], object]) -> int:
        """The most bytes that `backward` holds at once of what it computes again."""
        self._there, self._most = {}, 0
        backward()
        return self._most


def _storages(values: object) -> dict[int, torch.UntypedStorage]:
    """The memory of every tensor in `values`, by its place."""
    tensors = (leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor))
    return {s._cdata: s for s in (tensor.untyped_storage() for tensor in tensors)}


def _weak(storage: torch.UntypedStorage) -> StorageWeakRef:
    return StorageWeakRef(storage)  # type: ignore[no-untyped-call]


def _gone(reference: StorageWeakRef) -> bool:
    return bool(reference.expired())  # type: ignore[no-untyped-call]
