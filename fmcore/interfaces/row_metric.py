"""A metric by what it keeps of each row, and what it makes of all of them.

Kept by index and put in order before anything is computed, the rows give the same bits however they
were batched, shared among processes, or measured before and after an interruption.
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

__all__ = ["RowMetric", "Rows"]

ENDED = "ended"
"""The column that holds the status of each row's solve: those that fell short are counted in the
details of every result."""


@final
@dataclass(frozen=True)
class Rows:
    """What a metric kept of the rows it was given, in the order of their indices.

    `indices` is `(rows,)` int64, ascending, each once; every column is `(rows, ...)`.
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
class Tally:
    """The rows since `begin`, as they came."""

    def __init__(self) -> None:
        self.given: Evaluation | None = None
        self.evaluation: Evaluation | None = None
        self.parts: list[dict[str, Tensor]] = []

    def rows(self) -> Rows:
        """All rows in order.  Raises ComponentError where an index came twice."""
        if not self.parts:
            return Rows(torch.empty(0, dtype=torch.int64))
        whole = self._whole()
        indices, order = whole.pop("indices").sort(stable=True)
        twice = indices[1:][indices[1:] == indices[:-1]]
        if len(twice):
            raise ComponentError(
                f"sample {int(twice[0])} was measured {1 + int((twice == twice[0]).sum())} times: "
                "processes must share the indices out, none to two"
            )
        if torch.equal(order, torch.arange(len(order))):  # as most streams come: no second copy
            return Rows(indices, whole)
        return Rows(indices, {name: column[order] for name, column in whole.items()})

    def _whole(self) -> dict[str, Tensor]:
        """The parts as one, which takes their place."""
        if len(self.parts) > 1:
            names = list(self.parts[0])
            self.parts = [{name: torch.cat([p.pop(name) for p in self.parts]) for name in names}]
        return dict(self.parts[0])


@dataclass(frozen=True)
class RowMetric(Options, Metric):
    """A metric whose author writes `measure` and `conclude`; batching, order, merging and resuming
    are derived.

    `count` leaves out the rows whose index is not below it.  Law beside those of Metric: what
    `measure` keeps of a row depends on that row, its index and the evaluation alone.
    """

    count: Annotated[int, Gt(0)] | None = field(default=None, kw_only=True)
    _tally: Tally = field(default_factory=Tally, init=False, repr=False, compare=False)

    def prepare(self, evaluation: Evaluation) -> Evaluation:
        """What `measure` and `conclude` are to look at, made once by `begin`: by default as it is.

        Here a metric may put the network into another precision, or refuse an evaluation.
        """
        return evaluation

    @abstractmethod
    def measure(self, batch: MetricBatch, evaluation: Evaluation) -> Mapping[str, Tensor]:
        """What to keep of each row, by name: tensors `(batch, ...)` of a fixed dtype, on the CPU.

        The same names whatever the batch.
        """

    @abstractmethod
    def conclude(self, rows: Rows, evaluation: Evaluation) -> dict[str, Result]:
        """The results from all rows, of which there may be none."""

    @final
    def begin(self, evaluation: Evaluation) -> None:
        tally = self._tally
        tally.parts = []
        if tally.given is not evaluation:  # a tally of many parts begins again with each
            tally.evaluation = self.prepare(evaluation)
            tally.given = evaluation

    @final
    def update(self, batch: MetricBatch) -> None:
        own = batch if self.count is None else batch.rows(batch.indices < self.count)
        if not len(own.indices):
            return
        kept = self.measure(own, self._evaluation)
        ended = torch.zeros(len(own.indices)) if own.status is None else own.status.cpu()
        own_rows = {"indices": own.indices.cpu(), ENDED: ended.to(torch.int8)}
        self._tally.parts.append({**own_rows, **kept})

    @final
    def compute(self) -> dict[str, Result]:
        rows = self._tally.rows()
        results = self.conclude(rows, self._evaluation)
        short = int(rows[ENDED].count_nonzero()) if len(rows) else 0
        if not short:
            return results
        note = {"unfinished_samples": short}
        return {name: replace(r, details={**r.details, **note}) for name, r in results.items()}

    @final
    def state(self) -> dict[str, Tensor]:
        rows = self._tally.rows()
        return {"indices": rows.indices, **rows.columns} if len(rows) else {}

    @final
    def merge(self, state: Mapping[str, Tensor]) -> None:
        if state:
            self._tally.parts.append(dict(state))

    @property
    def _evaluation(self) -> Evaluation:
        if self._tally.evaluation is None:
            raise ComponentError(f"{type(self).__name__}: begin(evaluation) must come first")
        return self._tally.evaluation
