"""Memory and time of a training step on this machine: estimated, and measured."""

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

from fmcore.stages.components import Components
from fmcore.stages.other_runs import teachers
from fmcore.training.trainer import Trainer

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["Activations", "Fit", "Probe", "fit_of", "probe_of", "size_text"]

WARM_UP, STEPS = 2, 10

SECONDS = 30
"""A probe that may take longer is not started."""

MAX_ACCUMULATE = 2**20
"""The largest train.grad_accum that is suggested: a batch may be any number, and each is tried."""

CAUTIOUS_RATE = {"cpu": 3e10, "mps": 1e12, "cuda": 1e13}
"""FLOPs per second that any such device reaches: a bound, not a measurement."""


@final
@dataclass(frozen=True)
class Fit:
    """The bytes that training needs and the device has; `accumulate` is the least train.grad_accum
    that fits, None if none does.
    """

    needed: int
    there: int
    device: str
    accumulate: int | None

    @property
    def fits(self) -> bool:
        """Whether the training fits, by the estimate."""
        return self.needed <= self.there

    def line(self) -> str:
        """Return the verdict as text."""
        sizes = f"{size_text(self.needed)} needed, {size_text(self.there)} on this {self.device}"
        if self.fits:
            return f"{sizes}: fits"
        if self.accumulate is None:
            return f"{sizes}: does not fit with any train.grad_accum; use a smaller network"
        return f"{sizes}: does not fit; train.grad_accum={self.accumulate} would"


@final
@dataclass(frozen=True)
class Probe:
    """The measured seconds of a step; None if it was not tried, for the reason `why_not`."""

    seconds: float | None
    why_not: str = ""

    def line(self, steps: int) -> str:
        """Return the measurement as text."""
        if self.seconds is None:
            return f"not tried: {self.why_not}"
        total = _duration(self.seconds * steps)
        return f"{self.seconds:.3g} s a step over {STEPS} steps, {total} for training"


def fit_of(state: int, kept: int, batch: int, micro: int, device: torch.device) -> Fit:
    """Compare `state` bytes, and `kept` bytes for each of `micro` examples, with `device`."""
    there = _memory(device)
    # micro-batches must be of equal size, so only divisors of the batch are possible
    shares = (n for n in range(1, min(batch, MAX_ACCUMULATE) + 1) if batch % n == 0)
    least = next((n for n in shares if state + kept * (batch // n) <= there), None)
    return Fit(state + kept * micro, there, device.type, least)


def probe_of(components: Components, accelerator: Accelerator, flops: int, fit: Fit) -> Probe:
    """Take a few steps of the recipe's training, and time them; nothing is written."""
    if components.train is None:
        return Probe(None, "there is no section train")
    if not fit.fits:
        return Probe(None, "it does not fit")
    rate = CAUTIOUS_RATE[accelerator.device.type]
    if flops * (WARM_UP + STEPS) / rate > SECONDS:
        return Probe(None, f"{WARM_UP + STEPS} steps may take over {SECONDS} s")
    batches = components.batches(components.train)
    trainer = Trainer(
        components.model(),
        batches,
        components.train,
        accelerator,
        teachers(components, accelerator.device),
    )
    _take_steps(trainer, WARM_UP)  # the first steps allocate memory and choose kernels
    began = time.monotonic()
    _take_steps(trainer, STEPS)
    return Probe((time.monotonic() - began) / STEPS)


def _take_steps(trainer: Trainer, steps: int) -> None:
    for _ in range(steps):
        trainer.train_step()
    trainer.read_stats()  # waits for the device: else only the launches would be timed


def _memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    # all memory rather than what is free now: another program may end before the run starts
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"


def size_text(n: float) -> str:
    """Return bytes as text.

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
    """Counts the bytes of tensors computed inside this mode for a gradient, and still in memory.

    A backward pass itself runs without gradients: what is recorded during it is recomputed
    (activation checkpointing).
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self._peak = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # True, torch's default, imports torch's compiler at the first operation: 1.2 s
        return False

    def __torch_dispatch__(
        self,
        operation: Callable[..., Any],
        types: Sequence[type],
        arguments: Sequence[Any] = (),
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        result = operation(*arguments, **(options or {}))
        if torch.is_grad_enabled():
            inputs = _storages((arguments, options))
            for place, storage in _storages(result).items():
                if place not in inputs:  # else it is a view, perhaps of a parameter
                    # weak: this mode must not keep alive what it counts
                    self._alive[place] = _weak(storage), storage.nbytes()
            self._peak = max(self._peak, self.held())
        return result

    def held(self) -> int:
        """Return the bytes in memory now."""
        self._alive = {k: v for k, v in self._alive.items() if not _gone(v[0])}
        return sum(size for _, size in self._alive.values())

    def recomputed(self, backward: Callable[[], object]) -> int:
        """Return the most bytes of recomputed tensors that `backward` holds at once."""
        self._alive, self._peak = {}, 0
        # the gradient of the loss itself, which torch makes first, is not recomputed
        with torch.no_grad():
            backward()
        return self._peak


def _storages(values: object) -> dict[int, torch.UntypedStorage]:
    """Return the storage of every tensor in `values`, by its address."""
    tensors = (leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor))
    return {s._cdata: s for s in (tensor.untyped_storage() for tensor in tensors)}


def _weak(storage: torch.UntypedStorage) -> StorageWeakRef:
    return StorageWeakRef(storage)  # type: ignore[no-untyped-call]


def _gone(reference: StorageWeakRef) -> bool:
    return bool(reference.expired())  # type: ignore[no-untyped-call]
