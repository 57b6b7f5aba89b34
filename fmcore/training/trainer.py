"""The trainer: one training step, and the state that a checkpoint holds.

A step is a function of that state and of (seed, step) alone, so a training resumed from a
checkpoint ends with the same weights as one that was not interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor, nn

from fmcore.errors import CheckpointError, ComponentError
from fmcore.interfaces.model import VectorField
from fmcore.interfaces.randomness import stream_seed
from fmcore.interfaces.tensors import to_device
from fmcore.recipe.sections import Train
from fmcore.runs.checkpoint import Checkpoint, require_fitting
from fmcore.training.batches import Batches
from fmcore.training.ema import MovingAverage, Power, parts_of, profiles_of
from fmcore.training.fsdp import (
    copy_shard_,
    distribute_like,
    full_tensor,
    gather_full,
    shard,
)
from fmcore.training.lr_schedule import learning_rate
from fmcore.training.step import Step

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["StepStats", "Trainer"]

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

ADAM = ("step", "exp_avg", "exp_avg_sq")
"""The optimizer's state of each parameter."""


@dataclass
class StepStats:
    """Sums of loss and gradient norm since they were last read, on the device."""

    loss: Tensor
    norm: Tensor
    named: Tensor  # of each loss, unweighted
    steps: int = 0


@final
class Trainer:
    """The network, its optimizer and its moving averages after `step` steps."""

    def __init__(
        self, model: VectorField, batches: Batches, settings: Train, accelerator: Accelerator
    ) -> None:
        self.settings = settings
        self.batches = replace(batches, device=accelerator.device)
        self.accelerator = accelerator
        self.step = 0
        self.model = model.to(accelerator.device).train()
        self._layout = torch.preserve_format
        if settings.channels_last and len(batches.data.shape) == 3:
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
        )
        # what is sharded exchanges its gradients by itself; accelerate would add its own exchange
        self.wrapped: nn.Module = accelerator.prepare_model(
            self.losses, evaluation_mode=self.sharded
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
        self.optimizer = _adam(self.model, settings)
        self.prepared = accelerator.prepare_optimizer(self.optimizer)
        self._rows = _rows_of_process(settings, accelerator)
        # on the device, as the sums are: reading a loss at every step would wait for the device
        self._first_bad = torch.full((), -1, dtype=torch.int64, device=accelerator.device)
        self._stats = self._empty()

    def train_step(self) -> None:
        """Take one optimizer step on the effective batch of this step."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.settings)
        if self.losses.has_dropout:  # it draws from torch's global generator; nothing else does
            torch.manual_seed(
                stream_seed(self.batches.seed, "dropout", self.step, self.accelerator.process_index)
            )
        micro = [self._backward(rows, last=rows is self._rows[-1]) for rows in self._rows]
        loss = torch.stack([total for total, _ in micro]).mean()
        named = torch.stack([means for _, means in micro]).mean(0)
        norm = self._clip()
        self.prepared.step()
        self.prepared.zero_grad(set_to_none=True)
        self._count(loss, norm, named)
        self.step += 1
        for average in self.averages.values():
            average.update(self.step)

    def read_stats(self) -> dict[str, float]:
        """Return mean loss and gradient norm since the last call, over all processes.

        Waits for the device.
        """
        stats, self._stats = self._stats, self._empty()
        sums = torch.cat([stats.loss[None], stats.norm[None], stats.named])
        means = self.accelerator.reduce(sums, reduction="mean") / max(1, stats.steps)
        loss, norm, *named = means.tolist()
        names = self.losses.loss_names
        each = {f"loss/{n}": v for n, v in zip(names, named, strict=True)} if named[1:] else {}
        return {"loss": loss, **each, "grad_norm": norm}

    def first_bad_step(self) -> int | None:
        """Return the first step whose loss or gradient was not finite in some process, or None.

        Waits for the device.
        """
        steps = self.accelerator.gather(self._first_bad.reshape(1)).tolist()
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
        for name, parameter in self.model.named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer/{name}/{key}"] = torch.as_tensor(value)
        scaler = self.accelerator.scaler
        facts = {"scaler": scaler.state_dict() if scaler else None}
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
        self.optimizer.load_state_dict(self._optimizer_state(checkpoint.part("optimizer"), where))
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
            self.accelerator.backward(loss / len(self._rows))
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
        device = self.accelerator.device

        def sent(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {name: to_device(tensor, device) for name, tensor in tensors.items()}

        pairs = self.batches.pairs(self.step, rows)
        z = self.batches.bridge(self.step, rows)
        total, means = self.wrapped(
            to_device(pairs.x0, device),
            to_device(pairs.x1, device),
            None if z is None else to_device(z, device),
            pairs.condition and sent(pairs.condition),
            sent(self.batches.draws(self.step, rows)),
        )
        return total, means

    def _clip(self) -> Tensor:
        # without a limit, clipping at infinity still gives the norm, in the same fused call
        limit = self.settings.grad_clip if self.settings.grad_clip is not None else float("inf")
        self.accelerator.unscale_gradients(self.prepared)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), limit, foreach=True)
        return full_tensor(norm)

    def _count(self, loss: Tensor, norm: Tensor, named: Tensor) -> None:
        good = torch.isfinite(norm)
        self._stats.loss += loss
        self._stats.named += named
        self._stats.norm += torch.where(good, norm, 0)
        self._stats.steps += 1
        bad = ~torch.isfinite(loss)
        # A loss scaler skips a step whose scaled gradient overflows, and lowers the scale: such a
        # gradient is expected.
        if self.accelerator.scaler is None:
            bad |= ~good
        self._first_bad.masked_fill_(bad & (self._first_bad < 0), self.step)

    def _gathered(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the full tensors, in the process that writes them."""
        keep = self.accelerator.is_main_process
        return {name: gather_full(tensor, keep=keep) for name, tensor in tensors.items()}

    def _empty(self) -> StepStats:
        zero = torch.zeros((), device=self.accelerator.device)
        return StepStats(zero, zero.clone(), zero.new_zeros(len(self.losses.loss_names)))

    def _optimizer_state(self, tensors: dict[str, Tensor], where: str) -> dict[str, Any]:
        state: dict[int, dict[str, Tensor]] = {}
        named = dict(self.model.named_parameters())
        order = {name: i for i, name in enumerate(named)}
        names = {key.rpartition("/")[0] for key in tensors}
        expected = {f"{name}/{moment}" for name in names for moment in ADAM}
        if not names <= order.keys() or tensors.keys() != expected:
            raise CheckpointError(f"{where}: the optimizer's state is of another network")
        for key, value in tensors.items():
            name, _, moment = key.rpartition("/")
            if value.shape != (() if moment == "step" else named[name].shape):
                raise CheckpointError(f"{where}: '{key}' of the optimizer has another shape")
            state.setdefault(order[name], {})[moment] = distribute_like(value, named[name])
        return {"state": state, "param_groups": self.optimizer.state_dict()["param_groups"]}


def _adam(model: nn.Module, settings: Train) -> torch.optim.Optimizer:
    kind = torch.optim.AdamW if settings.weight_decay else torch.optim.Adam
    return kind(
        model.parameters(),
        lr=settings.lr,
        betas=settings.betas,
        eps=settings.eps,
        weight_decay=settings.weight_decay,
        fused=next(model.parameters()).device.type in ("cpu", "cuda"),
    )


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
