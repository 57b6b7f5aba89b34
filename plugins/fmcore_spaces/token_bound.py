"""An upper bound on the negative log-probability of held-out tokens."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, final

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
    Tokens,
    with_flags,
)
from fmcore_spaces.mixture import MixturePath
from fmcore_spaces.token_objectives import bound_rate

__all__ = ["TokenBound"]


@final
@dataclass(frozen=True)
class TokenBound(RowMetric):
    """The mean bound on -log2 p of held-out tokens, in bits a token.

    The integral over kappa of the rate of `generalized_kl`, at `times` values of kappa for each
    row, one in each of as many equal parts of [0, 1]: unbiased.  The bound is -log2 p itself for a
    mask source and the exact posterior.  The details hold 2^bits, `perplexity_bound`; it is no
    likelihood of a continuous flow, and has another name than `bits_per_dim` for this reason.

    The noise of a row is a function of (seed, index) alone.  The standard error is over rows.
    Source: Shaul et al. 2024 (arXiv 2412.03487), eq. 18; Sahoo et al. 2024 (arXiv 2406.07524).
    """

    consumes = "data"

    times: Annotated[int, Gt(0)] = 32

    def check(self, data: Dataset, path: Path) -> None:
        if not isinstance(data.space, Tokens):
            raise ComponentError(
                f"token_bound is a bound on the probability of tokens, and "
                f"{type(data).__name__} gives points of {type(data.space).__name__}: use metric "
                "'nll' or 'bits_per_dim'"
            )
        if not isinstance(path, MixturePath):
            raise ComponentError(f"token_bound needs path 'mixture', not {type(path).__name__}")

    def prepare(self, evaluation: Evaluation) -> Evaluation:
        self.check(evaluation.data, evaluation.path)
        if evaluation.field is None:
            raise DataError("token_bound needs a trained network; these are only samples")
        return evaluation

    def measure(self, batch: MetricBatch, evaluation: Evaluation) -> Mapping[str, Tensor]:
        field, path, device = evaluation.field, evaluation.path, evaluation.device
        if batch.x is None or field is None or not isinstance(path, MixturePath):
            raise DataError("token_bound: the batch holds no tokens")
        x1 = batch.x.to(device).float()
        condition = {
            name: value.to(device)
            for name, value in with_flags(batch.condition, evaluation.data.entries).items()
            if name != "label" or "label" in field.model.reads
        }
        with torch.no_grad():
            prepared = field.prepare(condition or None)
            nats = torch.zeros(len(x1), dtype=torch.float64)
            for part in range(self.times):
                kappa, x0, z = self._drawn(x1, batch, path, evaluation.seed, part)
                t = path.inverse_kappa(kappa)
                xt = path.sample(x0, x1, t.float(), z).xt
                logits = field.predict(xt, t.float(), prepared, target="posterior")
                rate = bound_rate(logits.double(), xt, x1).flatten(1).mean(1)
                nats += (rate / (1 - kappa) / self.times).cpu()
        return {"nats": nats}

    def _drawn(
        self, x1: Tensor, batch: MetricBatch, path: MixturePath, seed: int, part: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return kappa in the part's share of [0, 1), noise and z of each row."""
        shape = tuple(x1.shape[1:])
        rows = Rows(seed, "token_bound", part, batch.indices, x1.device)
        kappa = (part + rows.uniform((), torch.float64)) / self.times
        return kappa, path.noise().sample(rows, shape), path.bridge().sample(rows, shape)

    def conclude(self, rows: RowValues, evaluation: Evaluation) -> dict[str, Result]:
        if not len(rows):
            raise DataError("token_bound: there is no row to measure")
        bits = rows["nats"] / math.log(2)
        provenance = {
            "count": len(rows),
            "times": self.times,
            "seed": evaluation.seed,
            "data": evaluation.data.fingerprint,
            "split": evaluation.data.split,
        }
        value = float(bits.mean())
        error = float(bits.std() / len(bits) ** 0.5) if len(bits) > 1 else None
        details = {
            "perplexity_bound": 2**value,
            "note": "a bound on the probability of tokens, in bits a token: not comparable with "
            "bits_per_dim, a likelihood of dequantised levels",
        }
        return {"token_bound": Result(value, error, provenance, bits, details)}
