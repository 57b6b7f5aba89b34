"""How long a step takes on this machine, and whether the training fits its memory."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from fmcore.recipe.sections import Train
from fmcore.stages.components import Components
from fmcore.training.batches import Batches
from fmcore.training.trainer import Training

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["Activations", "Fit", "Probe", "fit_of", "probe_of", "size_text"]

WARM_UP, STEPS = 2, 10

SECONDS = 30
"""A probe that would take longer is not begun."""

CAUTIOUS_RATE = {"cpu": 3e10, "mps": 1e12, "cuda": 1e13}
"""FLOPs a second that any such device reaches: a bound, not a measurement."""


@final
@dataclass(frozen=True)
class Fit:
    """What training needs of a device's memory, in bytes; `accumulate` is the least that fits."""

    needed: int
    there: int
    device: str
    accumulate: int | None

    @property
    def fits(self) -> bool:
        """Whether it fits, by the estimate."""
        return self.needed <= self.there

    def line(self) -> str:
        """The verdict as a person reads it."""
        told = f"{size_text(self.needed)} needed, {size_text(self.there)} on this {self.device}"
        if self.fits:
            return f"{told}: fits"
        if self.accumulate is None:
            return f"{told}: does not fit, whatever train.grad_accum is"
        return f"{told}: does not fit; train.grad_accum={self.accumulate} would"


@final
@dataclass(frozen=True)
class Probe:
    """Seconds of a step, measured; None where it was not tried, for the reason in `why_not`."""

    seconds: float | None
    why_not: str = ""

    def line(self, steps: int) -> str:
        """The measurement as a person reads it."""
        if self.seconds is None:
            return f"not tried: {self.why_not}"
        whole = self.seconds * steps
        return f"{self.seconds:.3g} s a step over {STEPS} steps, {_duration(whole)} for training"


def fit_of(state: int, kept: int, batch: int, micro: int, device: torch.device) -> Fit:
    """Whether `state` bytes, and `kept` bytes for each of `micro` examples, fit `device`."""
    there = _memory(device)
    shares = [n for n in range(1, batch + 1) if batch % n == 0]
    least = next((n for n in shares if state + kept * (batch // n) <= there), None)
    return Fit(state + kept * micro, there, device.type, least)


def probe_of(
    components: Components, settings: Train, accelerator: Accelerator, flops: int, fit: Fit
) -> Probe:
    """Take a few steps of the recipe's training, and time them; nothing is written."""
    if not fit.fits:
        return Probe(None, "it does not fit")
    rate = CAUTIOUS_RATE[accelerator.device.type]
    if flops * (WARM_UP + STEPS) / rate > SECONDS:
        return Probe(None, f"{WARM_UP + STEPS} steps may take over {SECONDS} s")
    batches = Batches(
        components.data,
        components.path,
        components.coupling,
        components.objective,
        settings.batch_size,
        components.seed,
        settings.label_dropout,
    )
    training = Training(components.model(), batches, settings, accelerator)
    _advance(training, WARM_UP)
    began = time.monotonic()
    _advance(training, STEPS)
    return Probe((time.monotonic() - began) / STEPS)


def _advance(training: Training, steps: int) -> None:
    for _ in range(steps):
        training.advance()
    training.read_tally()  # waits for the device


def _memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"


def size_text(n: float) -> str:
    """Bytes as a person reads them.

    >>> size_text(3 * 2**30)
    '3 GiB'
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n < 1024:
            return f"{n:.4g} {unit}"
        n /= 1024
    return f"{n:.4g} TiB"


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
