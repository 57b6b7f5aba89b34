"""Training batches as functions of (seed, step, row).

Rows are drawn in blocks of BLOCK, each with its own random stream, so that a batch has the same
rows however many processes or micro-batches share it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import final

import torch
from torch import Tensor

from fmcore.errors import DataError
from fmcore.interfaces.condition import dropped, with_flags
from fmcore.interfaces.coupling import Coupling, Pairing
from fmcore.interfaces.dataset import Dataset, ImageDataset
from fmcore.interfaces.levels import from_levels
from fmcore.interfaces.objective import Objective
from fmcore.interfaces.path import Path
from fmcore.interfaces.randomness import generator_for
from fmcore.interfaces.shapes import require_shape
from fmcore.interfaces.source import Source

__all__ = ["BLOCK", "Batches"]

BLOCK = 32
"""Rows per random stream: few enough to split a batch evenly, enough to make a stream cheap."""

MAX_POOLS = 8
"""Pools held in memory: usually one for each micro-batch of a step."""


@final
@dataclass(frozen=True)
class Batches:
    """The batches of a training, by step."""

    data: Dataset
    path: Path
    coupling: Coupling
    objective: Objective
    batch_size: int
    seed: int
    dropout: Mapping[str, float] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    _pools: dict[tuple[int, range], Pairing] = field(default_factory=dict, init=False, repr=False)

    def indices(self, step: int, rows: range) -> list[int]:
        """Return the examples that are `rows` of step `step`.

        Every epoch visits each example once, in its own order.
        """
        first = step * self.batch_size
        return [self._example(first + row) for row in rows]

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
        if source is None:
            return None
        return self._blockwise(source, "bridge", step, rows, {})

    def pairs(self, step: int, rows: range) -> Pairing:
        """Return paired noise and data of `rows`, on the CPU.

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
        x1 = self._points(batch.pop("x1"), step, rows)
        if not self.data.space.flat:
            # tokens become whole floating-point numbers, as every state of a flow
            x1 = x1 if x1.is_floating_point() else x1.float()
            self.data.space.require(x1, f"{type(self.data).__name__} (a batch of step {step})")
        x0 = batch.pop("x0", None)  # a dataset of pairs provides the noise
        given = {k: v for k, v in batch.items() if k not in self.ignored}
        if x0 is None:
            x0 = self._noise(step, rows, given)  # sources read undropped conditions
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

    def _example(self, position: int) -> int:
        epoch, place = divmod(position, self.data.length)
        return int(_epoch_order(self.seed, epoch, self.data.length)[place])

    def _points(self, x1: Tensor, step: int, rows: range) -> Tensor:
        if not isinstance(self.data, ImageDataset):
            return x1
        parts = []
        for block, padded, own in _blocks(rows):
            generator = generator_for(self.seed, "data", step, block)
            parts.append(self._augmented(self.data, x1[padded], generator)[own])
        return torch.cat(parts)

    def _augmented(self, data: ImageDataset, k: Tensor, generator: torch.Generator) -> Tensor:
        if data.flip:
            mirrored = torch.rand(len(k), generator=generator) < 0.5
            k = torch.where(mirrored[:, None, None, None], k.flip(-1), k)
        return from_levels(k, data.levels, data.dequantize, generator)

    def _noise(self, step: int, rows: range, condition: dict[str, Tensor]) -> Tensor:
        return self._blockwise(self.path.noise(), "noise", step, rows, condition)

    def _blockwise(
        self, source: Source, purpose: str, step: int, rows: range, condition: dict[str, Tensor]
    ) -> Tensor:
        parts = []
        for block, padded, own in _blocks(rows):
            generator = generator_for(self.seed, purpose, step, block)
            given = {k: v[padded] for k, v in condition.items()} or None
            drawn = source.sample(BLOCK, self.data.shape, generator, given)
            wanted = (BLOCK, *self.data.shape)
            require_shape(drawn, wanted, f"a draw of source {type(source).__name__}")
            parts.append(drawn[own])
        return torch.cat(parts)

    def _with_dropout(
        self, condition: dict[str, Tensor], step: int, rows: range
    ) -> dict[str, Tensor]:
        """Replace entries by their null values, each with its probability in `dropout`."""
        for name, probability in self.dropout.items():
            if name not in condition:
                continue
            coins = generator_for(self.seed, f"drop/{name}", step)
            chance = torch.rand(self.batch_size, generator=coins)[rows.start : rows.stop]
            condition = {**condition, **dropped(condition, name, chance < probability)}
        return condition


@dataclass(frozen=True)
class _Drawn:
    x0: Tensor
    x1: Tensor
    condition: dict[str, Tensor]


def _blocks(rows: range) -> Iterator[tuple[int, Tensor, slice]]:
    """Yield the blocks that overlap `rows`: number, BLOCK indices into `rows`, the slice wanted.

    A block is always drawn completely, so that a row does not depend on where the batch is split;
    indices outside `rows` repeat the nearest one inside.
    """
    for block in range(rows.start // BLOCK, -(-rows.stop // BLOCK)):
        positions = torch.arange(block * BLOCK, (block + 1) * BLOCK) - rows.start
        low = max(0, rows.start - block * BLOCK)
        high = min(BLOCK, rows.stop - block * BLOCK)
        yield block, positions.clamp(0, len(rows) - 1), slice(low, high)


@lru_cache(maxsize=2)
def _epoch_order(seed: int, epoch: int, length: int) -> Tensor:
    return torch.randperm(length, generator=generator_for(seed, "order", epoch))
