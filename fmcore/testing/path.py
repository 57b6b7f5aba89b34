"""Checks of the laws of `Path`, on one path, in float64 by default."""

from __future__ import annotations

import torch
from torch import Tensor

from fmcore.interfaces.path import Path
from fmcore.interfaces.rows import Rows
from fmcore.testing.affine import AffineChecks
from fmcore.testing.bridge import BridgeChecks, joined
from fmcore.testing.checks import (
    require,
    require_close,
    require_equal,
    untouched_randomness,
)
from fmcore.testing.options import ComponentChecks
from fmcore.testing.suite import Suite
from fmcore.testing.times import inside, shown
from fmcore.testing.trajectory import VECTOR, TrajectoryChecks, fields_of

__all__ = ["PathSuite"]


class PathSuite(AffineChecks, BridgeChecks, TrajectoryChecks, ComponentChecks, Suite):
    """Override `component()` to build the path, and `pairs` if x0 or x1 must be special, such as
    points of a manifold.
    """

    interface = Path

    def pairs(self, n: int, shape: tuple[int, ...], seed: int = 0) -> tuple[Tensor, Tensor]:
        """Return `n` draws of x0, from the path's noise, and of x1: `(n, *shape)`, float64."""
        rows = Rows(seed, "pairs", 0, range(n))
        x0 = self.component().noise().sample(rows, shape, dtype=torch.float64)
        return x0, 0.5 + 0.7 * rows.normal(shape, torch.float64)

    def test_takes_every_shape(self) -> None:
        """Numbers, vectors and images work, also if the batch is as large as an image is wide: time
        broadcasts from the leading dimension."""
        path = joined(self.component())
        t = inside(path, 4)
        for shape in ((1,), (4,), (4, 4), (2, 3, 4, 4)):
            x0, x1 = self.pairs(4, shape)
            rows = [path.sample(x0[i, None], x1[i, None], t[i, None]) for i in range(4)]
            for name, value in fields_of(path.sample(x0, x1, t)):
                alone = torch.cat([getattr(row, name) for row in rows])
                message = f"{name} of 4 points of shape {shape}, together and one by one"
                require_close(value, alone, f"{message} (t is (batch,): fmcore.append_dims)")

    def test_rows_are_independent(self) -> None:
        """Row i of a sample depends on row i of the arguments alone."""
        path = joined(self.component())
        t = inside(path, 5)
        x0, x1 = self.pairs(5, VECTOR)
        others = [torch.cat([x[:1], 2 * x[1:] - 3]) for x in (x0, x1)]
        changed = dict(fields_of(path.sample(others[0], others[1], t)))
        for name, value in fields_of(path.sample(x0, x1, t)):
            require_close(changed[name][0], value[0], f"{name} of row 0 with other rows changed")

    def test_results_have_the_dtype_of_the_data(self) -> None:
        """xt and ut have x1's dtype for any dtype of t."""
        path = joined(self.component())
        t = inside(path, 4)
        x0, x1 = self.pairs(4, VECTOR)
        for data in (torch.float64, torch.float32, torch.bfloat16):
            for time in (torch.float64, torch.float32):
                for name, value in fields_of(path.sample(x0.to(data), x1.to(data), t.to(time))):
                    message = f"{name} is {value.dtype} for x1 of {data} and t of {time}"
                    require(value.dtype == data, message)

    def test_single_precision_is_enough(self) -> None:
        """In float32, xt and ut are within 1e-3 of the float64 values, up to the ends of the
        interval.
        """
        path = joined(self.component())
        near = torch.tensor([0.0, 1e-6, 1e-4, 1e-2], dtype=torch.float64)
        t = torch.cat([path.t_min + near, inside(path, 8), path.t_max - near])
        t = t.float().clamp(path.t_min, path.t_max)
        x0, x1 = (x.float() for x in self.pairs(len(t), VECTOR))
        exact = dict(fields_of(path.sample(x0.double(), x1.double(), t.double())))
        for name, value in fields_of(path.sample(x0, x1, t)):
            finite = exact[name].isfinite().all(1)
            scale = exact[name].abs().amax(1, keepdim=True).clamp_min(1e-3)
            require_close(
                (value / scale)[finite],
                (exact[name] / scale)[finite],
                f"{name} in float32 at t = {shown(t)} (cancellation?)",
                atol=1e-3,
            )

    def test_equal_arguments_give_equal_samples(self) -> None:
        """A sample is a function of its arguments, without random numbers or state."""
        path = joined(self.component())
        t = inside(path, 4)
        x0, x1 = self.pairs(4, VECTOR)
        with untouched_randomness("sample"):
            first, second = path.sample(x0, x1, t), path.sample(x0, x1, t)
        for name, value in fields_of(first):
            require_equal(getattr(second, name), value, f"{name} of a second, equal call")
