"""Checks of the laws of `Objective`, on one objective."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import final, get_args

import torch
from torch import Tensor

from fmcore.interfaces.net import Batch
from fmcore.interfaces.objective import Objective, Regression
from fmcore.interfaces.path import AffinePath, Coefficients, Path, PathSample, Quantity
from fmcore.interfaces.rows import Rows
from fmcore.interfaces.space import Product, Space
from fmcore.interfaces.tensors import append_dims
from fmcore.testing.checks import (
    generator,
    require,
    require_close,
    require_equal,
    skip,
    untouched_randomness,
)
from fmcore.testing.options import ComponentChecks
from fmcore.testing.stub_net import FunctionNet
from fmcore.testing.suite import Suite
from fmcore.testing.times import shown

__all__ = ["ObjectiveSuite"]

N = 512


class ObjectiveSuite(ComponentChecks, Suite):
    """Override `component()` to build the objective, and `path` if it needs a special path.

    By default it is trained along a quarter circle, cut where either end is a tenth.  Checks on
    weights and targets concern a `Regression` only, checks on flow maps one that `spans`.
    """

    interface = Objective

    def path(self) -> Path:
        """Return the path to train on."""
        return _Arc()

    def times(self, n: int = N, seed: int = 0) -> Tensor:
        """`n` times of the path's interval as training draws them."""
        path, objective = self.path(), self.component()
        if "t" not in objective.times:
            skip(f"{type(objective).__name__} draws no time")
        fraction: Tensor = objective.draw(n, generator(seed))["t"]
        return path.t_min + (path.t_max - path.t_min) * fraction

    def drawn(self, n: int = 32, shape: tuple[int, ...] = (3,)) -> PathSample:
        """A batch of the path at training times, in float64."""
        return self.batch(n, shape).at(self.times(n).double())

    def batch(self, n: int = 32, shape: tuple[int, ...] = (3,)) -> Batch:
        """A batch as training makes it, in float64."""
        path, objective, g = self.path(), self.component(), generator(4)
        if path.space.flat:
            x0, x1 = (torch.randn((n, *shape), generator=g, dtype=torch.float64) for _ in range(2))
            z = None if path.bridge() is None else torch.randn(x0.shape, generator=g).double()
        else:
            x0, x1, z = _drawn_on(path, n, shape)
        draws = {
            name: path.t_min + (path.t_max - path.t_min) * value.double()
            if name in objective.times
            else value
            for name, value in objective.draw(n, generator(0)).items()
        }
        return Batch(path, x0, x1, z, None, draws)

    def outputs(self, x: Tensor, t: Tensor, until: Tensor) -> Tensor:
        """Return what some network gives, a smooth function of everything, row by row, in the shape
        that the objective asks for.
        """
        field = _some_field(x, t, until)
        shape = self.component().output_shape(self.path(), tuple(x.shape[1:]))
        if shape == x.shape[1:]:
            return field
        if shape[:-1] == x.shape[1:]:  # logits of each element
            return (field.unsqueeze(-1) * torch.arange(1, shape[-1] + 1)).sin()
        weights = torch.randn(
            (field[0].numel(), math.prod(shape)), generator=generator(9), dtype=torch.float64
        )
        return (field.flatten(1) @ weights).sin().view(len(x), *shape)

    def test_predicts_a_known_quantity(self) -> None:
        """`prediction` is a quantity that fmcore knows."""
        prediction = self.component().prediction
        require(
            prediction in get_args(Quantity),
            f"prediction is {prediction!r}, should be one of {', '.join(get_args(Quantity))}",
        )

    def test_accepts_its_path(self) -> None:
        """`check` accepts the path of this suite."""
        self.component().check(self.path())

    def test_times_are_fractions(self) -> None:
        """The times that `draw(n, generator)` gives are `(n,)`, float32, in [0, 1], and not all one
        value; the second time of a flow map is not before the first."""
        objective = self.component()
        for n in (1, 7, N):
            drawn = objective.draw(n, generator(0))
            missing = set(objective.times) - drawn.keys()
            require(not missing, f"times {sorted(missing)} are declared and not drawn")
            for name, value in drawn.items():
                require(tuple(value.shape) == (n,), f"{n} draws of '{name}': {tuple(value.shape)}")
            for name in objective.times:
                t = drawn[name]
                require(t.dtype == torch.float32, f"'{name}' is {t.dtype}, should be torch.float32")
                low, high = float(t.min()), float(t.max())
                require(low >= 0 and high <= 1, f"times run from {low:.4g} to {high:.4g}")
                require(n < N or high > low, f"{N} times are all {low:.4g}")
            if objective.spans:
                early = bool((drawn["until"] >= drawn["t"]).all())
                require(early, "'until' is before 't': a flow map leads forward")

    def test_times_come_from_the_generator_alone(self) -> None:
        """Equal generators give equal draws, another generator others; no global one is touched."""
        objective = self.component()
        with untouched_randomness("draw"):
            first, again, other = (objective.draw(N, generator(s)) for s in (0, 0, 1))
        for name, value in first.items():
            require_equal(again[name], value, f"'{name}' from an equal generator")
            require(not torch.equal(value, other[name]), f"another generator gives equal '{name}'")

    def test_parts_of_a_batch_are_drawn_like_the_whole(self) -> None:
        """The parts (k, of) of a batch, drawn separately, together have the distribution of a batch
        drawn at once."""
        objective = self.component()
        parts = [objective.draw(N, generator(k), (k, 8)) for k in range(8)]
        for k, part in enumerate(parts):
            for name, value in part.items():
                shape = tuple(value.shape)
                require(shape == (N,), f"'{name}' of part {k} of 8 has shape {shape}")
        whole = objective.draw(8 * N, generator(9))
        # Two empirical distribution functions of 4096 draws differ by more than 0.06 once in 10^6.
        grid = torch.linspace(0, 1, 257, dtype=torch.float64)
        for name in objective.times:
            together = torch.cat([part[name] for part in parts]).double().sort().values
            at_once = whole[name].double().sort().values
            apart = (_below(together, grid) - _below(at_once, grid)).abs().max()
            require(
                bool(apart < 0.06),
                f"the distribution functions of 8 parts and of the whole of '{name}' differ by "
                f"{float(apart):.3g}",
            )

    def test_times_cover_the_interval(self) -> None:
        """Each eighth of the interval gets at least a thousandth of the drawn times."""
        objective = self.component()
        for name in objective.times[:1]:
            t = objective.draw(16 * N, generator(5))[name]
            counts = torch.histc(t, bins=8, min=0, max=1) / len(t)
            require(
                bool((counts >= 1e-3).all()),
                f"shares of the times in eighths of the interval: {shown(counts)}: the network "
                "learns nothing where no time is drawn",
            )

    def test_losses_are_those_declared(self) -> None:
        """`losses` gives the names of `loss_names` in their order, `(batch,)` each, finite, at
        least float32, and depends on the network."""
        objective, batch = self.component(), self.batch()
        losses = objective.losses(FunctionNet(self.outputs), batch.path, batch)
        names, wanted = list(losses), list(objective.loss_names)
        require(names == wanted, f"losses are {names}; declared are {wanted}")
        for name, loss in losses.items():
            found = f"'{name}' is {tuple(loss.shape)}, {loss.dtype}"
            good = loss.shape == (len(batch.x0),) and loss.dtype in (torch.float32, torch.float64)
            require(good, f"{found}; should be ({len(batch.x0)},), at least float32")
            require(bool(loss.isfinite().all()), f"'{name}' is not finite")

    def test_losses_of_rows_are_independent(self) -> None:
        """Row i of every loss depends on row i of the batch alone."""
        objective, batch = self.component(), self.batch(8)
        net = FunctionNet(self.outputs)
        together = objective.losses(net, batch.path, batch)
        for name, loss in together.items():
            alone = [
                objective.losses(net, batch.path, _row_of(batch, i))[name] for i in range(len(loss))
            ]
            require_close(loss, torch.cat(alone), f"'{name}' of rows together and one by one")

    def test_losses_do_not_count_padding(self) -> None:
        """With a `mask` in the condition, the losses of a row are those of the row cut to the
        elements that exist."""
        if isinstance(self.path().space, Product):
            skip("rows of a product have parts and no padding")
        objective, whole = self.component(), self.batch(4, (2, 6))
        lengths = torch.tensor([6, 1, 4, 2])
        mask = (torch.arange(6) < lengths[:, None, None]).double()
        padded = replace(whole, x0=whole.x0 * mask, x1=whole.x1 * mask, condition={"mask": mask})
        net = FunctionNet(self.outputs)
        for i, length in enumerate(lengths.tolist()):
            row = replace(_row_of(padded, i), condition={"mask": mask[i : i + 1]})
            short = replace(
                row,
                x0=row.x0[..., :length],
                x1=row.x1[..., :length],
                z=None if row.z is None else row.z[..., :length],
                condition={"mask": mask[i : i + 1, :, :length]},
            )
            found = objective.losses(net, row.path, row)
            for name, loss in objective.losses(net, short.path, short).items():
                require_close(
                    found[name],
                    loss,
                    f"'{name}' of a row padded from {length} to 6 elements, and without padding "
                    "(Batch.mean averages over the mask)",
                    rtol=1e-5,
                    atol=1e-7,
                )

    def test_flow_maps_have_no_loss_at_the_exact_map(self) -> None:
        """With one data point, the losses of a flow map are 0 at the exact map and not at its
        mirror image in time.  The network's derivative is 0 in rows that `jvp(rows=)` leaves out.
        """
        objective = self.component()
        if not objective.spans:
            skip(f"{type(objective).__name__} trains no flow map")
        path, drawn = _Arc(), objective.draw(N, generator(6))
        x0 = torch.randn((N, 2), generator=generator(7), dtype=torch.float64)
        x1 = torch.full_like(x0, 1.5)
        draws = {
            name: path.t_min + (path.t_max - path.t_min) * value.double()
            for name, value in drawn.items()
        }
        batch = Batch(path, x0, x1, None, None, draws)
        exact = objective.losses(FunctionNet(_exact_map), path, batch)
        wrong = objective.losses(
            FunctionNet(lambda x, t, s: _exact_map(x, t, 2 * t - s)), path, batch
        )
        for name in exact:
            loss = float(exact[name].max())
            require(loss < 1e-9, f"'{name}' is {loss:.3g} at the exact map, should be 0")
        far = max(float(loss.mean()) for loss in wrong.values())
        require(far > 1e-2, f"a map that leads backwards in time costs only {far:.3g}")

    def _regression(self) -> Regression:
        objective = self.component()
        if not isinstance(objective, Regression):
            skip(f"{type(objective).__name__} is no regression: it has no weight and no target")
        return objective

    def test_weights_are_finite_and_not_negative(self) -> None:
        """`weight(path, t)` is `(batch,)` in t's dtype, finite and >= 0 at every time drawn, and
        not always 0."""
        objective, path = self._regression(), self.path()
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

    def test_weights_use_the_draws(self) -> None:
        """The weights of drawn times have an effective sample size of 1 % of the draws at least,
        and are positive on three quarters of them."""
        objective = self._regression()
        path = _Arc() if isinstance(self.path(), _Arc) else self.path()
        if isinstance(path, _Arc):
            path = _Arc(cut=0.02)
        fraction = objective.sample_time(64 * N, generator(8)).double()
        weight = objective.weight(path, path.t_min + (path.t_max - path.t_min) * fraction)
        share = float(weight.sum() ** 2 / weight.square().sum() / len(weight))
        require(share >= 0.01, f"the weights leave {share:.2%} of the draws in effect")
        positive = float((weight > 0).double().mean())
        require(positive >= 0.75, f"only {positive:.0%} of the drawn times have a positive weight")

    def test_weights_of_rows_are_independent(self) -> None:
        """The weight of row i depends on t[i] alone."""
        objective, path = self._regression(), self.path()
        t = self.times(16).double()
        alone = torch.cat([objective.weight(path, t[i : i + 1]) for i in range(16)])
        require_close(objective.weight(path, t), alone, "weights together and one by one")

    def test_target_is_what_was_drawn(self) -> None:
        """The target of a drawn pair is its ut, x1 or x0, or the score of N(alpha x1, sigma^2) at
        xt."""
        objective, path, s = self._regression(), self.path(), self.drawn()
        wanted = {"velocity": s.ut, "data": s.x1, "noise": s.x0}
        if objective.prediction == "score" and isinstance(path, AffinePath):
            c = path.coefficients(s.t)
            mean, width = c.alpha[:, None] * s.x1, c.sigma[:, None]
            wanted["score"] = -(s.xt - mean) / width**2
        if objective.prediction in wanted:
            target = objective.target(path, s)
            require_close(target, wanted[objective.prediction], "the target", rtol=1e-6)

    def test_loss_is_the_weighted_mean_square_of_each_row(self) -> None:
        """`loss` is `(batch,)`: weight times the mean square error of a row, 0 at the target;
        what a `mask` leaves out costs nothing."""
        objective, path = self._regression(), self.path()
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


def _some_field(x: Tensor, t: Tensor, until: Tensor) -> Tensor:
    """A smooth function of everything, row by row."""
    time = append_dims((3 * t).sin() + (until - t).exp(), x).to(x.dtype)
    return (2 * x).sin() + time * x


def _drawn_on(path: Path, n: int, shape: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return noise, data and the draw of the bridge on a space that is not R^n; a row of a product
    has the shape of the space.
    """
    space, rows, bridge = path.space, Rows(4, "objective", 0, range(n)), path.bridge()
    shape = (space.size,) if isinstance(space, Product) else shape
    x0 = path.noise().sample(rows, shape, dtype=torch.float64)
    x1 = _points_of(space, Rows(5, "objective", 0, range(n)), shape)
    z = None if bridge is None else bridge.sample(rows, shape, dtype=torch.float64)
    return x0, x1, z


def _points_of(space: Space, rows: Rows, shape: tuple[int, ...]) -> Tensor:
    if isinstance(space, Product):
        parts = {n: _points_of(s, rows, tuple(space.shapes[n])) for n, s in space.parts.items()}
        return space.join(parts)
    if space.flat:
        return rows.normal(shape, torch.float64)
    return space.uniform(rows, shape, torch.float64)


def _row_of(batch: Batch, i: int) -> Batch:
    one = slice(i, i + 1)
    z = None if batch.z is None else batch.z[one]
    draws = {name: value[one] for name, value in batch.draws.items()}
    return Batch(batch.path, batch.x0[one], batch.x1[one], z, None, draws)


def _exact_map(x: Tensor, t: Tensor, until: Tensor) -> Tensor:
    """The average velocity from t to `until` along the quarter circle to the point 1.5: with
    alpha = sin(a t), sigma = cos(a t), a = pi / 2, x_s = 1.5 alpha_s + sigma_s x0, and the
    differences of alpha and sigma over s - t written without a division by zero.
    """
    a = math.pi / 2
    middle, half = a * (t + until) / 2, a * (until - t) / 2
    sinc = a * torch.sinc(half / math.pi)
    d_alpha, d_sigma = middle.cos() * sinc, -middle.sin() * sinc
    alpha, sigma = (append_dims(v, x) for v in ((a * t).sin(), (a * t).cos()))
    x0 = (x - 1.5 * alpha) / sigma
    return append_dims(d_alpha, x) * 1.5 + append_dims(d_sigma, x) * x0


def _below(ordered: Tensor, grid: Tensor) -> Tensor:
    """Return the share of values below each point of the grid."""
    return torch.searchsorted(ordered, grid).double() / len(ordered)


@final
@dataclass(frozen=True)
class _Arc(AffinePath):
    """A quarter circle whose ends are cut off where alpha or sigma is `cut`, so that every quantity
    is finite on it."""

    cut: float = 0.1

    @property
    def t_min(self) -> float:
        return 2 / math.pi * math.asin(self.cut)

    @property
    def t_max(self) -> float:
        return 2 / math.pi * math.acos(self.cut)

    def coefficients(self, t: Tensor) -> Coefficients:
        alpha, sigma = (math.pi / 2 * t).sin(), (math.pi / 2 * t).cos()
        return Coefficients(alpha, sigma, math.pi / 2 * sigma, -math.pi / 2 * alpha)
