"""Checks of the laws of `Source`, on one source."""

from __future__ import annotations

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.source import Condition, Source
from fmcore.testing.checks import (
    generator,
    require,
    require_close,
    require_equal,
    skip,
    untouched_randomness,
)
from fmcore.testing.options import ComponentChecks
from fmcore.testing.suite import Suite

__all__ = ["SourceSuite"]

DRAWS = 20_000
"""The number of draws: two empirical distribution functions of this size differ by 0.02 once in
10^6 times.
"""


class SourceSuite(ComponentChecks, Suite):
    """Override `component()` to build the source, `shape` if it draws one shape only, and
    `condition` if it needs one.
    """

    interface = Source
    shape: tuple[int, ...] = (2,)

    def condition(self, n: int, shape: tuple[int, ...]) -> Condition | None:
        """Return the condition of `n` draws of `shape`; None by default."""
        return None

    def draw(self, n: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return `n` draws of `shape`."""
        source, condition = self.component(), self.condition(n, self.shape)
        if source.conditional and condition is None:
            skip(f"{type(source).__name__} draws from a condition: override condition()")
        drawn: Tensor = source.sample(n, self.shape, generator(seed), condition, dtype)
        return drawn

    def log_prob(self, x: Tensor) -> Tensor:
        """Return the log-density at `x`; skip the check for a source without one."""
        try:
            found: Tensor = self.component().log_prob(x, self.condition(len(x), self.shape))
        except ComponentError as refused:
            skip(str(refused))
        return found

    def test_draws_have_the_shape_and_dtype_asked_for(self) -> None:
        """`sample(n, shape, ...)` is `(n, *shape)` on the CPU, float32 by default."""
        for dtype in (torch.float32, torch.float64):
            x = self.draw(5, dtype=dtype)
            wanted = (5, *self.shape)
            require(tuple(x.shape) == wanted, f"5 draws are {tuple(x.shape)}, should be {wanted}")
            require(x.dtype == dtype, f"draws are {x.dtype}, should be {dtype}")
            require(x.device.type == "cpu", f"draws are on {x.device}, should be on the CPU")
            require(bool(x.isfinite().all()), "draws are not finite")

    def test_draws_come_from_the_generator_alone(self) -> None:
        """Equal generators give equal draws, different ones different draws; no global generator is
        used."""
        with untouched_randomness("sample"):
            first, again, other = self.draw(8), self.draw(8), self.draw(8, seed=1)
        require_equal(again, first, "draws from an equal generator")
        require(not torch.equal(first, other), "another generator gives the same draws")

    def test_rows_are_independent_draws(self) -> None:
        """Rows differ, and neighbouring rows are uncorrelated."""
        x = self.draw(DRAWS, dtype=torch.float64).flatten(1)
        here, there = x[0::2] - x[0::2].mean(0), x[1::2] - x[1::2].mean(0)
        size = (here.square().mean(0) * there.square().mean(0)).sqrt().clamp_min(1e-12)
        correlation = (here * there).mean(0) / size
        worst = float(correlation.abs().max())
        require(worst < 0.07, f"neighbouring rows are correlated by {worst:.3g}")

    def test_log_prob_is_one_number_a_row(self) -> None:
        """`log_prob(x)` is `(batch,)` in x's dtype; row i depends on row i alone."""
        for dtype in (torch.float32, torch.float64):
            x = self.draw(6, dtype=dtype)
            found = self.log_prob(x)
            require(tuple(found.shape) == (6,), f"log_prob of 6 rows is {tuple(found.shape)}")
            require(found.dtype == dtype, f"log_prob is {found.dtype} for x of {dtype}")
        moved = self.log_prob(torch.cat([x[:1], x[1:] + 0.5]))
        require_close(moved[:1], found[:1], "log_prob of row 0 with other rows changed", rtol=1e-6)

    def test_density_integrates_to_one(self) -> None:
        """exp(log_prob) integrates to 1, estimated by importance sampling from a wider Gaussian."""
        x = self.draw(DRAWS, dtype=torch.float64)
        wide = 1.5 * x.std(0, correction=0)
        z = torch.randn(x.shape, generator=generator(1), dtype=torch.float64)
        points = x.mean(0) + wide * z
        if self.condition(1, self.shape) is not None:
            skip("each row has another density; the next check covers it")
        log_wide = torch.distributions.Normal(x.mean(0), wide).log_prob(points).flatten(1).sum(1)  # type: ignore[no-untyped-call]
        ratio = (self.log_prob(points) - log_wide).exp()
        total, error = float(ratio.mean()), float(ratio.std() / len(ratio) ** 0.5)
        require(
            abs(total - 1) < 6 * error + 1e-3,
            f"the density integrates to {total:.4g} +- {error:.1g}, should be 1",
        )

    def test_draws_follow_the_density(self) -> None:
        """Under the draws, the gradient of log_prob has expectation 0 and -x . grad has the
        dimension as expectation (by parts): `sample` and `log_prob` are of the same distribution.
        """
        x = self.draw(DRAWS, dtype=torch.float64).requires_grad_()
        log_prob = self.log_prob(x)
        (score,) = torch.autograd.grad(log_prob.sum(), x)
        x, score = x.detach().flatten(1), score.flatten(1)
        for name, found, wanted in (
            ("E grad log p", score, 0.0),
            ("E [-x . grad log p] per dimension", -x * score, 1.0),
        ):
            error = found.std(0) / len(x) ** 0.5
            worst = float(((found.mean(0) - wanted).abs() / (error + 1e-12)).max())
            require(
                worst < 6,
                f"{name} is {found.mean():.4g} over draws, should be {wanted:g} "
                f"({worst:.0f} standard errors): sample and log_prob disagree",
            )
