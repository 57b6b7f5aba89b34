"""Checks of the laws of `Objective`, on one objective."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final, get_args

import torch
from torch import Tensor

from fmcore.interfaces.objective import Objective
from fmcore.interfaces.path import AffinePath, Coefficients, Path, PathSample, Quantity
from fmcore.testing.checks import (
    generator,
    require,
    require_close,
    require_equal,
    untouched_randomness,
)
from fmcore.testing.options import ComponentChecks
from fmcore.testing.suite import Suite

__all__ = ["ObjectiveSuite"]

N = 512


class ObjectiveSuite(ComponentChecks, Suite):
    """Override `component()` to build the objective, and `path` if it needs a special path.

    The default path is a quarter circle on the interval where alpha and sigma are at least 0.1.
    """

    interface = Objective

    def path(self) -> Path:
        """Return the path to train on."""
        return _Arc()

    def times(self, n: int = N, seed: int = 0) -> Tensor:
        """Return `n` times of the path's interval, drawn as in training."""
        path = self.path()
        fraction: Tensor = self.component().sample_time(n, generator(seed))
        return path.t_min + (path.t_max - path.t_min) * fraction

    def drawn(self, n: int = 32, shape: tuple[int, ...] = (3,)) -> PathSample:
        """Return a batch of the path at training times, in float64."""
        g = generator(4)
        x0, x1 = (torch.randn((n, *shape), generator=g, dtype=torch.float64) for _ in range(2))
        return self.path().sample(x0, x1, self.times(n).double())

    def test_predicts_a_known_quantity(self) -> None:
        """`prediction` is velocity, data, noise or score."""
        prediction = self.component().prediction
        require(
            prediction in get_args(Quantity),
            f"prediction is {prediction!r}, should be one of {', '.join(get_args(Quantity))}",
        )

    def test_accepts_its_path(self) -> None:
        """`check` accepts the path of this suite."""
        self.component().check(self.path())

    def test_times_are_fractions(self) -> None:
        """`sample_time(n, generator)` is `(n,)`, float32, in [0, 1], and not constant."""
        for n in (1, 7, N):
            t = self.component().sample_time(n, generator(0))
            require(tuple(t.shape) == (n,), f"{n} times have shape {tuple(t.shape)}")
            require(t.dtype == torch.float32, f"times are {t.dtype}, should be torch.float32")
            low, high = float(t.min()), float(t.max())
            require(
                low >= 0 and high <= 1, f"times range from {low:.4g} to {high:.4g}, outside [0, 1]"
            )
        require(high > low, f"{N} times are all {low:.4g}")

    def test_times_come_from_the_generator_alone(self) -> None:
        """Equal generators give equal times, different ones different times; no global generator is
        used."""
        objective = self.component()
        with untouched_randomness("sample_time"):
            first, again, other = (objective.sample_time(N, generator(s)) for s in (0, 0, 1))
        require_equal(again, first, "times from an equal generator")
        require(not torch.equal(first, other), "another generator gives the same times")

    def test_parts_of_a_batch_are_drawn_like_the_whole(self) -> None:
        """The parts (k, of) of a batch, drawn separately, together have the distribution of a batch
        drawn at once."""
        objective = self.component()
        parts = [objective.sample_time(N, generator(k), (k, 8)) for k in range(8)]
        for k, part in enumerate(parts):
            require(tuple(part.shape) == (N,), f"part {k} of 8 has shape {tuple(part.shape)}")
        whole = objective.sample_time(8 * N, generator(9)).double().sort().values
        together = torch.cat(parts).double().sort().values
        # two empirical distribution functions of 4096 draws differ by 0.06 once in 10^6 times
        grid = torch.linspace(0, 1, 257, dtype=torch.float64)
        apart = (_below(together, grid) - _below(whole, grid)).abs().max()
        require(
            bool(apart < 0.06),
            f"the distribution functions of 8 parts and of the whole differ by {float(apart):.3g}",
        )

    def test_weights_are_finite_and_not_negative(self) -> None:
        """`weight(path, t)` is `(batch,)` in t's dtype, finite and >= 0 at all training times, and
        not identically 0."""
        objective, path = self.component(), self.path()
        for dtype in (torch.float32, torch.float64):
            t = self.times().to(dtype)
            weight = objective.weight(path, t)
            found = f"{tuple(weight.shape)}, {weight.dtype}"
            require(
                weight.shape == t.shape and weight.dtype == dtype,
                f"the weight is {found}; t is {tuple(t.shape)}, {dtype}",
            )
            bad = t[~(weight.isfinite() & (weight >= 0))]
            require(
                len(bad) == 0,
                f"the weight is negative or not finite at t = {bad[:3].tolist()}",
            )
        require(bool((weight > 0).any()), "the weight is 0 at every time")

    def test_weights_of_rows_are_independent(self) -> None:
        """The weight of row i depends on t[i] alone."""
        objective, path = self.component(), self.path()
        t = self.times(16).double()
        alone = torch.cat([objective.weight(path, t[i : i + 1]) for i in range(16)])
        require_close(objective.weight(path, t), alone, "weights together and one by one")

    def test_target_is_what_was_drawn(self) -> None:
        """The target of a drawn pair is its ut, x1 or x0, or the score of N(alpha x1, sigma^2) at
        xt."""
        objective, path, s = self.component(), self.path(), self.drawn()
        wanted = {"velocity": s.ut, "data": s.x1, "noise": s.x0}
        if objective.prediction == "score" and isinstance(path, AffinePath):
            c = path.coefficients(s.t)
            mean, width = c.alpha[:, None] * s.x1, c.sigma[:, None]
            wanted["score"] = -(s.xt - mean) / width**2
        if objective.prediction in wanted:
            target = objective.target(path, s)
            require_close(target, wanted[objective.prediction], "the target", rtol=1e-6)

    def test_loss_is_the_weighted_mean_square_of_each_row(self) -> None:
        """`loss` is `(batch,)`: the weight times the mean square error of a row, 0 at the target;
        elements with `mask` 0 do not count."""
        objective, path = self.component(), self.path()
        for shape in ((3,), (2, 4, 4)):
            s = self.drawn(8, shape)
            target, weight = objective.target(path, s), objective.weight(path, s.t)
            zeros = torch.zeros(8, dtype=torch.float64)
            require_close(objective.loss(path, s, target), zeros, "the loss at the target")
            require_close(
                objective.loss(path, s, target + 2), 4 * weight, "the loss 2 off the target"
            )
            mask = torch.ones_like(target)
            mask[..., 0] = 0
            condition = {"mask": mask}
            found = objective.loss(path, s, target + 2 + 7 * (1 - mask), condition)
            require_close(found, 4 * weight, "the loss 2 off the target, and more where mask is 0")


def _below(ordered: Tensor, grid: Tensor) -> Tensor:
    """Return the share of values below each point of the grid."""
    return torch.searchsorted(ordered, grid).double() / len(ordered)


@final
@dataclass(frozen=True)
class _Arc(AffinePath):
    """A quarter circle without its ends, so that every quantity is finite on it."""

    @property
    def t_min(self) -> float:
        return 0.064  # alpha = 0.1

    @property
    def t_max(self) -> float:
        return 0.936  # sigma = 0.1

    def coefficients(self, t: Tensor) -> Coefficients:
        alpha, sigma = (math.pi / 2 * t).sin(), (math.pi / 2 * t).cos()
        return Coefficients(alpha, sigma, math.pi / 2 * sigma, -math.pi / 2 * alpha)
