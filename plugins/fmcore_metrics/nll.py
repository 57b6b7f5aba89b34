"""The negative log-likelihood of held-out points, in nats."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, final

from annotated_types import Gt
from torch import Tensor

from fmcore import (
    ComponentError,
    DataError,
    Dataset,
    Evaluation,
    MetricBatch,
    Path,
    Result,
    RowMetric,
    RowValues,
    Solver,
)
from fmcore_metrics.log_likelihood import (
    Divergence,
    Likelihood,
    Precision,
    Probe,
    in_precision,
    refuse_mask,
    standard_error,
)

__all__ = ["NLL"]


@final
@dataclass(frozen=True)
class NLL(RowMetric):
    """The mean of -log p over held-out points of continuous data, in nats.

    Its minimum is the differential entropy of the data.

    `divergence: auto` is exact up to 32 dimensions and Hutchinson's estimate with fixed probes
    beyond.  `solver` is dopri5 at 1e-5 by default.  `dtype: float64` runs network and solve in
    double precision.  The standard error is over points.  Source: eq. 31-35.
    """

    consumes = "data"
    density = True

    divergence: Divergence = "auto"
    n_probes: Annotated[int, Gt(0)] = 1
    probe: Probe = "rademacher"
    solver: Solver | None = None
    dtype: Precision = "float32"

    def check(self, data: Dataset, path: Path) -> None:
        if data.levels is not None:
            raise ComponentError(
                f"nll is a density of continuous data; {type(data).__name__} has {data.levels} "
                "levels a value, whose likelihood is a probability: use metric 'bits_per_dim'"
            )
        refuse_mask(data, "nll")
        if not data.space.continuous:
            raise ComponentError(
                f"nll is a density, and {type(data).__name__} gives tokens, which have a "
                "probability: use metric 'token_bound'"
            )
        if self.solver is not None:
            self.solver.check(path)

    def prepare(self, evaluation: Evaluation) -> Evaluation:
        self.check(evaluation.data, evaluation.path)
        return in_precision(evaluation, self.dtype, "nll")

    def measure(self, batch: MetricBatch, evaluation: Evaluation) -> Mapping[str, Tensor]:
        if batch.x is None:
            raise DataError("nll: the batch holds no points")
        return self._likelihood(evaluation).log_prob(batch.x, batch, evaluation)

    def conclude(self, rows: RowValues, evaluation: Evaluation) -> dict[str, Result]:
        if not len(rows):
            raise DataError("nll: there is no point to measure")
        nats = -rows["log_prob"]
        likelihood = self._likelihood(evaluation)
        provenance, details = likelihood.provenance(rows, evaluation), likelihood.details(rows)
        return {"nll": Result(float(nats.mean()), standard_error(nats), provenance, nats, details)}

    def _likelihood(self, evaluation: Evaluation) -> Likelihood:
        return Likelihood.of(
            math.prod(evaluation.data.shape),
            self.solver,
            self.divergence,
            self.n_probes,
            self.probe,
            self.dtype,
        )
