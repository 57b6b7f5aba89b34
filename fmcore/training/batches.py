"""Training batches as functions of (seed, step, row), on the device of the training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from fmcore.errors import DataError
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

MAX_POOLS = 8
"""Pools held in memory: usually one for each micro-batch of a step."""


@final
@dataclass(frozen=True)
class Batches:
    """The batches of a training, by step.

    A batch has the same rows however many processes or micro-batches share it.  Noise and
    augmentations are drawn on `device`, to which the data are moved first.
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
    _pools: dict[tuple[int, range], Pairing] = field(default_factory=dict, init=False, repr=False)

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
        return {
            name: low + (high - low) * own if name in self.objective.times else own
            for name, own in ((n, v[rows.start : rows.stop]) for n, v in drawn.items())
        }

    def bridge(self, step: int, rows: range) -> Tensor | None:
        """The draws of the path's bridge for `rows`, `(rows, *shape)`; None if there is none."""
        source = self.path.bridge()
        return None if source is None else self._sampled(source, "bridge", step, rows, None)

    def pairs(self, step: int, rows: range) -> Pairing:
        """Return paired noise and data of `rows`, on `device`.

        A coupling with a pool pairs these rows of `pool` consecutive steps at once.
        """
        pool = self.coupling.pool
        if pool == 1:
            return self._paired([self._drawn(step, rows)], step, rows)
        group, place = divmod(step, pool)
        pooled = self._pooled(group, rows)
        own = slice(place * len(rows), (place + 1) * len(rows))
        condition = pooled.condition and {k: v[own] for k, v in pooled.condition.items()}
        return Pairing(x0=pooled.x0[own], x1=pooled.x1[own], condition=condition)

    def _pooled(self, group: int, rows: range) -> Pairing:
        key = (group, rows)
        if key not in self._pools:
            first = group * self.coupling.pool
            drawn = [self._drawn(step, rows) for step in range(first, first + self.coupling.pool)]
            if len(self._pools) >= MAX_POOLS:  # the oldest: dictionaries keep their order
                self._pools.pop(next(iter(self._pools)))
            self._pools[key] = self._paired(drawn, first, rows)
        return self._pools[key]

    def _paired(self, drawn: list[_Drawn], step: int, rows: range) -> Pairing:
        x0 = torch.cat([d.x0 for d in drawn])
        x1 = torch.cat([d.x1 for d in drawn])
        condition = {k: torch.cat([d.condition[k] for d in drawn]) for k in drawn[0].condition}
        generator = generator_for(self.seed, "pair", step, rows.start)
        pairing = self.coupling.pair(x0, x1, generator, condition or None)
        name = type(self.coupling).__name__
        require_shape(pairing.x0, x0.shape, f"x0 of coupling {name}")
        require_shape(pairing.x1, x1.shape, f"x1 of coupling {name}")
        return pairing

    def _drawn(self, step: int, rows: range) -> _Drawn:
        batch = self.data.batch(self.indices(step, rows))
        self._require_labels_below_classes(batch.get("label"))
        if not self.data.space.flat:  # here, where reading values makes no device wait
            self.data.space.require(
                batch["x1"], f"{type(self.data).__name__} (a batch of step {step})"
            )
        batch = {name: to_device(value, self.device) for name, value in batch.items()}
        batch = self.data.augmented(batch, self._rows("data", step, rows))
        x1, x0 = batch.pop("x1"), batch.pop("x0", None)  # a dataset of pairs provides the noise
        if isinstance(self.data.space, Tokens):
            x1 = x1.float()  # whole floating-point numbers, as every state of a flow
        given = {k: v for k, v in batch.items() if k not in self.ignored}
        if x0 is None:
            # sources read undropped conditions
            x0 = self._sampled(self.path.noise(), "noise", step, rows, given or None)
        condition = self._with_dropout(with_flags(given, self.data.entries), step, rows)
        return _Drawn(x0=x0, x1=x1, condition=condition)

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

    def _rows(self, purpose: str, step: int, rows: range) -> Rows:
        return Rows(self.seed, purpose, step, rows, self.device)

    def _sampled(
        self, source: Source, purpose: str, step: int, rows: range, condition: Condition | None
    ) -> Tensor:
        drawn = source.sample(self._rows(purpose, step, rows), self.data.shape, condition)
        wanted = (len(rows), *self.data.shape)
        require_shape(drawn, wanted, f"a draw of source {type(source).__name__}")
        return drawn

    def _with_dropout(
        self, condition: dict[str, Tensor], step: int, rows: range
    ) -> dict[str, Tensor]:
        """Replace entries by their null values, each with its probability in `dropout`."""
        for name, probability in self.dropout.items():
            if name not in condition:
                continue
            chance = self._rows(f"drop/{name}", step, rows).uniform(())
            condition = {**condition, **dropped(condition, name, chance < probability)}
        return condition


@dataclass(frozen=True)
class _Drawn:
    x0: Tensor
    x1: Tensor
    condition: dict[str, Tensor]
