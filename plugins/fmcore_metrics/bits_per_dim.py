"""The negative log-likelihood of held-out images, in bits a dimension."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, final

import torch
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
    Rows,
    RowValues,
    Solver,
)
from fmcore.interfaces.levels import Dequantize, dequantized, offset_bits
from fmcore_metrics.log_likelihood import (
    Divergence,
    Likelihood,
    Precision,
    Probe,
    in_precision,
    refuse_mask,
    standard_error,
)

__all__ = ["BitsPerDim"]


@final
@dataclass(frozen=True)
class BitsPerDim(RowMetric):
    """Negative log-likelihood of held-out images, in bits a dimension.

    An image of levels k is dequantised as x = k + u.  The mean of p(x) over K draws of u bounds its
    likelihood from below; log p(x) is computed by solving the flow backwards from x.  More draws
    give a tighter bound: `dequantisation_samples` lists the K to report, each as `bits_per_dim_kK`
    if there are several, and the largest as `bits_per_dim`.  u is a function of (seed, index,
    draw), so that K = 1 uses the first draw of K = 20.

    `divergence: auto` is exact up to 32 dimensions and Hutchinson's estimate with fixed probes
    beyond.  `solver` is dopri5 at 1e-5 by default.  `dtype: float64` runs network and solve in
    double precision.  The standard error is over images.  Source: eq. 31-37 and 47.
    """

    consumes = "data"
    density = True

    divergence: Divergence = "auto"
    n_probes: Annotated[int, Gt(0)] = 1
    probe: Probe = "rademacher"
    dequantisation_samples: tuple[int, ...] = (1,)
    solver: Solver | None = None
    dtype: Precision = "float32"

    def __post_init__(self) -> None:
        super().__post_init__()
        draws = self.dequantisation_samples
        whole = all(isinstance(k, int) and k >= 1 for k in draws)
        if not (draws and whole) or len(set(draws)) < len(draws):
            raise ComponentError(
                "bits_per_dim: dequantisation_samples must list different integers of at least 1, "
                f"such as [1, 20]; got {list(draws)}"
            )

    def check(self, data: Dataset, path: Path) -> None:
        if data.levels is None:
            raise ComponentError(
                f"bits_per_dim needs data with levels, such as 8-bit images; {type(data).__name__} "
                "gives continuous values, whose likelihood is a density: use metric 'nll'"
            )
        refuse_mask(data, "bits_per_dim")
        if self.solver is not None:
            self.solver.check(path)

    def prepare(self, evaluation: Evaluation) -> Evaluation:
        self.check(evaluation.data, evaluation.path)
        return in_precision(evaluation, self.dtype, "bits_per_dim")

    def measure(self, batch: MetricBatch, evaluation: Evaluation) -> Mapping[str, Tensor]:
        if batch.levels is None:
            raise DataError("bits_per_dim: the images came without their levels")
        if batch.levels.shape[1:] != evaluation.data.shape:
            raise DataError(
                f"bits_per_dim: images of shape {tuple(batch.levels.shape[1:])} cannot be measured "
                f"as data of shape {tuple(evaluation.data.shape)}"
            )
        likelihood = self._likelihood(evaluation)
        draws = [
            likelihood.log_prob(_points(batch.levels, batch, evaluation, draw), batch, evaluation)
            for draw in range(max(self.dequantisation_samples))
        ]
        return {name: torch.stack([d[name] for d in draws], dim=1) for name in draws[0]}

    def conclude(self, rows: RowValues, evaluation: Evaluation) -> dict[str, Result]:
        if not len(rows):
            raise DataError("bits_per_dim: there is no image to measure")
        by_draws = {k: self._result(k, rows, evaluation) for k in self.dequantisation_samples}
        results = {"bits_per_dim": by_draws[max(by_draws)]}
        if len(by_draws) > 1:
            results |= {f"bits_per_dim_k{k}": result for k, result in by_draws.items()}
        return results

    def _result(self, draws: int, rows: RowValues, evaluation: Evaluation) -> Result:
        dimension = math.prod(evaluation.data.shape)
        offset = offset_bits(_levels(evaluation), _dequantize(evaluation))
        log_p = rows["log_prob"][:, :draws].logsumexp(dim=1) - math.log(draws)
        bits = -log_p / (dimension * math.log(2)) + offset
        likelihood = self._likelihood(evaluation)
        provenance: dict[str, Any] = likelihood.provenance(rows, evaluation) | {
            "dequantisation_samples": draws,
            "dequantize": _dequantize(evaluation),
            "levels": _levels(evaluation),
            "offset_bits": offset,
        }
        value, details = float(bits.mean()), likelihood.details(rows)
        if value < 0:
            details["note"] = (
                "negative: no probability is above 1, so the solve or its trace is wrong"
            )
        return Result(value, standard_error(bits), provenance, bits, details)

    def _likelihood(self, evaluation: Evaluation) -> Likelihood:
        return Likelihood.of(
            math.prod(evaluation.data.shape),
            self.solver,
            self.divergence,
            self.n_probes,
            self.probe,
            self.dtype,
        )


def _points(levels: Tensor, batch: MetricBatch, evaluation: Evaluation, draw: int) -> Tensor:
    """Return dequantised images, `(batch, *shape)`, float64: equal for either precision."""
    rows = Rows(evaluation.seed, "dequantise", draw, batch.indices.tolist())
    return dequantized(
        levels.cpu(), _levels(evaluation), _dequantize(evaluation), rows, torch.float64
    )


def _levels(evaluation: Evaluation) -> int:
    levels = evaluation.data.levels
    if levels is None:
        raise DataError("bits_per_dim: the dataset has no levels")
    return levels


def _dequantize(evaluation: Evaluation) -> Dequantize:
    """Return the map to [-1, 1] that the model was trained with, an option of the dataset."""
    dequantize: Dequantize = getattr(evaluation.data, "dequantize", "uniform")
    return dequantize
