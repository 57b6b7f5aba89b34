"""Draw samples by their index: sample i is a function of (seed, i) and of its condition alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from functools import cached_property
from itertools import accumulate
from typing import final

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.flow.field import prepared
from fmcore.interfaces.codec import Codec
from fmcore.interfaces.condition import PRESENT, null_rows, with_flags
from fmcore.interfaces.dataset import Dataset, ImageDataset
from fmcore.interfaces.field import Predictor
from fmcore.interfaces.gaussian import Gaussian
from fmcore.interfaces.levels import from_levels, to_levels
from fmcore.interfaces.model import VectorField
from fmcore.interfaces.problem import Problem, Solution, SolverCallback
from fmcore.interfaces.randomness import noise_of
from fmcore.interfaces.rows import Rows
from fmcore.interfaces.shapes import require_shape
from fmcore.interfaces.solver import Solver
from fmcore.interfaces.source import Condition
from fmcore.recipe.sections import Sample
from fmcore.solving.adaptive.solver import AdaptiveSolver
from fmcore.stages.components import Components
from fmcore.stages.conditions import (
    encode_values,
    readers_of,
    sampling_readers,
    source_reads,
)
from fmcore.stages.shard_entries import CONDITION

__all__ = ["Sampler", "shards_per_solve", "with_refill"]

SOLVER = "solver/"
"""Prefix, in a problem's condition, of the raw entries that the solver itself reads."""

MAX_SHARDS_PER_SOLVE = 8
"""Their states are in memory together, and a stop discards all of them."""


@final
@dataclass(frozen=True)
class Sampler:
    """Draws samples by their index, with a field and the recipe's settings."""

    components: Components
    settings: Sample
    field: Predictor
    device: torch.device
    _conditions: dict[tuple[int, ...], Condition | None] = dataclass_field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def seed(self) -> int:
        """The seed of the samples."""
        own = self.settings.seed
        return self.components.seed if own is None else own

    def condition(self, indices: Sequence[int]) -> Condition | None:
        """Return the raw conditions of samples `indices`, on the CPU; None if there are none.

        Labels are those of the settings, or cyclic, for a network with classes; other conditions
        are those of `settings.condition`.
        """
        key = tuple(indices)
        if key not in self._conditions:
            self._conditions.clear()  # noise, solve and shard of the same samples ask in turn
            self._conditions[key] = self._condition(key)
        return self._conditions[key]

    def _condition(self, indices: tuple[int, ...]) -> Condition | None:
        given = self._given(indices)
        classes, label = getattr(self.field.model, "classes", 0), self.settings.label
        if classes and (label is not None or "label" not in given):
            number = None if label is None else self.components.data.class_number(label)
            cyclic = [i % classes if number is None else number for i in indices]
            given["label"] = torch.tensor(cyclic)
        return with_flags(given, self.components.entries) or None

    def _given(self, indices: tuple[int, ...]) -> dict[str, Tensor]:
        """Return the entries of a split, or of a user, or the null value of what is read."""
        source, entries = self.settings.condition, self.components.entries
        if isinstance(source, str):
            data = self.split_of_conditions
            rows = data.batch([i % data.length for i in indices])
            measured = self._measured(rows["x1"], indices)
            return {**measured, **{k: v for k, v in rows.items() if k in entries}}
        own = {} if source is None else self._own
        # of several rows, such as the sentences of a text, sample i has row i, modulo their number
        found = {k: v[[i % len(v) for i in indices]] for k, v in own.items()}
        for name in readers_of(self.field.model, self.field.path) - found.keys() - {"label"}:
            needed = name in source_reads(self.field.path)
            if name in entries and (needed or not entries[name].droppable):
                raise ComponentError(
                    f"the network or the source reads the condition '{name}': set "
                    f"sample.condition: test, or sample.condition.{name}"
                )
            if name in entries:
                found |= null_rows(name, entries[name], len(indices))
        return found

    def _measured(self, x1: Tensor, indices: tuple[int, ...]) -> dict[str, Tensor]:
        """Return the entries that guidance and the solver make of data points, such as measurements
        of test images; the noise in them is a function of (seed, i) alone.
        """
        readers, data = sampling_readers(self.settings), self.components.data
        if not readers:
            return {}
        rows = Rows(self.seed, "measurement", 0, indices)
        if data.levels is not None:
            how = data.dequantize if isinstance(data, ImageDataset) else "none"
            x1 = from_levels(x1, data.levels, how, rows)
        made: dict[str, Tensor] = {}
        for reader in readers:  # a guidance and a solver may read the same measurement
            made = {**reader.measure(x1, rows), **made}
        return made

    @cached_property
    def split_of_conditions(self) -> Dataset:
        """The split whose conditions the samples have."""
        for known in (self.components.data, self.components.evaluated_data):
            if known.split == self.settings.condition:
                return known
        return self.components.data.with_split(
            "test" if self.settings.condition == "test" else "train"
        )

    @property
    def own_rows(self) -> int:
        """The number of samples that a user's values are for, such as sentences: at least 1."""
        if not isinstance(self.settings.condition, dict):
            return 1
        return max((len(value) for value in self._own.values()), default=1)

    @cached_property
    def _own(self) -> dict[str, Tensor]:
        """The entries that a user gives: one row for every sample, or a row for each."""
        return encode_values(self.components.data, self.settings)

    def noise(self, indices: Sequence[int]) -> Tensor:
        """Return the initial states of samples `indices`, on the CPU."""
        drawn = noise_of(
            self.field.path.prior(),
            indices,
            self.components.state_shape,
            self.seed,
            self.condition(indices),
        )
        if self.settings.temperature == 1:
            return drawn
        if not isinstance(self.field.path.noise(), Gaussian):
            raise ComponentError(
                f"sample.temperature needs Gaussian noise, and the path's source is "
                f"{type(self.field.path.noise()).__name__}: leave it out"
            )
        return self.settings.temperature * drawn

    def solve(
        self,
        x: Tensor,
        indices: Sequence[int],
        t0: float = 0.0,
        t1: float = 1.0,
        times: tuple[float, ...] | None = None,
        *,
        solver: Solver | None = None,
        callback: SolverCallback | None = None,
    ) -> Solution:
        """Integrate `x`, the states of samples `indices` at t0, to t1, recording `times`.

        `solver` defaults to that of the settings.
        """
        with torch.no_grad():
            condition = self._prepared(indices)
        x = x.to(self.device)
        frozen = (condition or {}).get("frozen")
        if frozen is not None and t0 < t1:
            raw = self.condition(indices) or {}
            x = torch.where(frozen, raw["frozen_values"].to(x), x)
        mask = (condition or {}).get("mask")
        problem = Problem(
            field=self.field,
            x0=x if mask is None else x * mask,  # elements that do not exist stay 0
            t0=t0,
            t1=t1,
            path=self.field.path,
            condition=condition,
            sample_ids=torch.tensor(list(indices)),
            seed=self.seed,
            times=times,
            callback=callback,
        )
        with torch.no_grad():
            solution = (solver or self.settings.solver).solve(problem)
        # a stochastic solver adds noise everywhere
        return solution if mask is None else replace(solution, x=solution.x * mask)

    def _prepared(self, indices: Sequence[int]) -> Condition | None:
        """Return the prepared conditions of samples `indices`, on the device."""
        raw = self.condition(indices)
        if raw is not None:
            raw = {k: v.to(self.device) for k, v in raw.items()}
        made = prepared(self.field, raw)
        # a network's `prepare` need not keep what it does not read
        for name in sorted(self.settings.solver.reads & (raw or {}).keys()):
            made = {**(made or {}), f"{SOLVER}{name}": (raw or {})[name]}
        return made

    def draw(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """Return the samples `indices` with the entries of a shard."""
        return self._shard(indices, self.solve(self.noise(indices), indices))

    def draw_together(
        self, shards: Sequence[range], callback: SolverCallback | None = None
    ) -> list[dict[str, Tensor]]:
        """Return the samples of several shards, each equal to that of `draw` up to rounding.

        An adaptive solver draws all in one solve of `batch_size` samples at a time, in which
        waiting samples replace finished ones; `callback` is called with its progress.
        """
        refilling = with_refill(self.settings.solver, self.settings.batch_size)
        if refilling is None or not shards:
            return [self.draw(shard) for shard in shards]
        indices = [i for shard in shards for i in shard]
        solution = self.solve(self.noise(indices), indices, solver=refilling, callback=callback)
        # one solution for all shards, cut into the shards that would have been drawn alone
        drawn = self._shard(indices, solution)
        ends = list(accumulate(map(len, shards)))
        spans = [slice(end - len(shard), end) for shard, end in zip(shards, ends, strict=True)]
        return [{name: rows[span] for name, rows in drawn.items()} for span in spans]

    def _shard(self, indices: Sequence[int], solution: Solution) -> dict[str, Tensor]:
        stats = solution.stats
        # network evaluations per velocity evaluation: guidance makes it two
        forwards = stats.extra.get("forwards", 0) / max(1, stats.calls)
        return {
            "x": self.stored(solution.x, indices),
            "nfe": stats.nfe,
            "forwards": (stats.nfe * forwards).round().long(),
            "status": solution.status,
            **self._stored_condition(indices),
        }

    def described(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """Return the raw conditions of samples `indices`, on the CPU, with the mask that they were
        drawn with: a network may decide how long a sample is.
        """
        raw = dict(self.condition(indices) or {})
        if "mask" in raw and type(self.field.model).prepare is not VectorField.prepare:
            with torch.no_grad():
                made = self._prepared(indices)
            raw["mask"] = (made or raw).get("mask", raw["mask"]).cpu()
        return raw

    def _stored_condition(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """Return the entries of a shard that hold the conditions, and the example of each."""
        stored = {
            # an entry called `x` or `status` must not replace the shard's own
            name if name in ("label", "mask") else f"{CONDITION}{name}": value
            for name, value in self.described(indices).items()
            if not name.startswith(PRESENT)
        }
        if isinstance(self.settings.condition, str):
            length = self.split_of_conditions.length
            stored["example"] = torch.tensor([i % length for i in indices])
        return stored

    def stored(self, x: Tensor, indices: Sequence[int]) -> Tensor:
        """Return states of samples `indices` as shards store them: examples decoded from latents,
        as levels of images, else float32.
        """
        data, codec = self.components.data, self.components.codec
        if codec is not None and codec.encodes:
            x = self._decoded(codec, x, indices)
        if isinstance(data, ImageDataset):
            return to_levels(x, data.levels, data.dequantize)
        return x.float()

    def _decoded(self, codec: Codec, x: Tensor, indices: Sequence[int]) -> Tensor:
        """Return the examples of latents, in batches of the settings' size."""
        parts, size = [], self.settings.batch_size
        condition = self.condition(indices)
        for first in range(0, len(x), size):
            rows = slice(first, first + size)
            own = condition and {k: v[rows].to(x.device) for k, v in condition.items()}
            with torch.no_grad():
                parts.append(codec.decode(x[rows], own).values)
        decoded = torch.cat(parts)
        name = f"what codec {type(codec).__name__} decodes"
        require_shape(decoded, (len(x), *self.components.data.shape), name)
        return decoded


def shards_per_solve(solver: Solver, shards: int, processes: int = 1) -> int:
    """Return how many of `shards` each process draws in one solve.

    At most 8, in solves of equal size; 1 if the solver cannot replace finished samples.
    """
    if with_refill(solver, 1) is None:
        return 1
    # equal sizes rather than 8 and a rest: the last solve would leave processes idle
    share = max(1, math.ceil(shards / processes))
    return math.ceil(share / math.ceil(share / MAX_SHARDS_PER_SOLVE))


def with_refill(solver: Solver, max_active: int) -> Solver | None:
    """Return `solver` with at most `max_active` samples active at once; None if it cannot."""
    # a shared step size depends on all samples of a batch: replacing one would change the others
    if not isinstance(solver, AdaptiveSolver) or solver.step_control != "per_sample":
        return None
    return replace(solver, max_active=min(max_active, solver.max_active or max_active))
