"""Calling the callbacks of a training, and refusing those that change what they see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, final

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.callback import Callback, TrainingView
from fmcore.registry import entry_of
from fmcore.training.fsdp import full_tensor, local_shard

__all__ = ["Callbacks", "Moment", "Whole", "rehearse_callbacks"]

Moment = Literal["after_backward", "after_step"]

BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@final
class Whole(Mapping[str, Tensor]):
    """Tensors by name, detached, and gathered where they are sharded when they are read."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = tensors

    def __getitem__(self, name: str) -> Tensor:
        return full_tensor(self._tensors[name].detach())

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


@final
class Callbacks:
    """The callbacks of a training, by name.  Raises ComponentError if one is listed twice."""

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self.named: dict[str, Callback] = {}
        for callback in callbacks:
            name = _name_of(callback)
            if name in self.named:
                raise ComponentError(
                    f"train.callbacks: '{name}' is listed twice: both would give the same numbers"
                )
            self.named[name] = callback

    def due(self, step: int) -> bool:
        """Return whether a callback is called at step `step`, counted from 1."""
        return any(step % callback.every == 0 for callback in self.named.values())

    def call(
        self, moment: Moment, view: TrainingView, guarded: Mapping[str, Tensor]
    ) -> dict[str, float]:
        """Return the numbers of the callbacks that are due, as `CALLBACK/NAME`.

        Raises ComponentError if one changes a tensor of `guarded`, or gives what is no number.
        """
        numbers: dict[str, float] = {}
        before = _fingerprints(guarded)
        for name, callback in self.named.items():
            if view.step % callback.every:
                continue
            given = getattr(callback, moment)(view)
            after = _fingerprints(guarded)
            changed = [key for key, old in before.items() if after[key] != old]
            if changed:
                raise ComponentError(
                    f"train.callbacks: '{name}' changed {changed[0]} at step {view.step}: "
                    "a callback only reads"
                )
            numbers |= {f"{name}/{k}": _number(name, k, v) for k, v in dict(given or {}).items()}
        return numbers


def rehearse_callbacks(
    callbacks: Sequence[Callback], named: Mapping[str, Tensor], steps: int, average: bool
) -> None:
    """Call every callback with small weights of the same names.

    Raises ComponentError, before training, for one that changes weights or needs what the training
    lacks.
    """
    weights, gradients, averages = (
        {name: torch.full([min(n, 4) for n in t.shape], value) for name, t in named.items()}
        for value in (0.5, 0.1, 0.4)
    )
    called = Callbacks(callbacks)
    guarded = {f"the weight '{name}'": tensor for name, tensor in weights.items()}
    guarded |= {f"the gradient of '{name}'": tensor for name, tensor in gradients.items()}
    if average:
        guarded |= {f"the average of '{name}'": tensor for name, tensor in averages.items()}
    for callback in called.named.values():
        view = TrainingView(
            step=callback.every,
            steps=steps,
            weights=Whole(weights),
            gradients=Whole(gradients),
            average=Whole(averages) if average else None,
            loss_with=lambda weights: torch.tensor(1.0),
        )
        one = Callbacks([callback])
        one.call("after_backward", view, guarded)
        after = TrainingView(view.step, steps, view.weights, {}, view.average, view.loss_with)
        one.call("after_step", after, guarded)


def _name_of(callback: Callback) -> str:
    entry = entry_of(callback)
    return type(callback).__name__ if entry is None else entry.name


def _number(callback: str, key: object, value: object) -> float:
    single = value.numel() == 1 if isinstance(value, Tensor) else isinstance(value, int | float)
    if isinstance(key, str) and single:
        return float(value)  # type: ignore[arg-type]
    raise ComponentError(
        f"train.callbacks: '{callback}' gives {key!r}: a {type(value).__name__}; it must give "
        "numbers by name: floats, or tensors of one element"
    )


def _fingerprints(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, int]]:
    """Return the version and the sum of the bits of each tensor.

    In-place operations raise the version, except through `.data`; those change the sum.
    """
    parts = [local_shard(tensor.detach()) for tensor in tensors.values()]
    with torch.no_grad():
        sums = [p.view(BITS[p.element_size()]).sum(dtype=torch.int64) for p in parts]
    numbers = torch.stack(sums).tolist() if sums else []
    versions = [tensor._version for tensor in tensors.values()]
    return dict(zip(tensors, zip(versions, numbers, strict=True), strict=True))
