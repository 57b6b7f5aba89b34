"""Training batches as functions of (seed, step, row), on the device of the training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar, final

import torch
from torch import Tensor

from fmcore.errors import DataError
from fmcore.interfaces.codec import Codec
from fmcore.interfaces.condition import dropped, with_flags
from fmcore.interfaces.coupling import Coupling, Pairing
from fmcore.interfaces.dataset import Dataset
from fmcore.interfaces.objective import Objective
from fmcore.interfaces.path import Path
from fmcore.interfaces.randomness import generator_for
from fmcore.interfaces.rows import Rows
from fmcore.interfaces.shapes import require_shape
from fmcore.interfaces.source import Condition, Source
from fmcore.interfaces.space import Tokens
from fmcore.interfaces.tensors import to_device
from fmcore.training.order import EpochOrders

__all__ = ["Batches"]

DRAW = "draw/"
"""Prefix of the random numbers that a network needs in training."""

MAX_POOLS = 8
"""Pools held in memory: usually one for each micro-batch of a step."""

T = TypeVar("T")
_Key = tuple[int, range]
"""A group of steps, by number, and the rows drawn of each."""

AHEAD_VALUES = 2**15
"""Batches of at most half as many values are drawn for several steps at once, up to MAX_AHEAD, so
that the hundred operations of a draw do not weigh on the steps of small networks."""

MAX_AHEAD = 16
"""Each operation then takes a sixteenth; a short training must not read many batches in vain."""


@final
@dataclass(frozen=True)
class Batches:
    """The batches of a training, by step.

    A batch has the same rows however many processes or micro-batches share it.  Noise and
    augmentations are drawn on `device`, to which the data are moved first.  With a `codec`, x1 are
    the latents of the augmented examples.
    """

    data: Dataset
    path: Path
    coupling: Coupling
    objective: Objective
    batch_size: int
    seed: int
    dropout: Mapping[str, float] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    device: torch.device = field(default=torch.device("cpu"))
    codec: Codec | None = None
    _pools: dict[_Key, Pairing] = field(default_factory=dict, init=False, repr=False)
    _draws_ahead: dict[_Key, _Drawn] = field(default_factory=dict, init=False, repr=False)

    def indices(self, step: int, rows: range) -> list[int]:
        """Return the examples that are `rows` of step `step`.

        Every epoch visits each example once, in its own order.  Where the data have `sizes`, the
        examples of a batch are of like length.
        """
        first = step * self.batch_size
        return self._orders(first + rows.start, first + rows.stop).tolist()

    def draws(self, step: int, rows: range) -> dict[str, Tensor]:
        """The objective's random numbers for `rows`, `(rows,)` each, drawn for the whole batch at
        once; times are in the path's interval.
        """
        drawn = self.objective.draw(self.batch_size, generator_for(self.seed, "time", step))
        for name, value in drawn.items():
            what = f"'{name}' as drawn by objective {type(self.objective).__name__}"
            require_shape(value, (self.batch_size,), what)
        low, high = self.path.t_min, self.path.t_max
        times = self.objective.times if (low, high) != (0, 1) else ()
        return {
            name: low + (high - low) * own if name in times else own
            for name, own in ((n, v[rows.start : rows.stop]) for n, v in drawn.items())
        }

    def bridge(self, step: int, rows: range) -> Tensor | None:
        """The draws of the path's bridge for `rows`, `(rows, *shape)`; None if there is none."""
        source = self.path.bridge()
        if source is None:
            return None
        return self._sampled(source, "bridge", range(step, step + 1), rows, None)

    def pairs(self, step: int, rows: range) -> Pairing:
        """Return paired noise and data of `rows`, on `device`.

        A coupling with a pool pairs these rows of `pool` consecutive steps at once.
        """
        pool = self.coupling.pool
        if pool == 1:
            return self._paired(self._ahead(step, rows), step, rows)
        group, place = divmod(step, pool)
        pooled = self._pooled(group, rows)
        own = slice(place * len(rows), (place + 1) * len(rows))
        condition = pooled.condition and {k: v[own] for k, v in pooled.condition.items()}
        return Pairing(x0=pooled.x0[own], x1=pooled.x1[own], condition=condition)

    def _ahead(self, step: int, rows: range) -> _Drawn:
        """Return what is drawn for `rows` of `step`, from a draw of several steps."""
        steps = self._steps_ahead(len(rows))
        group, place = divmod(step, steps)

        def draw() -> _Drawn:
            return self._drawn(range(group * steps, (group + 1) * steps), rows)

        drawn = _kept(self._draws_ahead, (group, rows), draw)
        own = slice(place * len(rows), (place + 1) * len(rows))
        return _Drawn(drawn.x0[own], drawn.x1[own], {k: v[own] for k, v in drawn.condition.items()})

    def _steps_ahead(self, rows: int) -> int:
        if self.codec is not None and self.codec.encodes:
            return 1  # an encoder keeps many activations of each example
        row = math.prod(self.data.shape) + sum(e.size for e in self.data.entries.values())
        return max(1, min(MAX_AHEAD, AHEAD_VALUES // max(1, rows * row)))

    def _pooled(self, group: int, rows: range) -> Pairing:
        def pair() -> Pairing:
            first = group * self.coupling.pool
            drawn = self._drawn(range(first, first + self.coupling.pool), rows)
            return self._paired(drawn, first, rows)

        return _kept(self._pools, (group, rows), pair)

    def _paired(self, drawn: _Drawn, step: int, rows: range) -> Pairing:
        generator = generator_for(self.seed, "pair", step, rows.start)
        pairing = self.coupling.pair(drawn.x0, drawn.x1, generator, drawn.condition or None)
        name = type(self.coupling).__name__
        require_shape(pairing.x0, drawn.x0.shape, f"x0 of coupling {name}")
        require_shape(pairing.x1, drawn.x1.shape, f"x1 of coupling {name}")
        return pairing

    def _drawn(self, steps: range, rows: range) -> _Drawn:
        """Return noise and data of `rows` of every one of `steps`, step after step."""
        indices = [i for step in steps for i in self.indices(step, rows)]
        batch = self.data.batch(indices)
        self._require_labels_below_classes(batch.get("label"))
        if not self.data.space.flat:  # here, where reading values makes no device wait
            self.data.space.require(
                batch["x1"], f"{type(self.data).__name__} (a batch of step {steps.start})"
            )
        batch = {name: to_device(value, self.device) for name, value in batch.items()}
        batch = self.data.augmented(batch, self._rows("data", steps, rows))
        x1, x0 = batch.pop("x1"), batch.pop("x0", None)  # a dataset of pairs provides the noise
        if isinstance(self.data.space, Tokens):
            x1 = x1.float()  # whole floating-point numbers, as every state of a flow
        if self.codec is not None and self.codec.encodes:
            x1 = self._encoded(self.codec, x1, indices, self._rows("codec", steps, rows))
        given = {k: v for k, v in batch.items() if k not in self.ignored}
        if x0 is None:
            # sources read undropped conditions
            x0 = self._sampled(self.path.noise(), "noise", steps, rows, given or None)
        condition = self._with_dropout(with_flags(given, self.data.entries), steps, rows)
        return _Drawn(x0=x0, x1=x1, condition=condition)

    def _encoded(self, codec: Codec, x1: Tensor, indices: list[int], rows: Rows) -> Tensor:
        """Return the latents of the points `x1`, as the data store them or encoded now."""
        latents = self.data.latents(codec, indices)
        if latents is None:
            with torch.no_grad():
                latents = codec.encode(x1, rows)
        name = type(codec).__name__
        require_shape(latents, (len(indices), *self.shape), f"latents of codec {name}")
        return to_device(latents, self.device).float()

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The shape of a state of the flow, without the batch."""
        shape = tuple(self.data.shape)
        return shape if self.codec is None else tuple(self.codec.shape(shape))

    def network_draws(
        self, shapes: Mapping[str, tuple[int, ...]], step: int, rows: range
    ) -> dict[str, Tensor]:
        """Return the uniform numbers that the network needs (`VectorField.draws`), as entries of
        the condition: `draw/NAME`, `(rows, *shape)`.
        """
        return {
            f"{DRAW}{name}": self._rows(f"{DRAW}{name}", range(step, step + 1), rows).uniform(shape)
            for name, shape in shapes.items()
        }

    def _require_labels_below_classes(self, label: Tensor | None) -> None:
        """Raise DataError for a label outside [0, classes): a network would take it for the null
        class, or fail inside an embedding.
        """
        if label is None or not label.numel():
            return
        low, high = int(label.min()), int(label.max())
        if low < 0 or (self.data.classes and high >= self.data.classes):
            raise DataError(
                f"{type(self.data).__name__} gives the label {low if low < 0 else high}, and its "
                f"{self.data.classes} classes have the labels 0 to {self.data.classes - 1}"
            )

    @cached_property
    def _orders(self) -> EpochOrders:
        return EpochOrders(self.seed, self.data.length, self.batch_size, self.data.sizes)

    def _rows(self, purpose: str, steps: range, rows: range) -> Rows:
        return Rows(self.seed, purpose, steps, rows, self.device)

    def _sampled(
        self, source: Source, purpose: str, steps: range, rows: range, condition: Condition | None
    ) -> Tensor:
        drawn = source.sample(self._rows(purpose, steps, rows), self.shape, condition)
        wanted = (len(steps) * len(rows), *self.shape)
        require_shape(drawn, wanted, f"a draw of source {type(source).__name__}")
        return drawn

    def _with_dropout(
        self, condition: dict[str, Tensor], steps: range, rows: range
    ) -> dict[str, Tensor]:
        """Replace entries by their null values, each with its probability in `dropout`."""
        for name, probability in self.dropout.items():
            if name not in condition:
                continue
            chance = self._rows(f"drop/{name}", steps, rows).uniform(())
            condition = {**condition, **dropped(condition, name, chance < probability)}
        return condition


@dataclass(frozen=True)
class _Drawn:
    x0: Tensor
    x1: Tensor
    condition: dict[str, Tensor]


def _kept(kept: dict[_Key, T], key: _Key, make: Callable[[], T]) -> T:
    """Return the value of `key`, made at its first use; the oldest of MAX_POOLS is dropped."""
    if key not in kept:
        if len(kept) >= MAX_POOLS:
            kept.pop(next(iter(kept)))  # dictionaries keep their order
        kept[key] = make()
    return kept[key]
