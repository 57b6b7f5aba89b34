"""What the two likelihood metrics share: how log p is computed, and what of it is told."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, final

import torch
from torch import Tensor

from fmcore import DataError, Evaluation, Field, MetricBatch, Rows, Solver, Status, create, log_prob

__all__ = ["Divergence", "Likelihood", "Precision", "Probe", "in_precision", "standard_error"]

Divergence = Literal["auto", "exact", "hutchinson"]
Probe = Literal["rademacher", "gaussian"]
Precision = Literal["float32", "float64"]

EXACT_UP_TO = 32
"""The dimension up to which `auto` is exact: the exact trace costs that many backward passes an
evaluation, an estimate one a probe."""

TOLERANCE = 1e-5
"""Of dopri5, relative and absolute, for likelihoods.  Source: App. E.2."""


@final
@dataclass(frozen=True)
class Likelihood:
    """log p of points along the flow, with settings made definite."""

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
        """Fill in dopri5 at 1e-5, and what `auto` means for points of `dimension` numbers."""
        if divergence == "auto":
            divergence = "exact" if dimension <= EXACT_UP_TO else "hutchinson"
        if solver is None:
            solver = create("solver", "dopri5", rtol=TOLERANCE, atol=TOLERANCE)
        return cls(solver, divergence, n_probes, probe, precision)

    def log_prob(self, x1: Tensor, batch: MetricBatch, evaluation: Evaluation) -> dict[str, Tensor]:
        """`log_prob`, `probe_error` (0 if unknown), `nfe` and `status` of each row, on the CPU.

        The probes of a row are functions of (seed, index) alone, the same for every dequantisation
        of an image: its draws then differ by the noise of the pixels, not by that of the probe,
        which a mean of exp(log p) would turn into a bias.
        """
        if evaluation.field is None:
            raise DataError("a likelihood needs a trained network; these are samples alone")
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
                for name, value in batch.condition.items()
                if name != "label" or _labelled(evaluation)
            }
            or None,
        )
        log_p = found.log_prob.detach().double().cpu()
        error = torch.zeros_like(log_p) if found.error is None else found.error.double().cpu()
        return {
            "log_prob": log_p,
            "probe_error": error,
            "nfe": found.stats.nfe.cpu(),
            "status": found.status.cpu(),
        }

    def provenance(self, rows: Rows, evaluation: Evaluation) -> dict[str, Any]:
        """Everything of this that changes a likelihood."""
        estimated = {"n_probes": self.n_probes, "probe": self.probe}
        return {
            "count": len(rows),
            "solver": repr(self.solver),
            "divergence": self.divergence,
            **(estimated if self.divergence == "hutchinson" else {}),
            "precision": self.precision,
            "conditional": _labelled(evaluation),
            "seed": evaluation.seed,
            "path": repr(evaluation.path),
            "data": evaluation.data.fingerprint,
            "split": evaluation.data.split,
        }

    def details(self, rows: Rows) -> dict[str, Any]:
        """What the solves cost, and how far the probes leave a single log p in doubt."""
        seen: dict[str, Any] = {"nfe": float(rows["nfe"].double().mean())}
        if self.divergence == "hutchinson" and self.n_probes > 1:
            seen["probe_error_nats"] = float(rows["probe_error"].square().mean().sqrt())
        lost = ~rows["log_prob"].isfinite()
        unfinished = rows["status"] != Status.SUCCESS
        for what, rows_of_it in (("not_finite", lost), ("unfinished", unfinished)):
            if rows_of_it.any():
                seen[what] = int(rows_of_it.sum())
        return seen


def in_precision(evaluation: Evaluation, precision: Precision, name: str) -> Evaluation:
    """The evaluation with its network in `precision`; the one given is left as it is.

    Raises DataError where there is no network to ask.
    """
    if evaluation.field is None:
        raise DataError(f"{name}: a likelihood needs a trained network; these are samples alone")
    if precision == "float32":
        return evaluation
    if not isinstance(evaluation.field, Field):
        raise DataError(f"{name}: precision=float64 needs the network's own field, unguided")
    model = copy.deepcopy(evaluation.field.model).double()
    wide = dataclasses.replace(evaluation.field, model=model, precision=torch.float32)
    return dataclasses.replace(evaluation, field=wide)


def standard_error(values: Tensor) -> float | None:
    """Of the mean of `values`, `(rows,)`; None for a single one."""
    return float(values.std() / len(values) ** 0.5) if len(values) > 1 else None


def _labelled(evaluation: Evaluation) -> bool:
    """Whether the network tells classes apart: the likelihood is then that given the label."""
    return bool(getattr(getattr(evaluation.field, "model", None), "classes", 0))
