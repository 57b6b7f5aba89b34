"""Objectives of tokens: the posterior of x1 given xt."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor
from torch.nn import functional as F

from fmcore import (
    Batch,
    ComponentError,
    Net,
    Objective,
    Path,
    PathSample,
    Quantity,
    Space,
    Tokens,
    append_dims,
    stratified_times,
)
from fmcore_spaces.mixture import MixturePath

__all__ = ["CrossEntropy", "GeneralizedKL", "log_posterior"]

LAST_TIME = 1 - 1e-3
"""Times of `generalized_kl` are drawn below it: its weight is infinite at 1."""


def log_posterior(logits: Tensor, x: Tensor) -> Tensor:
    """Return the log-probability of the tokens `x` in logits `(batch, *shape, classes)`, of x's
    shape; -inf for the mask, which has no logit.
    """
    log = logits.log_softmax(-1)
    index = x.long().clamp(0, log.shape[-1] - 1)
    found = log.gather(-1, index.unsqueeze(-1)).squeeze(-1)
    return torch.where(x < log.shape[-1], found, -torch.inf)


@dataclass(frozen=True)
class _TokenObjective(Objective):
    @property
    def prediction(self) -> Quantity:
        return "posterior"

    @final
    def supports(self, space: Space) -> bool:
        return isinstance(space, Tokens)

    def check(self, path: Path) -> None:
        if not isinstance(path, MixturePath):
            raise ComponentError(
                f"objective {type(self).__name__} trains the posterior of tokens along path "
                f"'mixture', not along {type(path).__name__}"
            )

    def draw(
        self, n: int, generator: torch.Generator, part: tuple[int, int] = (0, 1)
    ) -> Mapping[str, Tensor]:
        return {"t": stratified_times(n, generator, part)}

    @final
    def output_shape(self, path: Path, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*shape, path.tokens.classes) if isinstance(path, MixturePath) else shape

    @final
    def losses(self, net: Net, path: Path, batch: Batch) -> Mapping[str, Tensor]:
        self.check(path)
        sample = batch.at(batch.draws["t"])
        logits = path.constrain(net(sample.xt, sample.t), sample.xt, "posterior")
        return {self.loss_names[0]: self.of_tokens(path, sample, logits, batch)}

    @abstractmethod
    def of_tokens(self, path: Path, sample: PathSample, logits: Tensor, batch: Batch) -> Tensor:
        """Return the loss of each row, `(batch,)`."""


@final
@dataclass(frozen=True)
class CrossEntropy(_TokenObjective):
    """-log p(x1 | xt), averaged over the tokens of a row.

    `where: noised` averages over masked tokens alone, which needs a mask source: all others are
    known.  `auto` is `noised` for a mask source, else `all`.
    Source: Gat et al. 2024 (arXiv 2407.15595), eq. 26.
    """

    where: Literal["auto", "all", "noised"] = "auto"

    @property
    def loss_names(self) -> tuple[str, ...]:
        return ("cross_entropy",)

    def check(self, path: Path) -> None:
        super().check(path)
        if self.where == "noised" and isinstance(path, MixturePath) and not path.masked:
            raise ComponentError(
                "objective 'cross_entropy' with where 'noised' needs source 'mask': elsewhere a "
                "token shows not whether it is noise, and the posterior would be biased"
            )

    def of_tokens(self, path: Path, sample: PathSample, logits: Tensor, batch: Batch) -> Tensor:
        index = sample.x1.long()
        error = F.cross_entropy(logits.movedim(-1, 1), index, reduction="none")
        masked = isinstance(path, MixturePath) and path.masked
        if self.where == "noised" or (self.where == "auto" and masked):
            noised = (sample.xt != sample.x1).to(error.dtype)
            share = batch.mean(noised)
            # a row without a masked token has no loss
            return batch.mean(error * noised) / share.clamp_min(1e-6)
        return batch.mean(error)


@final
@dataclass(frozen=True)
class GeneralizedKL(_TokenObjective):
    """The bound on -log p(x1), in nats a token: kappa' / (1 - kappa) times
    [xt = x1] - p(xt) - [xt != x1] log p(x1), with p the posterior given xt.

    Source: Shaul et al. 2024 (arXiv 2412.03487), eq. 18.
    """

    @property
    def loss_names(self) -> tuple[str, ...]:
        return ("generalized_kl",)

    def draw(
        self, n: int, generator: torch.Generator, part: tuple[int, int] = (0, 1)
    ) -> Mapping[str, Tensor]:
        return {"t": LAST_TIME * stratified_times(n, generator, part)}

    def of_tokens(self, path: Path, sample: PathSample, logits: Tensor, batch: Batch) -> Tensor:
        if not isinstance(path, MixturePath):
            raise ComponentError("objective 'generalized_kl' needs path 'mixture'")
        divergence = bound_rate(logits, sample.xt, sample.x1)
        return batch.mean(append_dims(path.rate(sample.t), divergence) * divergence)


def bound_rate(logits: Tensor, xt: Tensor, x1: Tensor) -> Tensor:
    """Return [xt = x1] - p(xt) - [xt != x1] log p(x1) of each token."""
    same = xt == x1
    surprise = torch.where(same, 0.0, -log_posterior(logits, x1))
    return same.to(logits.dtype) - log_posterior(logits, xt).exp() + surprise
