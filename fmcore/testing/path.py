"""The laws of `Path`, as checks on one path, in float64 unless said otherwise."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from fmcore.interfaces.path import Path, PathSample
from fmcore.interfaces.source import Source
from fmcore.testing.affine import AffineChecks
from fmcore.testing.checks import (
    generator,
    require,
    require_close,
    require_equal,
    untouched_randomness,
)
from fmcore.testing.derivative import central_difference, derivative
from fmcore.testing.instants import from_end_to_end, inside, shown
from fmcore.testing.options import ComponentChecks
from fmcore.testing.suite import Suite

__all__ = ["PathSuite"]

END_TOLERANCE = 0.1
"""How much of the data may show at t_min, and of the noise at t_max, as shares of their spread."""

VECTOR = (3,)
"""The shape of a point where shapes are not what is looked at."""


class PathSuite(ComponentChecks, AffineChecks, Suite):
    """Override `component()` to build the path; `pairs` too if x0 or x1 must be of a special kind,
    such as points of a manifold.
    """

    interface = Path

    def pairs(self, n: int, shape: tuple[int, ...], seed: int = 0) -> tuple[Tensor, Tensor]:
        """`n` draws of x0, from the path's noise, and of x1, each `(n, *shape)` in float64."""
        g = generator(seed)
        x0 = self.component().noise().sample(n, shape, g, dtype=torch.float64)
        return x0, 0.5 + 0.7 * torch.randn((n, *shape), generator=g, dtype=torch.float64)

    def test_interval_lies_within_zero_and_one(self) -> None:
        """0 <= t_min < t_max <= 1."""
        path = self.component()
        require(
            0 <= path.t_min < path.t_max <= 1,
            f"the interval [{path.t_min}, {path.t_max}] must lie in [0, 1] and not be empty",
        )

    def test_point_and_velocity_are_finite_on_the_closed_interval(self) -> None:
        """xt and ut are finite at t_min, at t_max and between, in float32 too."""
        path = self.component()
        for dtype in (torch.float64, torch.float32):
            t = from_end_to_end(path, 33, dtype)
            x0, x1 = self.pairs(len(t), VECTOR)
            for name, value in _fields(path.sample(x0.to(dtype), x1.to(dtype), t)):
                bad = t[~value.isfinite().all(1)]
                require(
                    len(bad) == 0,
                    f"{name} is not finite at t = {shown(bad)} in {dtype}; "
                    "let t_min and t_max keep off such times",
                )

    def test_begins_at_its_prior(self) -> None:
        """At t_min, xt has the mean and spread of prior(), and hardly depends on x1."""
        path, n = self.component(), 20_000
        prior = path.prior()
        require(isinstance(prior, Source), f"prior() gives {type(prior).__name__}, not a Source")
        x0, x1 = self.pairs(n, VECTOR)
        t = torch.full((n,), path.t_min, dtype=torch.float64)
        begun = path.sample(x0, x1, t).xt
        drawn = prior.sample(n, VECTOR, generator(1), dtype=torch.float64)
        spread = drawn.std()
        for name, found, wanted in (
            ("mean", begun.mean(0), drawn.mean(0)),
            ("spread", begun.std(0), drawn.std(0)),
        ):
            message = f"{name} of xt at t_min, in units of the prior's spread"
            require_close(found / spread, wanted / spread, message, atol=0.05)
        moved = float((path.sample(x0, x1.flip(0), t).xt - begun).std() / spread)
        require(
            moved < END_TOLERANCE,
            f"at t_min another x1 moves xt by {moved:.3g} of the prior's spread: "
            "the flow would have to know its end before it starts",
        )

    def test_ends_at_the_data(self) -> None:
        """At t_max, xt is x1 up to a small rest of noise."""
        path = self.component()
        x0, x1 = self.pairs(512, VECTOR)
        end = path.sample(x0, x1, torch.full((512,), path.t_max, dtype=torch.float64)).xt
        away = float((end - x1).square().mean().sqrt() / x1.std())
        require(
            away < END_TOLERANCE,
            f"at t_max, xt is {away:.3g} of the data's spread away from x1",
        )

    def test_velocity_is_the_derivative_of_the_point(self) -> None:
        """ut = d xt / dt at fixed (x0, x1), by forward-mode differentiation of the path itself."""
        path = self.component()
        t = inside(path, 31)
        x0, x1 = self.pairs(len(t), VECTOR)
        wanted = derivative(lambda time: path.sample(x0, x1, time).xt, t)
        found = path.sample(x0, x1, t).ut
        require_close(found, wanted, f"ut at t = {shown(t)}", rtol=1e-6, atol=1e-6)

    def test_continuity_equation(self) -> None:
        """d/dt E f(xt) = E [ut . grad f(xt)] for smooth f over drawn pairs: mass moves with ut."""
        path, n = self.component(), 256
        x0, x1 = self.pairs(n, VECTOR)
        wave = torch.randn((8, *VECTOR), generator=generator(2), dtype=torch.float64) / 3

        def expectation(t: Tensor) -> Tensor:
            return torch.sin(path.sample(x0, x1, t.expand(n)).xt @ wave.T).mean(0)

        for t in inside(path, 7):
            at = path.sample(x0, x1, t.expand(n))
            flux = (torch.cos(at.xt @ wave.T) * (at.ut @ wave.T)).mean(0)
            change = central_difference(expectation, t)
            require_close(flux, change, f"the flux of ut at t = {t:.4g}", rtol=1e-4, atol=1e-5)

    def test_takes_every_shape(self) -> None:
        """Numbers, vectors and images alike, a batch as wide as an image too: time stands against
        the leading dimension."""
        path = self.component()
        t = inside(path, 4)
        for shape in ((1,), (4,), (4, 4), (2, 3, 4, 4)):
            x0, x1 = self.pairs(4, shape)
            rows = [path.sample(x0[i, None], x1[i, None], t[i, None]) for i in range(4)]
            for name, value in _fields(path.sample(x0, x1, t)):
                alone = torch.cat([getattr(row, name) for row in rows])
                message = f"{name} of 4 points of shape {shape}, together and one by one"
                require_close(value, alone, f"{message} (t is (batch,): fmcore.from_the_left)")

    def test_rows_do_not_see_each_other(self) -> None:
        """Row i of a sample depends on row i of the arguments alone."""
        path = self.component()
        t = inside(path, 5)
        x0, x1 = self.pairs(5, VECTOR)
        others = [torch.cat([x[:1], 2 * x[1:] - 3]) for x in (x0, x1)]
        beside = dict(_fields(path.sample(others[0], others[1], t)))
        for name, value in _fields(path.sample(x0, x1, t)):
            require_close(beside[name][0], value[0], f"{name} of row 0 beside other rows")

    def test_results_have_the_dtype_of_the_data(self) -> None:
        """xt and ut have x1's dtype, whatever t's is."""
        path = self.component()
        t = inside(path, 4)
        x0, x1 = self.pairs(4, VECTOR)
        for data in (torch.float64, torch.float32, torch.bfloat16):
            for time in (torch.float64, torch.float32):
                for name, value in _fields(path.sample(x0.to(data), x1.to(data), t.to(time))):
                    told = f"{name} is {value.dtype} for x1 of {data} and t of {time}"
                    require(value.dtype == data, told)

    def test_single_precision_is_enough(self) -> None:
        """In float32, xt and ut stay within 1e-3 of float64's, up to the ends of the interval."""
        path = self.component()
        near = torch.tensor([0.0, 1e-6, 1e-4, 1e-2], dtype=torch.float64)
        t = torch.cat([path.t_min + near, inside(path, 8), path.t_max - near])
        t = t.float().clamp(path.t_min, path.t_max)
        x0, x1 = (x.float() for x in self.pairs(len(t), VECTOR))
        exact = dict(_fields(path.sample(x0.double(), x1.double(), t.double())))
        for name, value in _fields(path.sample(x0, x1, t)):
            finite = exact[name].isfinite().all(1)
            scale = exact[name].abs().amax(1, keepdim=True).clamp_min(1e-3)
            require_close(
                (value / scale)[finite],
                (exact[name] / scale)[finite],
                f"{name} in float32 at t = {shown(t)} (a difference of nearly equal numbers?)",
                atol=1e-3,
            )

    def test_equal_arguments_give_equal_samples(self) -> None:
        """A sample is a function of its arguments: no generator, no state."""
        path = self.component()
        t = inside(path, 4)
        x0, x1 = self.pairs(4, VECTOR)
        with untouched_randomness("sample"):
            first, second = path.sample(x0, x1, t), path.sample(x0, x1, t)
        for name, value in _fields(first):
            require_equal(getattr(second, name), value, f"{name} of a second, equal call")


def _fields(sample: PathSample) -> Iterator[tuple[str, Tensor]]:
    yield "xt", sample.xt
    yield "ut", sample.ut
