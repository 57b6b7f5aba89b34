"""The computation of log p and its provenance, shared by the two likelihood metrics."""

from __future__ import annotations

import copy
import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal, final

import torch
from torch import Tensor

from fmcore import (
    ComponentError,
    DataError,
    Dataset,
    Evaluation,
    Field,
    MetricBatch,
    RowValues,
    Solver,
    Status,
    create,
    log_prob,
    with_flags,
)

__all__ = [
    "Divergence",
    "Likelihood",
    "Precision",
    "Probe",
    "in_precision",
    "refuse_mask",
    "standard_error",
]

Divergence = Literal["auto", "exact", "hutchinson"]
Probe = Literal["rademacher", "gaussian"]
Precision = Literal["float32", "float64"]

EXACT_UP_TO = 32
"""The dimension up to which `auto` is exact: the exact trace costs a backward pass per dimension
and evaluation, an estimate one per probe."""

TOLERANCE = 1e-5
"""The relative and absolute tolerance of dopri5 for likelihoods.  Source: App. E.2."""

MOST_NATS = 745.0
"""The largest log-density per dimension that float64 can represent points of: a cell between two
neighbouring numbers is at least 5e-324 wide, and its probability at most 1."""


@final
@dataclass(frozen=True)
class Likelihood:
    """log p of points along the flow, with all defaults resolved."""

    solver: Solver
    divergence: Literal["exact", "hutchinson"]
    n_probes: int
    probe: Probe
    precision: Precision

    @classmethod
    def of(
        cls,
        dimension: int,
        solver: Solver | None,
        divergence: Divergence,
        n_probes: int,
        probe: Probe,
        precision: Precision,
    ) -> Likelihood:
        """Resolve the default solver and `divergence: auto` for points of `dimension` numbers."""
        if divergence == "auto":
            divergence = "exact" if dimension <= EXACT_UP_TO else "hutchinson"
        if solver is None:
            solver = create("solver", "dopri5", rtol=TOLERANCE, atol=TOLERANCE)
        return cls(solver, divergence, n_probes, probe, precision)

    def log_prob(self, x1: Tensor, batch: MetricBatch, evaluation: Evaluation) -> dict[str, Tensor]:
        """Return `log_prob`, `probe_error` (0 if unknown), `nfe`, `status` of each row, on the CPU.

        The probes of a row are functions of (seed, index) alone, the same for every dequantisation
        of an image: its draws then differ by the noise of the pixels, not by that of the probe,
        which a mean of exp(log p) would turn into a bias.  log p is NaN where it is larger than any
        density of float64 points can be, as an exploded solve must not pass for a good likelihood.
        Raises DataError without a network, or for points of another shape than the data.
        """
        if evaluation.field is None:
            raise DataError("a likelihood needs a trained network; these are only samples")
        if x1.shape != (len(batch.indices), *evaluation.data.shape):
            raise DataError(
                f"points of shape {tuple(x1.shape[1:])} have no likelihood under a model of data "
                f"of shape {tuple(evaluation.data.shape)}"
            )
        device = evaluation.device
        found = log_prob(
            evaluation.field,
            x1.to(device=device, dtype=getattr(torch, self.precision)),
            path=evaluation.path,
            solver=self.solver,
            divergence=self.divergence,
            n_probes=self.n_probes,
            probe=self.probe,
            seed=evaluation.seed,
            sample_ids=batch.indices,
            condition={
                name: value.to(device)
                for name, value in with_flags(batch.condition, evaluation.data.entries).items()
                if name != "label" or _labelled(evaluation)
            }
            or None,
        )
        log_p = found.log_prob.detach().double().cpu()
        log_p = log_p.where(log_p <= MOST_NATS * x1[0].numel(), math.nan)
        error = torch.zeros_like(log_p) if found.error is None else found.error.double().cpu()
        return {
            "log_prob": log_p,
            "probe_error": error,
            "nfe": found.stats.nfe.cpu(),
            "status": found.status.cpu(),
        }

    def provenance(self, rows: RowValues, evaluation: Evaluation) -> dict[str, Any]:
        """Return all settings that change a likelihood."""
        estimated = {"n_probes": self.n_probes, "probe": self.probe}
        return {
            "count": len(rows),
            "solver": repr(self.solver),
            "divergence": self.divergence,
            **(estimated if self.divergence == "hutchinson" else {}),
            "precision": self.precision,
            "conditional": bool(getattr(getattr(evaluation.field, "model", None), "reads", ())),
            "seed": evaluation.seed,
            "data": evaluation.data.fingerprint,
            "split": evaluation.data.split,
        }

    def details(self, rows: RowValues) -> dict[str, Any]:
        """Return the cost of the solves, the standard error of a single log p, and failed rows."""
        details: dict[str, Any] = {"nfe": float(rows["nfe"].double().mean())}
        if self.divergence == "hutchinson" and self.n_probes > 1:
            details["probe_error_nats"] = float(rows["probe_error"].square().mean().sqrt())
        not_finite = ~rows["log_prob"].isfinite()
        unfinished = rows["status"] != Status.SUCCESS
        for what, rows_of_it in (("not_finite", not_finite), ("unfinished", unfinished)):
            if rows_of_it.any():
                details[what] = int(rows_of_it.sum())
        return details


def refuse_mask(data: Dataset, metric: str) -> None:
    """Raise ComponentError for data with a `mask`: their rows have no common dimension."""
    if "mask" in data.entries:
        raise ComponentError(
            f"{metric}: the entry 'mask' of dataset {type(data).__name__} leaves each row a "
            "dimension of its own, so that log-densities cannot be compared or averaged: leave "
            f"'{metric}' out of evaluate.metrics, or use data without a mask"
        )


def in_precision(evaluation: Evaluation, precision: Precision, name: str) -> Evaluation:
    """Return the evaluation with a copy of its network in `precision`.

    Raises DataError where there is no network.
    """
    if evaluation.field is None:
        raise DataError(f"{name}: a likelihood needs a trained network; these are only samples")
    if precision == "float32":
        return evaluation
    if not isinstance(evaluation.field, Field):
        raise DataError(f"{name}: precision=float64 needs the network's own field, unguided")
    model = copy.deepcopy(evaluation.field.model).double()
    wide = dataclasses.replace(evaluation.field, model=model, precision=torch.float32)
    return dataclasses.replace(evaluation, field=wide)


def standard_error(values: Tensor) -> float | None:
    """Return the standard error of the mean of `values`, `(rows,)`; None for a single one."""
    return float(values.std() / len(values) ** 0.5) if len(values) > 1 else None


def _labelled(evaluation: Evaluation) -> bool:
    """Return whether the network reads labels: the likelihood is then conditional on them."""
    return bool(getattr(getattr(evaluation.field, "model", None), "classes", 0))
