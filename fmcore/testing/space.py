"""Checks of the laws of `Space` and `Manifold`, on one space, in float64 by default."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.derivative import jvp
from fmcore.interfaces.rows import Rows
from fmcore.interfaces.space import Manifold, Space
from fmcore.testing.checks import require, require_close, require_equal, skip
from fmcore.testing.options import ComponentChecks
from fmcore.testing.suite import Suite

__all__ = ["SpaceSuite"]

N = 64
MANY = 100_000
"""Uniform points in the check of the volume: a share of 1 % has a standard error of 3 %."""


class SpaceSuite(ComponentChecks, Suite):
    """Override `component()` to build the space, `shape`, that of one or more points, and `reach`,
    the distance to the cut locus, where it is not pi.
    """

    interface = Space
    shape: tuple[int, ...] = (3,)
    reach: float = math.pi

    def points(self, n: int = N, purpose: str = "points") -> Tensor:
        """Return `n` points, `(n, *shape)`, float64: uniform ones, normal ones in R^n."""
        space: Space = self.component()
        rows = Rows(0, purpose, 0, range(n))
        try:
            return space.uniform(rows, self.shape, torch.float64)
        except ComponentError:
            return space.project(rows.normal(self.shape, torch.float64))

    def manifold(self) -> Manifold:
        """Return the space; skip the check where it is no manifold."""
        space = self.component()
        if not isinstance(space, Manifold):
            skip(f"{type(space).__name__} is no manifold: its points have no velocity")
        return space

    def tangents(self, x: Tensor, length: float = 1.0) -> Tensor:
        """Return a tangent vector at each row of `x`; every point moves by `length`."""
        space = self.manifold()
        v = space.tangent(x, Rows(0, "tangents", 0, range(len(x))).normal(self.shape).to(x))
        size = space.inner(x, v, v).sqrt()
        return length * v / size.reshape(*size.shape, *(1,) * len(space.point))

    def test_accepts_its_own_points(self) -> None:
        """`check` accepts the suite's shape, `require` uniform points, and refuses values that are
        not finite."""
        space = self.component()
        space.check(self.shape)
        space.require(self.points(), "points")
        try:
            space.require(torch.full((2, *self.shape), math.nan), "NaN")
        except ComponentError:
            return
        require(False, "`require` accepts NaN as a point")

    def test_draws_depend_on_their_row_alone(self) -> None:
        """Uniform draws of equal rows are equal, in any batch; other rows give other points."""
        space = self.component()
        try:
            space.uniform(Rows(0, "a", 0, [0]), self.shape, torch.float64)
        except ComponentError as refused:
            skip(str(refused))
        whole = space.uniform(Rows(0, "a", 0, range(8)), self.shape, torch.float64)
        part = space.uniform(Rows(0, "a", 0, [5, 2]), self.shape, torch.float64)
        require_close(part, whole[[5, 2]], "draws of rows 5 and 2 alone")
        # a row of few tokens may repeat by chance, eight rows do not
        require(bool((whole != whole[:1]).any()), "all rows are the same draw")

    def test_projection_gives_points(self) -> None:
        """`project` leaves points as they are, and gives points for values near them."""
        space = self.component()
        x = self.points()
        require_close(space.project(x), x, "the projection of points", atol=1e-10)
        near = space.project(x + 0.05 * Rows(0, "near", 0, range(N)).normal(self.shape).to(x))
        require_close(space.project(near), near, "a second projection", atol=1e-5)
        space.require(near, "a projection")

    def test_projection_is_blind_to_normals(self) -> None:
        """`project` has derivative 0 along normals and 1 along tangents: then the divergence of a
        field at projected points is the manifold's."""
        space = self.manifold()
        x = self.points()
        v = Rows(0, "v", 0, range(N)).normal(self.shape, torch.float64)
        along = space.tangent(x, v)
        _, of_normal = jvp(space.project, (x,), (v - along,))
        _, of_tangent = jvp(space.project, (x,), (along,))
        message = "the derivative of project along a"
        require_close(of_normal, torch.zeros_like(x), f"{message} normal", atol=1e-10)
        require_close(of_tangent, along, f"{message} tangent", atol=1e-10)

    def test_tangent_is_a_projection(self) -> None:
        """`tangent` leaves tangent vectors as they are, and what it takes away is orthogonal to
        them."""
        space = self.manifold()
        x = self.points()
        v = Rows(0, "v", 0, range(N)).normal(self.shape, torch.float64)
        along = space.tangent(x, v)
        require_close(space.tangent(x, along), along, "a second projection", atol=1e-10)
        other = self.tangents(x)
        overlap = ((v - along) * other).flatten(1).sum(1)
        require_close(overlap, torch.zeros_like(overlap), "normal times tangent", atol=1e-10)

    def test_geodesics_have_constant_speed(self) -> None:
        """`geodesic` starts at x with velocity v; its velocity is the derivative of its point, is
        tangent, and has a constant length."""
        space = self.manifold()
        x = self.points()
        v = self.tangents(x, 1.3)
        start, speed = space.geodesic(x, v, torch.zeros_like(x))
        require_close(start, x, "the point at s = 0", atol=1e-10)
        require_close(speed, v, "the velocity at s = 0", atol=1e-10)
        s = torch.full_like(x, 0.6)
        point, velocity = space.geodesic(x, v, s)
        _, wanted = jvp(lambda at: space.geodesic(x, v, at)[0], (s,), (torch.ones_like(s),))
        require_close(velocity, wanted, "velocity and derivative", atol=1e-9)
        require_close(space.tangent(point, velocity), velocity, "its tangent part", atol=1e-9)
        before, after = space.inner(x, v, v), space.inner(point, velocity, velocity)
        require_close(after, before, "the squared speed on the way", atol=1e-9)

    def test_log_is_the_inverse_of_exp(self) -> None:
        """exp(x, log(x, y)) = y and |log(x, y)| = d at distances d from 1e-7 to the cut locus, in
        float64 to 1e-7 and in float32 to 1e-5, where the gradient of log is finite too."""
        space = self.manifold()
        for dtype, atol in ((torch.float64, 1e-7), (torch.float32, 2e-5)):
            x = self.points().to(dtype)
            for d in (0.0, 1e-7, 1e-4, 1e-2, 1.0, self.reach - 1e-1, self.reach - 1e-3):
                y = space.exp(x, self.tangents(x, d))
                found = space.exp(x, space.log(x, y))
                # the distance of y and not of coordinates, which may jump
                away = space.squared_distance(found, y).sqrt()
                where = f"at distance {d:g} in {dtype}"
                require_close(away, torch.zeros_like(away), f"exp(log) {where}", atol=20 * atol)
                size = space.inner(x, space.log(x, y), space.log(x, y)).sqrt()
                require_close(size, torch.full_like(size, d), f"|log| {where}", atol=20 * atol)
                moving = y.clone().requires_grad_(True)
                (slope,) = torch.autograd.grad(space.log(x, moving).square().sum(), moving)
                require(bool(slope.isfinite().all()), f"the gradient of log is not finite {where}")

    def test_log_is_finite_beyond_the_cut_locus(self) -> None:
        """`log` is finite also for points opposite to each other."""
        space = self.manifold()
        x = self.points()
        opposite = space.project(space.exp(x, self.tangents(x, self.reach)))
        require(bool(space.log(x, opposite).isfinite().all()), "log is not finite at the cut locus")

    def test_volume_is_that_of_small_balls(self) -> None:
        """The share of uniform points in a small ball is its volume over `log_volume`."""
        space = self.manifold()
        try:
            log_volume = space.log_volume(self.shape)
        except ComponentError as refused:
            skip(str(refused))
        x = self.points(1)
        v = torch.eye(x[0].numel(), dtype=x.dtype).view(-1, *self.shape)
        d = round(float((space.tangent(x.expand_as(v), v) * v).sum()))
        # a share of 1 %: small enough to be flat to a few percent
        unit = d / 2 * math.log(math.pi) - math.lgamma(d / 2 + 1)
        radius = math.exp((math.log(0.01) + log_volume - unit) / d)
        many = self.points(MANY, "volume")
        inside = space.squared_distance(x.expand_as(many), many) < radius**2
        share = float(inside.double().mean())
        require(
            abs(share - 0.01) < 0.0025,
            f"a ball of 1 % of the volume exp({log_volume:.4g}) holds {share:.2%} of the points",
        )

    def test_features_are_those_of_rows(self) -> None:
        """`features` are finite, and row i depends on row i alone."""
        space = self.component()
        x = self.points(4)
        whole = space.features(x)
        require(bool(whole.isfinite().all()), "features are not finite")
        alone = torch.cat([space.features(x[i, None]) for i in range(4)])
        require_equal(alone, whole, "features of rows together and one by one")
