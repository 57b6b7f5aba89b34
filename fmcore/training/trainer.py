"""The trainer: one training step, and the state that a checkpoint holds.

A step is a function of that state and of (seed, step) alone, so a training resumed from a
checkpoint ends with the same weights as one that was not interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor, nn

from fmcore.errors import CheckpointError, ComponentError
from fmcore.interfaces.callback import TrainingView
from fmcore.interfaces.field import Predictor
from fmcore.interfaces.model import VectorField
from fmcore.interfaces.randomness import stream_seed
from fmcore.interfaces.tensors import to_device
from fmcore.recipe.sections import Train
from fmcore.runs.checkpoint import Checkpoint, require_fitting
from fmcore.training.batches import Batches
from fmcore.training.callbacks import Callbacks, Moment, Whole
from fmcore.training.ema import MovingAverage, Power, parts_of, profiles_of
from fmcore.training.fsdp import copy_shard_, full_tensor, gather_full, shard
from fmcore.training.lr_schedule import learning_rate
from fmcore.training.optimizers import Optimizers
from fmcore.training.stats import StepStats
from fmcore.training.step import Step

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["Trainer"]

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@final
class Trainer:
    """The network, its optimizer and its moving averages after `step` steps."""

    def __init__(
        self,
        model: VectorField,
        batches: Batches,
        settings: Train,
        accelerator: Accelerator,
        teachers: Mapping[str, Predictor] | None = None,
    ) -> None:
        self.settings = settings
        self.batches = replace(batches, device=accelerator.device)
        self.accelerator = accelerator
        self.step = 0
        self.model = model.to(accelerator.device).train()
        self._layout = torch.preserve_format
        if settings.channels_last and len(batches.shape) == 3:
            self._layout = torch.channels_last
            self.model.to(memory_format=self._layout)  # type: ignore[call-overload]
        self.sharded = settings.fsdp and accelerator.num_processes > 1
        if self.sharded:
            shard(self.model, accelerator.device)
        if settings.compile:  # in place: names in checkpoints stay the network's own
            self.model.compile()
        self.losses = Step(
            self.model,
            batches.objective,
            batches.path,
            precision=PRECISIONS[settings.precision],
            layout=self._layout,
            loss_weights=settings.loss_weights,
            teachers=teachers,
        )
        # what is sharded exchanges its gradients by itself; accelerate would add its own exchange
        self.wrapped: nn.Module = accelerator.prepare_model(
            self.losses, device_placement=False, evaluation_mode=self.sharded
        )
        # after the wrapping: DistributedDataParallel moves the weights to memory of its own, and an
        # average of the memory before would never see a step
        parts = parts_of(settings)
        self.averages = {
            parts[profile.name]: MovingAverage(self.model, profile)
            for profile in profiles_of(settings)
        }
        average = self.averages.get("ema")
        if average is not None and not self.sharded:
            self.losses.average = average.state
        self.optimizers = Optimizers(settings.optimizer, self.model.named_parameters())
        # without device placement: the parameters were moved before their optimizers were built
        self.prepared = accelerator.prepare_optimizer(
            self.optimizers.joint(), device_placement=False
        )
        self.callbacks = Callbacks(settings.callbacks)
        self.numbers: dict[str, float] = {}
        """The callbacks' numbers of the last step, by `CALLBACK/NAME`."""
        self._rows = _rows_of_process(settings, accelerator)
        self._parameters = list(self.model.parameters())  # a walk through the modules at every step
        # A loss scaler skips a step whose scaled gradient overflows, and lowers the scale: such a
        # gradient is expected.
        self._stats = StepStats(accelerator.device, finite_norms=accelerator.scaler is None)

    def train_step(self) -> None:
        """Take one optimizer step on the effective batch of this step."""
        self.optimizers.set_lr(learning_rate(self.step, self.settings))
        if self.losses.has_dropout:  # it draws from torch's global generator; nothing else does
            torch.manual_seed(
                stream_seed(self.batches.seed, "dropout", self.step, self.accelerator.process_index)
            )
        micro = [self._backward(rows, last=rows is self._rows[-1]) for rows in self._rows]
        loss, named = micro[0]
        if len(micro) > 1:
            loss = torch.stack([total for total, _ in micro]).mean()
            named = torch.stack([means for _, means in micro]).mean(0)
        self.accelerator.unscale_gradients(self.prepared)
        called = self.callbacks.due(self.step + 1)
        # before clipping: the gradients are those of the loss
        self.numbers = self._call("after_backward", self.step) if called else {}
        norm = self._clip()
        # accelerate's wrapper, which searches for a package at every step, is for the scaler alone
        updated = self.prepared if self.accelerator.scaler else self.prepared.optimizer
        updated.step()
        updated.zero_grad(set_to_none=True)
        self._stats.add(self.step, loss, norm, named)
        self.step += 1
        for average in self.averages.values():
            average.update(self.step)
        if called:
            self.numbers |= self._call("after_step", self.step - 1)

    def read_stats(self) -> dict[str, float]:
        """Return mean loss and gradient norm since the last call, over all processes.

        Waits for the device.
        """
        names = self.losses.loss_names
        means = self.accelerator.reduce(self._stats.means(len(names)), reduction="mean")
        loss, norm, *named = means.tolist()
        each = {f"loss/{n}": v for n, v in zip(names, named, strict=True)} if named[1:] else {}
        return {"loss": loss, **each, "grad_norm": norm}

    def first_bad_step(self) -> int | None:
        """Return the first step whose loss or gradient was not finite in some process, or None.

        Waits for the device.
        """
        steps = self.accelerator.gather(self._stats.first_bad().reshape(1)).tolist()
        return min((step for step in steps if step >= 0), default=None)

    def weights(self) -> dict[str, Tensor]:
        """Return the first moving average, or the weights if there is none.

        Every process must call it.
        """
        average = self.averages.get("ema")
        state = self.model.state_dict() if average is None else average.state()
        return {name: gather_full(tensor) for name, tensor in state.items()}

    def checkpoint(self) -> Checkpoint:
        """Return everything that the next step depends on.

        Every process must call it; if the weights are sharded, only the main one gets tensors.
        """
        tensors = {f"model/{k}": v for k, v in self.model.state_dict().items()}
        for part, average in self.averages.items():
            tensors |= {f"{part}/{k}": v for k, v in average.state().items()}
        moments, facts = self.optimizers.state()
        tensors |= {f"optimizer/{k}": v for k, v in moments.items()}
        scaler = self.accelerator.scaler
        facts = {"scaler": scaler.state_dict() if scaler else None, "optimizer": facts}
        return Checkpoint(self.step, self._gathered(tensors), facts)

    def snapshot(self) -> Checkpoint:
        """Return the power averages, from which one of another width can be computed later.

        Every process must call it, as `checkpoint`.
        """
        powers = [a for a in self.averages.values() if isinstance(a.profile, Power)]
        tensors = {f"{a.profile.name}/{k}": v for a in powers for k, v in a.state().items()}
        return Checkpoint(self.step, self._gathered(tensors))

    def resume(self, checkpoint: Checkpoint, where: str) -> None:
        """Restore `checkpoint`.  Raises CheckpointError if it is of another network."""
        weights = checkpoint.part("model")
        require_fitting(self.model, weights, where)
        for name, own in self.model.state_dict(keep_vars=True).items():
            copy_shard_(own, weights[name])
        for part, average in self.averages.items():
            average.load(checkpoint.part(part))
        self.optimizers.restore(
            checkpoint.part("optimizer"), checkpoint.facts.get("optimizer"), where
        )
        if self.accelerator.scaler and checkpoint.facts.get("scaler"):
            try:
                self.accelerator.scaler.load_state_dict(checkpoint.facts["scaler"])
            except (AttributeError, LookupError, TypeError, RuntimeError) as error:
                raise CheckpointError(f"{where}: not a state of the loss scale: {error}") from error
        self.step = checkpoint.step

    def _backward(self, rows: range, last: bool) -> tuple[Tensor, Tensor]:
        """Add the gradient of the weighted loss of `rows`; return that loss and each loss's mean.

        Processes exchange gradients at the last micro-batch only.
        """
        with self._gradient_sync(last):
            loss, named = self.loss(rows)
            # micro-batches are of equal size: the mean of their means is the mean of the batch
            shares = len(self._rows)
            self.accelerator.backward(loss if shares == 1 else loss / shares)
        return loss.detach(), named

    @contextmanager
    def _gradient_sync(self, enabled: bool) -> Iterator[None]:
        """Let processes exchange gradients in the backward pass inside this context, or not."""
        if self.sharded:
            self.model.set_requires_gradient_sync(enabled)  # type: ignore[operator]
        if self.sharded or enabled:
            yield
            return
        with self.accelerator.no_sync(self.wrapped):
            yield

    def loss(self, rows: range) -> tuple[Tensor, Tensor]:
        """Return the weighted loss of `rows` of this step's batch and the mean of each loss."""
        total, means = self.wrapped(*self._batch(self.step, rows))
        return total, means

    def _batch(self, step: int, rows: range) -> tuple[Any, ...]:
        """Return the arguments of `Step` for `rows` of the batch of step `step`, on the device."""
        device = self.accelerator.device

        def sent(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {name: to_device(tensor, device) for name, tensor in tensors.items()}

        pairs = self.batches.pairs(step, rows)
        z = self.batches.bridge(step, rows)
        drawn = self.batches.network_draws(self.model.draws, step, rows)
        condition = {**(pairs.condition or {}), **drawn} or None
        return (
            to_device(pairs.x0, device),
            to_device(pairs.x1, device),
            None if z is None else to_device(z, device),
            condition and sent(condition),
            sent(self.batches.draws(step, rows)),
        )

    def _call(self, moment: Moment, step: int) -> dict[str, float]:
        """Return the callbacks' numbers at step `step`, counted from 0: means over processes."""
        average = self.averages.get("ema")
        state = {} if average is None else average.state()
        weights = dict(self.model.named_parameters())
        gradients = {name: w.grad for name, w in weights.items() if w.grad is not None}
        view = TrainingView(
            step=step + 1,
            steps=self.settings.steps,
            weights=Whole(weights),
            gradients=Whole(gradients),
            average=None if average is None or self.sharded else Whole(state),
            loss_with=partial(self._loss_with, step),
        )
        guarded = {f"the weight '{n}'": t for n, t in self.model.state_dict().items()}
        guarded |= {f"the gradient of '{n}'": t for n, t in gradients.items()}
        guarded |= {f"the average of '{n}'": t for n, t in state.items()}
        numbers = self.callbacks.call(moment, view, guarded)
        if not numbers or self.accelerator.num_processes == 1:
            return numbers
        values = torch.tensor(list(numbers.values()), device=self.accelerator.device)
        means = self.accelerator.reduce(values, reduction="mean").tolist()
        return dict(zip(numbers, means, strict=True))

    @torch.no_grad()
    def _loss_with(self, step: int, weights: Mapping[str, Tensor] | None) -> Tensor:
        """Return the loss of `weights`, or the network's own, on the first rows of step `step`."""
        arguments = self._batch(step, self._rows[0])
        eager = torch.compiler.set_stance("force_eager") if self.settings.compile else nullcontext()
        self.model.eval()  # dropout would draw random numbers that a resumed training does not
        try:
            with eager:
                if weights is None:
                    total, _ = self.losses(*arguments)
                else:
                    named = {f"model.{name}": tensor for name, tensor in weights.items()}
                    total, _ = torch.func.functional_call(self.losses, named, arguments)
        finally:
            self.model.train()
        loss: Tensor = total
        return loss

    def _clip(self) -> Tensor:
        # without a limit, clipping at infinity still gives the norm, in the same fused call
        limit = self.settings.grad_clip if self.settings.grad_clip is not None else float("inf")
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, limit, foreach=True)
        return full_tensor(norm)

    def _gathered(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the full tensors, in the process that writes them."""
        keep = self.accelerator.is_main_process
        return {name: gather_full(tensor, keep=keep) for name, tensor in tensors.items()}


def _rows_of_process(settings: Train, accelerator: Accelerator) -> list[range]:
    """Return the rows of every batch that this process computes, one range a micro-batch."""
    processes = accelerator.num_processes
    size, rest = divmod(settings.batch_size, processes * settings.grad_accum)
    if rest:
        raise ComponentError(
            f"train.batch_size {settings.batch_size} is the effective batch and must be a "
            f"multiple of processes x train.grad_accum = {processes} x {settings.grad_accum}"
        )
    starts = [
        (m * processes + accelerator.process_index) * size for m in range(settings.grad_accum)
    ]
    return [range(start, start + size) for start in starts]
