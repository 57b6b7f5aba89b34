"""The losses of one training step: the module that is distributed over processes.

`Step` prepares the condition, cuts the batch where the network asks for it, and lets the objective
compute its losses.  Only the network runs under autocast and `torch.compile`; paths and losses stay
in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from fmcore.errors import ComponentError
from fmcore.interfaces.condition import without
from fmcore.interfaces.derivative import jvp
from fmcore.interfaces.field import Predictor
from fmcore.interfaces.model import VectorField
from fmcore.interfaces.net import Batch, Net
from fmcore.interfaces.objective import Objective
from fmcore.interfaces.path import Path, Quantity
from fmcore.interfaces.source import Condition
from fmcore.interfaces.tensors import append_dims

__all__ = ["Step"]

Weights = Callable[[], Mapping[str, Tensor]]


@final
class Step(nn.Module):
    """The weighted sum of a batch's losses, and the mean of each.

    `precision` is the network's under autocast.  `average` gives the weights of the first moving
    average; None where none is kept or it is sharded.
    """

    def __init__(
        self,
        model: VectorField,
        objective: Objective,
        path: Path,
        *,
        precision: torch.dtype = torch.float32,
        layout: torch.memory_format = torch.preserve_format,
        loss_weights: Mapping[str, float] | None = None,
        average: Weights | None = None,
        teachers: Mapping[str, Predictor] | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.objective, self.path = objective, path
        self.precision, self.layout = precision, layout
        self.average, self.teachers = average, dict(teachers or {})
        self.loss_names = loss_names(objective, model)
        self.loss_weights = _weights_of(self.loss_names, loss_weights or {}, objective.loss_weights)
        # dropout alone draws random numbers inside the network
        self.has_dropout = any(
            isinstance(m, nn.modules.dropout._DropoutNd) and m.p > 0 for m in model.modules()
        )

    def forward(
        self,
        x0: Tensor,
        x1: Tensor,
        z: Tensor | None,
        condition: Condition | None,
        draws: Mapping[str, Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Return the weighted sum of the mean losses, a scalar, and the means by `loss_names`.

        Raises ComponentError if objective or network give other losses than they declare.
        """
        with _outside_autocast(x1.device):
            with self.autocast(x1.device):
                prepared = self.model.prepare(condition, x1)
            batch = _cropped(Batch(self.path, x0, x1, z, condition, draws), prepared.crop)
            if batch.condition is not None and "mask" in batch.condition:
                # elements that do not exist are 0 at every time
                batch = replace(batch, x0=batch.x0 * batch.condition["mask"])
            net = _BoundNet(self, batch.condition, prepared.condition, (condition, x1))
            losses = {**self.objective.losses(net, self.path, batch), **prepared.losses}
            if tuple(losses) != self.loss_names:
                raise ComponentError(
                    f"objective {type(self.objective).__name__} and model "
                    f"{type(self.model).__name__} gave the losses {list(losses)}, but declare "
                    f"{list(self.loss_names)}"
                )
            means = [losses[name].float().mean() for name in self.loss_names]
            # weights of 1 take no operation: on a small network a step is mostly operations
            weighted = [
                mean if weight == 1 else weight * mean
                for weight, mean in zip(self.loss_weights, means, strict=True)
            ]
            total = weighted[0] if len(weighted) == 1 else torch.stack(weighted).sum()
            return total, torch.stack([mean.detach() for mean in means])

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """The precision of the network."""
        if self.precision == torch.float32:
            return nullcontext()
        return torch.autocast(device.type, dtype=self.precision)


@final
@dataclass(frozen=True)
class _BoundNet:
    """The network with one batch's condition (see `Net`).

    `whole` is the condition and x1 as they were before the network cut the batch.
    """

    step: Step
    raw: Condition | None
    prepared: Condition | None
    whole: tuple[Condition | None, Tensor]
    weights: Mapping[str, Tensor] | None = None  # other weights than the network's own

    def __call__(self, x: Tensor, t: Tensor, *, until: Tensor | None = None) -> Tensor:
        x = x.contiguous(memory_format=self.step.layout)
        with self._mode(), self.step.autocast(x.device):
            raw = self._run(x, t, until)
        return raw.float() if raw.dtype in (torch.bfloat16, torch.float16) else raw

    def jvp(
        self,
        x: Tensor,
        t: Tensor,
        until: Tensor | None = None,
        *,
        dx: Tensor,
        dt: Tensor,
        duntil: Tensor | None = None,
        rows: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        # Two passes.  A forward-mode pass that keeps a graph fails with fused attention, with
        # recomputed activations and with bfloat16 convolutions, and undoes torch.compile.
        state = _random_state(x.device) if self.step.has_dropout else None
        value = self(x, t, until=until)
        points, tangents = [x.detach(), t.detach()], [dx.detach(), dt.detach()]
        if until is not None:
            points.append(until.detach())
            tangents.append(torch.zeros_like(until) if duntil is None else duntil.detach())
        used = self._used(rows)
        net = self if used is None else self._at(used)
        if used is not None:
            points, tangents = ([part[used] for part in parts] for parts in (points, tangents))
        with (
            torch.no_grad(),
            sdpa_kernel(SDPBackend.MATH),
            torch.compiler.set_stance("force_eager"),
            _same_random_numbers(state, x.device),
        ):
            _, derivative = jvp(net._function(), tuple(points), tuple(tangents))
        if used is not None:
            derivative = torch.zeros_like(value).index_copy_(0, used, derivative.to(value.dtype))
        if rows is not None:
            # more rows than these were differentiated on a GPU, with dropout, and for no row at all
            derivative = derivative.masked_fill(~append_dims(rows, derivative), 0)
        return value, derivative

    def _used(self, rows: Tensor | None) -> Tensor | None:
        """Return the indices of the rows to differentiate; None for all."""
        # On a GPU the number of rows would have to be read from the device, which waits for it;
        # with dropout the rows left would get other masks than in the first pass.
        if rows is None or rows.device.type != "cpu" or self.step.has_dropout:
            return None
        used = rows.nonzero()[:, 0]
        # under FSDP every process must run the network, also one without such rows
        return used if len(used) else used.new_zeros(1)

    def _at(self, used: Tensor) -> _BoundNet:
        """Return the network with the condition of the rows `used`."""
        prepared = self.prepared
        if prepared is not None:
            prepared = {name: value[used] for name, value in prepared.items()}
        return replace(self, prepared=prepared)

    def without(self, *names: str) -> Net:
        raw = without(self.raw, names)
        whole = (without(self.whole[0], names), self.whole[1])
        with self.step.autocast(next(self.step.model.parameters()).device):
            # with x1 and before the cut, as in the step: its places must be those of the batch
            prepared = self.step.model.prepare(*whole)
        return replace(self, raw=raw, prepared=prepared.condition, whole=whole)

    def averaged(self) -> Net:
        if self.step.average is None:
            raise ComponentError(
                f"objective {type(self.step.objective).__name__} reads the moving average of the "
                "weights: set train.ema, and train.fsdp=false"
            )
        net = replace(self, weights=self.step.average())
        with torch.no_grad(), self.step.autocast(next(self.step.model.parameters()).device):
            prepared = net._prepare()
        return replace(net, prepared=prepared)

    def teacher(self, name: str) -> Predictor:
        if name not in self.step.teachers:
            known = ", ".join(self.step.teachers) or "none"
            raise ComponentError(f"no teacher '{name}'; teachers of this objective: {known}")
        return _BoundTeacher(self.step.teachers[name], self.raw)

    def _run(self, x: Tensor, t: Tensor, until: Tensor | None) -> Tensor:
        more = {} if until is None else {"until": until}
        if self.weights is None:
            output: Tensor = self.step.model(x, t, self.prepared, **more)
            return output
        arguments = (x, t, self.prepared)
        result: Tensor = torch.func.functional_call(
            self.step.model, dict(self.weights), arguments, more
        )
        return result

    def _function(self) -> Callable[..., Tensor]:
        """The network as a function of (x, t) or (x, t, until), for differentiation."""

        def function(x: Tensor, t: Tensor, until: Tensor | None = None) -> Tensor:
            return self._run(x.contiguous(memory_format=self.step.layout), t, until)

        return function

    def _prepare(self) -> Condition | None:
        model = self.step.model
        if type(model).prepare is VectorField.prepare:
            return self.raw
        call: Any = _Prepare(model)
        named = {f"model.{name}": tensor for name, tensor in (self.weights or {}).items()}
        condition: Condition | None = torch.func.functional_call(call, named, self.whole)
        return condition

    @contextmanager
    def _mode(self) -> Iterator[None]:
        """Without gradients, and without dropout, where the weights are not the network's own."""
        if self.weights is None:
            yield
            return
        model = self.step.model
        training = model.training and self.step.has_dropout
        with torch.no_grad():
            if training:
                model.eval()
            try:
                yield
            finally:
                if training:
                    model.train()


@final
@dataclass
class _BoundTeacher:
    """Another run's field with one batch's condition (see `Net.teacher`)."""

    field: Predictor
    raw: Condition | None

    @property
    def model(self) -> VectorField:
        return self.field.model

    @property
    def path(self) -> Path:
        return self.field.path

    @property
    def nfe(self) -> int:
        return self.field.nfe

    @property
    def forwards(self) -> int:
        return self.field.forwards

    @torch.no_grad()
    def __call__(self, x: Tensor, t: Tensor, condition: Condition | None = None) -> Tensor:
        return self.field(x, t, self._of(condition))

    @torch.no_grad()
    def predict(
        self,
        x: Tensor,
        t: Tensor,
        condition: Condition | None = None,
        target: Quantity = "velocity",
    ) -> Tensor:
        return self.field.predict(x, t, self._of(condition), target)

    @torch.no_grad()
    def jump(
        self, x: Tensor, t: Tensor, until: Tensor, condition: Condition | None = None
    ) -> Tensor:
        return self.field.jump(x, t, until, self._of(condition))

    @torch.no_grad()
    def prepare(self, condition: Condition | None) -> Condition | None:
        return self.field.prepare(condition)

    def _of(self, condition: Condition | None) -> Condition | None:
        return self._prepared if condition is None else condition

    @cached_property
    def _prepared(self) -> Condition | None:
        return self.prepare(self.raw)


@final
class _Prepare(nn.Module):
    """`prepare` as a forward, so that it can run with other weights."""

    def __init__(self, model: VectorField) -> None:
        super().__init__()
        self.model = model

    def forward(self, raw: Condition | None, x1: Tensor) -> Condition | None:
        return self.model.prepare(raw, x1).condition


def loss_names(objective: Objective, model: VectorField) -> tuple[str, ...]:
    """The losses of the objective, then the network's own.  Raises ComponentError if two share a
    name.
    """
    names = (*objective.loss_names, *model.loss_names)
    if len(set(names)) < len(names) or not names:
        raise ComponentError(
            f"objective {type(objective).__name__} and model {type(model).__name__} declare the "
            f"losses {list(names)}: there must be at least one, and no name twice"
        )
    return names


def _weights_of(
    names: tuple[str, ...], given: Mapping[str, float], own: Mapping[str, float]
) -> tuple[float, ...]:
    """Return the weight of each loss: that of the recipe times the objective's own."""
    if unknown := sorted(given.keys() - set(names)):
        raise ComponentError(
            f"train.loss_weights: no loss named '{unknown[0]}'; losses: {', '.join(names)}"
        )
    return tuple(float(given.get(name, 1.0) * own.get(name, 1.0)) for name in names)


def _cropped(batch: Batch, crop: tuple[Tensor, int] | None) -> Batch:
    """The batch cut to `length` elements of the last axis from `start`, row by row."""
    if crop is None:
        return batch
    start, length = crop

    def cut(value: Tensor) -> Tensor:
        index = start.to(value.device)[:, None] + torch.arange(length, device=value.device)
        index = index.view(len(value), *(1,) * (value.ndim - 2), length)
        return value.gather(-1, index.expand(*value.shape[:-1], length))

    condition = batch.condition
    if condition is not None and "mask" in condition:
        condition = {**condition, "mask": cut(condition["mask"])}
    z = None if batch.z is None else cut(batch.z)
    return replace(batch, x0=cut(batch.x0), x1=cut(batch.x1), z=z, condition=condition)


def _outside_autocast(device: torch.device) -> AbstractContextManager[object]:
    # where there is none to leave, entering a context at every step is a cost alone
    if not torch.is_autocast_enabled(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def _random_state(device: torch.device) -> Tensor:
    """The state of the generator that dropout on `device` draws from."""
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


@contextmanager
def _same_random_numbers(state: Tensor | None, device: torch.device) -> Iterator[None]:
    """Let dropout repeat the masks that it drew from `state` on."""
    if state is None:
        yield
        return
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        if device.type == "cuda":
            torch.cuda.set_rng_state(state, device)
        else:
            torch.set_rng_state(state)
        yield
