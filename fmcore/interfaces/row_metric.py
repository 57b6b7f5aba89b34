"""Metrics computed from values of each row.

The values are sorted by the row's index before the result is computed, so that it has the same bits
for any batching, any number of processes, and any interruptions.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, final

import torch
from annotated_types import Gt
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.metric import Evaluation, Metric, MetricBatch, Result
from fmcore.interfaces.options import Options

__all__ = ["RowMetric", "RowValues"]

ENDED = "ended"
"""The column with the status of each row's solve; failed ones are counted in the details of every
result."""


@final
@dataclass(frozen=True)
class RowValues:
    """The values of all rows, in the order of their indices.

    `indices` is `(rows,)` int64, strictly increasing; every column is `(rows, ...)`.
    """

    indices: Tensor
    columns: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, column: str) -> Tensor:
        return self.columns[column]

    def __contains__(self, column: str) -> bool:
        return column in self.columns


@final
class _RowBuffer:
    """The rows since `begin`, in the order of arrival."""

    def __init__(self) -> None:
        self.given: Evaluation | None = None
        self.evaluation: Evaluation | None = None
        self.parts: list[dict[str, Tensor]] = []

    def rows(self) -> RowValues:
        """Return all rows in order.  Raises ComponentError for an index that occurs twice."""
        if not self.parts:
            return RowValues(torch.empty(0, dtype=torch.int64))
        whole = self._whole()
        indices, order = whole.pop("indices").sort(stable=True)
        twice = indices[1:][indices[1:] == indices[:-1]]
        if len(twice):
            raise ComponentError(
                f"sample {int(twice[0])} was measured {1 + int((twice == twice[0]).sum())} times: "
                "processes must measure different indices"
            )
        if torch.equal(order, torch.arange(len(order))):  # sorted already: no second copy
            return RowValues(indices, whole)
        return RowValues(indices, {name: column[order] for name, column in whole.items()})

    def _whole(self) -> dict[str, Tensor]:
        """Concatenate the parts, and return the result, which replaces them."""
        if len(self.parts) > 1:
            names = list(self.parts[0])
            self.parts = [{name: torch.cat([p.pop(name) for p in self.parts]) for name in names}]
        return dict(self.parts[0])


@dataclass(frozen=True)
class RowMetric(Options, Metric):
    """A metric whose author writes `measure` and `conclude`; batching, order, merging and resuming
    follow.

    Rows with an index of `count` or above are ignored.  Further law: the values of a row depend on
    that row, its index and the evaluation alone.
    """

    count: Annotated[int, Gt(0)] | None = field(default=None, kw_only=True)
    _buffer: _RowBuffer = field(default_factory=_RowBuffer, init=False, repr=False, compare=False)

    def prepare(self, evaluation: Evaluation) -> Evaluation:
        """Return the evaluation for `measure` and `conclude`, once for each `begin`: by default the
        same one.

        A metric may change the network's precision here, or refuse an evaluation.
        """
        return evaluation

    @abstractmethod
    def measure(self, batch: MetricBatch, evaluation: Evaluation) -> Mapping[str, Tensor]:
        """Return the values of each row, by name: tensors `(batch, ...)` of a fixed dtype, on the
        CPU, with the same names for every batch.
        """

    @abstractmethod
    def conclude(self, rows: RowValues, evaluation: Evaluation) -> dict[str, Result]:
        """Return the results of all rows, of which there may be none."""

    @final
    def begin(self, evaluation: Evaluation) -> None:
        buffer = self._buffer
        buffer.parts = []
        if buffer.given is not evaluation:  # a measurement in parts begins again with each part
            buffer.evaluation = self.prepare(evaluation)
            buffer.given = evaluation

    @final
    def update(self, batch: MetricBatch) -> None:
        own = batch if self.count is None else batch.rows(batch.indices < self.count)
        if not len(own.indices):
            return
        kept = self.measure(own, self._evaluation)
        ended = torch.zeros(len(own.indices)) if own.status is None else own.status.cpu()
        own_rows = {"indices": own.indices.cpu(), ENDED: ended.to(torch.int8)}
        self._buffer.parts.append({**own_rows, **kept})

    @final
    def compute(self) -> dict[str, Result]:
        rows = self._buffer.rows()
        results = self.conclude(rows, self._evaluation)
        short = int(rows[ENDED].count_nonzero()) if len(rows) else 0
        if not short:
            return results
        note = {"unfinished_samples": short}
        return {name: replace(r, details={**r.details, **note}) for name, r in results.items()}

    @final
    def state(self) -> dict[str, Tensor]:
        rows = self._buffer.rows()
        return {"indices": rows.indices, **rows.columns} if len(rows) else {}

    @final
    def merge(self, state: Mapping[str, Tensor]) -> None:
        if state:
            self._buffer.parts.append(dict(state))

    @property
    def _evaluation(self) -> Evaluation:
        if self._buffer.evaluation is None:
            raise ComponentError(f"{type(self).__name__}: begin(evaluation) must come first")
        return self._buffer.evaluation
