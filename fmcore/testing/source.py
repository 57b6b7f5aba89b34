"""Checks of the laws of `Source`, on one source."""

from __future__ import annotations

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.rows import Rows
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
        """Return the condition of rows 0 to n - 1; None by default."""
        return None

    def draw(self, rows: Rows, dtype: torch.dtype = torch.float32, of: int = 0) -> Tensor:
        """Return the draws of `rows`, of `shape`: row i under row i of `condition(of)`, by default
        of as many rows as needed.
        """
        source = self.component()
        condition = self.condition(of or 1 + int(rows.numbers.max()), self.shape)
        if source.conditional and condition is None:
            skip(f"{type(source).__name__} draws from a condition: override condition()")
        given = condition and {name: value[rows.numbers] for name, value in condition.items()}
        drawn: Tensor = source.sample(rows, self.shape, given, dtype)
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
            x = self.draw(_rows(5), dtype)
            wanted = (5, *self.shape)
            require(tuple(x.shape) == wanted, f"5 draws are {tuple(x.shape)}, should be {wanted}")
            require(x.dtype == dtype, f"draws are {x.dtype}, should be {dtype}")
            require(x.device.type == "cpu", f"draws are on {x.device}, should be on the CPU")
            require(bool(x.isfinite().all()), "draws are not finite")

    def test_draws_come_from_the_rows_alone(self) -> None:
        """Equal rows of random numbers give equal draws, those of another seed different ones; no
        global generator is used."""
        with untouched_randomness("sample"):
            first, again, other = self.draw(_rows(8)), self.draw(_rows(8)), self.draw(_rows(8, 1))
        require_equal(again, first, "draws from equal rows of random numbers")
        require(not torch.equal(first, other), "another seed gives the same draws")

    def test_row_i_depends_on_its_own_numbers_alone(self) -> None:
        """A row is the same in any batch and in any order."""
        whole, some = self.draw(_rows(16), torch.float64), [11, 2, 7]
        found = self.draw(Rows(0, "source", 0, some), torch.float64, of=16)
        # not to the bit: a vectorised function may round the end of a batch in another way
        require_close(found, whole[some], "rows 11, 2, 7 of 16, drawn without the others")

    def test_rows_are_independent_draws(self) -> None:
        """Rows differ, and neighbouring rows are uncorrelated."""
        x = self.draw(_rows(DRAWS), torch.float64).flatten(1)
        here, there = x[0::2] - x[0::2].mean(0), x[1::2] - x[1::2].mean(0)
        size = (here.square().mean(0) * there.square().mean(0)).sqrt().clamp_min(1e-12)
        correlation = (here * there).mean(0) / size
        worst = float(correlation.abs().max())
        require(worst < 0.07, f"neighbouring rows are correlated by {worst:.3g}")

    def test_log_prob_is_one_number_a_row(self) -> None:
        """`log_prob(x)` is `(batch,)` in x's dtype; row i depends on row i alone."""
        for dtype in (torch.float32, torch.float64):
            x = self.draw(_rows(6), dtype)
            found = self.log_prob(x)
            require(tuple(found.shape) == (6,), f"log_prob of 6 rows is {tuple(found.shape)}")
            require(found.dtype == dtype, f"log_prob is {found.dtype} for x of {dtype}")
        moved = self.log_prob(torch.cat([x[:1], x[1:] + 0.5]))
        require_close(moved[:1], found[:1], "log_prob of row 0 with other rows changed", rtol=1e-6)

    def test_density_has_the_precision_of_x(self) -> None:
        """In float64, differences of log_prob over 2e-5 are those of its gradient to 1e-5: nothing
        on the way is float32."""
        errors = []
        for seed in range(16):
            x = self.draw(_rows(1, seed), torch.float64)
            step = 1e-5 * torch.randn(x.shape, generator=generator(seed), dtype=torch.float64)
            x = x.requires_grad_()
            score = _gradient(self.log_prob(x), x)
            x = x.detach()
            found = self.log_prob(x + step) - self.log_prob(x - step)
            errors.append(float((found - 2 * (score * step).sum()).abs()))
        # the median: an edge or a kink of the density between two points is no fault
        error = sorted(errors)[len(errors) // 2]
        require(
            error < 1e-9,
            f"differences of log_prob over 2e-5 are off by {error:.1g} in float64: it computes in "
            "float32",
        )

    def test_density_integrates_to_one(self) -> None:
        """exp(log_prob) integrates to 1, estimated by importance sampling from a wider Gaussian."""
        if self.condition(1, self.shape) is not None:
            skip("each row has another density; the next check covers it")
        _, ratio = self._importance()
        total, error = float(ratio.mean()), float(ratio.std() / len(ratio) ** 0.5)
        require(
            abs(total - 1) < 6 * error + 1e-3,
            f"the density integrates to {total:.4g} +- {error:.1g}, should be 1",
        )

    def test_draws_follow_the_density(self) -> None:
        """Under the draws, the gradient of log_prob has expectation 0 and -x . grad has the
        dimension as expectation (by parts): `sample` and `log_prob` are of the same distribution.
        A density with an edge, where that does not hold, has the means of cosines that the draws
        have.
        """
        x = self.draw(_rows(DRAWS), torch.float64)
        if self.condition(1, self.shape) is None:
            points, ratio = self._importance()
            if bool((ratio == 0).any()):
                self._require_equal_means(x, points, ratio)
                return
        x = x.requires_grad_()
        score = _gradient(self.log_prob(x), x)
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

    def _importance(self) -> tuple[Tensor, Tensor]:
        """Return points of a Gaussian that is wider than the source, and the ratio of the source's
        density to theirs, `(DRAWS,)`.
        """
        x = self.draw(_rows(DRAWS), torch.float64)
        wide = 1.5 * x.std(0, correction=0)
        z = torch.randn(x.shape, generator=generator(1), dtype=torch.float64)
        points = x.mean(0) + wide * z
        log_wide = torch.distributions.Normal(x.mean(0), wide).log_prob(points).flatten(1).sum(1)  # type: ignore[no-untyped-call]
        return points, (self.log_prob(points) - log_wide).exp()

    def _require_equal_means(self, x: Tensor, points: Tensor, ratio: Tensor) -> None:
        """Require that the means of cosines over draws are those over points, weighted by ratio."""
        scale = 1 / x.std(0, correction=0)
        for rate in (1.0, 2.0):
            drawn = (rate * scale * (x - x.mean(0))).cos().flatten(1)
            weighed = ratio[:, None] * (rate * scale * (points - x.mean(0))).cos().flatten(1)
            error = ((drawn.var(0) + weighed.var(0)) / len(x)).sqrt()
            away = (drawn.mean(0) - weighed.mean(0)).abs() / (error + 1e-12)
            require(
                float(away.max()) < 6,
                f"the mean of cos(x) over draws is {float(away.max()):.0f} standard errors from "
                "that of the density: sample and log_prob disagree",
            )


def _rows(n: int, seed: int = 0) -> Rows:
    return Rows(seed, "source", 0, range(n))


def _gradient(log_prob: Tensor, x: Tensor) -> Tensor:
    """Return the gradient by x; zeros for a density that is constant where it is not 0."""
    if not log_prob.requires_grad:
        return torch.zeros_like(x)
    (found,) = torch.autograd.grad(log_prob.sum(), x, materialize_grads=True)
    return found
