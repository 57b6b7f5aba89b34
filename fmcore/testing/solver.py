"""The laws of `Solver`, as checks on one solver; a law that does not concern it is skipped with the
reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

from fmcore.errors import ComponentError, SolverError
from fmcore.interfaces.solver import Solver
from fmcore.solving import AdaptiveSolver, Augmentation, FixedSolver, Problem, Solution, Status
from fmcore.solving.allocation import allocate
from fmcore.solving.closed_form import gaussian
from fmcore.testing.backends import BackendChecks
from fmcore.testing.checks import generator, require, require_close, skip, untouched_randomness
from fmcore.testing.flows import Decay, Recording, StraightPath, Waits, starts
from fmcore.testing.options import ComponentChecks
from fmcore.testing.suite import Suite

__all__ = ["SolverSuite"]

PATH = StraightPath()
Span = tuple[float, float]
INNER = (0.1, 0.9)
"""Where lam of the straight path is finite, so that every solver keeps its full order."""

ACCURATE = 1e-2
"""How near any solver must come with the budget of `good`."""


class SolverSuite(BackendChecks, ComponentChecks, Suite):
    """Override `component()` to build the solver, with any budget or tolerance.

    Checks use the field u = -(1 + t) x^2, whose solution is known, on the straight path.
    """

    interface = Solver

    def good(self) -> Solver:
        """The solver with a budget or tolerance that leaves an error of about 1e-3 or less."""
        solver: Solver = _with(
            _quiet(self.component()), nfe=None, steps=64, grid="auto", rtol=1e-6, atol=1e-6
        )
        return solver

    def test_reaches_the_known_solution_in_both_directions(self) -> None:
        """x(t1) is the solution of dx/dt = u from x0 at t0, forward and backward."""
        x0 = starts(8)
        for t0, t1 in (INNER, INNER[::-1]):
            solution = self.good().solve(_problem(x0, t0, t1))
            message = f"from t = {t0} to {t1}"
            require_close(
                solution.x, Decay.exact(x0, t0, t1), message, rtol=ACCURATE, atol=ACCURATE
            )
            _all_succeeded(solution, message)

    def test_error_falls_at_the_order_claimed(self) -> None:
        """Twice the steps divide the error by 2^order, in both directions; or a tighter tolerance
        does so in proportion.

        The steps begin small, so that a multistep method's first steps of low order do not show.
        """
        component = _quiet(self.component())
        if isinstance(component, FixedSolver):
            for t0, t1 in (INNER, INNER[::-1]):
                observed = _observed_order(component, t0, t1)
                require(
                    observed > component.order - 0.6,
                    f"claims order {component.order}; its error from t = {t0} to {t1} falls at "
                    f"order {observed:.2f}",
                )
        elif {"rtol", "atol"} <= _options(component):
            loose, tight = (
                _error(_with(component, rtol=tol, atol=tol), *INNER) for tol in (1e-3, 1e-6)
            )
            require(
                tight < 1e-4 and tight < max(loose / 10, 1e-6),
                f"error {loose:.1e} at tolerance 1e-3 and {tight:.1e} at 1e-6: it must follow the "
                "tolerance",
            )
        else:
            skip("neither a fixed solver nor one with tolerances")

    def test_field_is_never_called_outside_the_interval(self) -> None:
        """Every call has t in [t0, t1]: stages, the last step and the first probe, in both
        directions.
        """
        spans = ((0.0, 1.0), (1.0, 0.0), (0.3, 0.7), (0.7, 0.3))
        for t0, t1 in _possible(self.component(), spans):
            for dtype in (torch.float64, torch.float32):
                field = Recording(Decay())
                self.component().solve(_problem(starts(4, dtype=dtype), t0, t1, field=field))
                first, last = field.span
                require(
                    min(t0, t1) <= first and last <= max(t0, t1),
                    f"from t = {t0} to {t1} in {dtype} the field was called at t in [{first}, "
                    f"{last}]",
                )

    def test_field_is_given_a_batch_of_times(self) -> None:
        """The field is called with x of shape (batch, *shape) and t of shape (batch,)."""
        field = Recording(lambda x, t: -x)  # which bears any t
        self.component().solve(_problem(starts(4, 2, 3), *INNER, field=field))
        for x, t in field.shapes:
            require(
                x[1:] == (2, 3) and t == x[:1],
                f"the field was called with x of shape {x} and t of shape {t}; t must be (batch,)",
            )

    def test_evaluations_are_counted_where_the_field_is_called(self) -> None:
        """stats.calls is the number of calls, stats.nfe each sample's share, `(batch,)` int64, and
        no more.
        """
        field = Recording(Decay())
        stats = self.component().solve(_problem(starts(5), *INNER, field=field)).stats
        require(
            stats.calls == field.calls,
            f"stats.calls is {stats.calls}, but the field was called {field.calls} times",
        )
        require(
            stats.nfe.shape == (5,) and stats.nfe.dtype == torch.int64,
            f"stats.nfe must be (batch,) int64, got {tuple(stats.nfe.shape)} of {stats.nfe.dtype}",
        )
        most = int(stats.nfe.max())
        spare = _late_calls(self.component())
        require(
            stats.calls - spare <= most <= stats.calls,
            f"a sample claims at most {most} evaluations of {stats.calls} calls",
        )

    def test_budget_is_used_and_never_exceeded(self) -> None:
        """nfe=N takes the most whole steps that fit into N."""
        component = _needs(self.component(), "nfe", "steps")
        one, two = (_calls(_with(component, nfe=None, steps=n)) for n in (1, 2))
        for budget in range(one, one + 3 * (two - one) + 2):
            used = _calls(_with(component, nfe=budget, steps=None))
            require(used <= budget, f"nfe={budget} used {used} evaluations")
            require(
                budget - used < two - one,
                f"nfe={budget} used {used} evaluations; a step costs {two - one}: more fit",
            )

    def test_budget_below_one_step_is_an_error(self) -> None:
        """nfe below the cost of one step raises ComponentError."""
        component = _needs(self.component(), "nfe", "steps")
        cost = _calls(_with(component, nfe=None, steps=1))
        if cost == 1:
            skip("one step costs one evaluation, the smallest budget")
        try:
            solution = _with(component, nfe=cost - 1, steps=None).solve(_problem(starts(2), *INNER))
        except ComponentError:
            return
        require(False, f"nfe={cost - 1}, below one step, took {solution.stats.calls} evaluations")

    def test_state_and_time_are_at_least_float32(self) -> None:
        """From a bfloat16 x0 the field sees float32 x and t, n times stay n times, and x comes back
        so.
        """
        field = Recording(Decay())
        x0 = starts(3).to(torch.bfloat16)
        solution = self.good().solve(_problem(x0, *INNER, field=field))
        require(
            field.dtypes == {torch.float32} and solution.x.dtype == torch.float32,
            f"from bfloat16 the field saw {field.dtypes} and x came back as {solution.x.dtype}",
        )
        fine = Recording(Decay())
        self.good().solve(_problem(x0.double(), *INNER, field=fine))
        if isinstance(self.component(), FixedSolver):
            distinct, wanted = (len(set(torch.cat(f.times).tolist())) for f in (field, fine))
            require(distinct == wanted, f"{wanted} different times became {distinct} in float32")

    def test_float64_stays_float64(self) -> None:
        """A float64 x0 is solved, timed and returned in float64."""
        field = Recording(Decay())
        solution = self.component().solve(_problem(starts(3), *INNER, field=field))
        require(
            field.dtypes == {torch.float64} and solution.x.dtype == torch.float64,
            f"from float64 the field saw {field.dtypes} and x came back as {solution.x.dtype}",
        )

    def test_host_waits_rarely(self) -> None:
        """A fixed solver never waits for the device; an adaptive one at most ceil(steps / poll) + 1
        times.
        """
        component = self.component()
        if not isinstance(component, FixedSolver | AdaptiveSolver):
            skip("a solver of another family")
        component.solve(_problem(starts(4), *INNER))  # plans and constants are made once
        with Waits() as counted:
            solution = component.solve(_problem(starts(4), *INNER))
        allowed = 0
        if isinstance(component, AdaptiveSolver):
            allowed = math.ceil(solution.stats.steps / (component.poll or 1)) + 1
        require(
            counted.waits <= allowed,
            f"{solution.stats.steps} steps made the host wait {counted.waits} times; {allowed} "
            "allowed",
        )

    def test_failing_sample_is_isolated(self) -> None:
        """A sample whose velocity is NaN ends NONFINITE, the others as they would without it."""
        x0, rate = starts(6), torch.ones(6, dtype=torch.float64)
        others = [0, 1, 2, 4, 5]
        solver = self.component()
        ids = torch.arange(6)
        without = solver.solve(
            _problem(x0[others], *INNER, condition={"rate": rate[others]}, sample_ids=ids[others])
        )
        rate[3] = math.nan
        solution = solver.solve(_problem(x0, *INNER, condition={"rate": rate}, sample_ids=ids))
        statuses = solution.status.tolist()
        wanted = [Status.NONFINITE if i == 3 else Status.SUCCESS for i in range(6)]
        require(
            statuses == wanted,
            f"sample 3 of 6 fails; the statuses are {statuses}, should be "
            f"{[int(s) for s in wanted]}",
        )
        tolerance = 1e-9 if _rows_are_independent(solver) else 1e-3
        require_close(
            solution.x[others], without.x, "beside a failing sample", rtol=tolerance, atol=tolerance
        )

    def test_failure_raises_only_where_asked(self) -> None:
        """`throw=True` raises SolverError at the end, naming sample and status."""
        solver = _with(_needs(self.component(), "throw"), throw=True)
        rate = torch.tensor([1.0, math.nan], dtype=torch.float64)
        try:
            solver.solve(_problem(starts(2), *INNER, condition={"rate": rate}))
        except SolverError as error:
            require("NONFINITE" in str(error), f"the message does not name the status: {error}")
            return
        require(False, "throw=True, and a failing sample raised nothing")

    def test_sample_does_not_depend_on_its_batch(self) -> None:
        """Alone, in a batch or in another order, a sample ends the same, to rounding."""
        solver = self.component()
        if not _rows_are_independent(solver):
            skip("its samples share one step size")
        x0, ids = starts(16), torch.arange(16)
        together = solver.solve(_problem(x0, *INNER, sample_ids=ids)).x
        for what, rows in (("alone", ids[3:4]), ("in another order", ids.flip(0))):
            found = solver.solve(_problem(x0[rows], *INNER, sample_ids=ids[rows])).x
            require_close(found, together[rows], f"a sample {what}", rtol=1e-9, atol=1e-9)

    def test_noise_is_named_by_seed_and_sample(self) -> None:
        """A stochastic solver draws the same again for the same (seed, i), and otherwise for
        another seed or sample.
        """
        solver = _stochastic(self.component())
        x0 = starts(1).expand(2, -1)
        first, again, reseeded = (
            solver.solve(_problem(x0, *INNER, seed=seed)).x for seed in (0, 0, 1)
        )
        require(torch.equal(first, again), "the same seed gave another result")
        for what, found, other in (
            ("seeds 0 and 1", first, reseeded),
            ("samples 0 and 1", first[:1], first[1:]),
        ):
            require(
                bool((found != other).all()),
                f"{what} of a stochastic solver gave the same result from the same x0",
            )

    def test_last_step_adds_no_noise(self) -> None:
        """A stochastic solver's only step is the ODE's: what is drawn last stays in the sample."""
        solver = _with(_needs(_stochastic(self.component()), "steps"), nfe=None, steps=1)
        x0 = starts(4)
        noisy, quiet = (s.solve(_problem(x0, *INNER)).x for s in (solver, _quiet(solver)))
        require_close(noisy, quiet, "the last step, with noise and without", rtol=1e-9, atol=1e-9)

    def test_noise_keeps_the_marginals(self) -> None:
        """With the exact field of Gaussian data, a stochastic solver ends in the data's mean and
        variance, within sampling error.
        """
        solver = _with(_stochastic(self.component()), nfe=None, steps=96, grid="auto")
        field = gaussian(PATH, dimensions=32)
        x0 = torch.randn((250, 32), generator=generator(), dtype=torch.float64)
        x = solver.solve(Problem(field, x0, path=PATH)).x
        width = field.stds[0]
        offset = float((x - x.new_tensor(field.means[0])).mean())
        ratio = float((x - x.new_tensor(field.means[0])).square().mean()) / width**2
        require(abs(offset) < 0.03 * width, f"the mean is off by {offset:.3g}, std {width}")
        require(
            abs(ratio - 1) < 0.2,
            f"the variance is {ratio:.3f} times the data's: is the score term that goes with the "
            "noise there?",
        )

    def test_conditions_stay_with_their_samples(self) -> None:
        """Row i of the condition goes with row i of x, whatever the solver leaves out or moves."""
        x0 = starts(40)
        rate = torch.linspace(0.1, 1.0, 40, dtype=torch.float64)
        solution = self.good().solve(_problem(x0, *INNER, condition={"rate": rate}))
        wanted = Decay.exact(x0, *INNER, rate)
        require_close(solution.x, wanted, "with a condition", rtol=ACCURATE, atol=ACCURATE)

    def test_running_out_returns_what_there_is(self) -> None:
        """Out of steps or evaluations: a status, the last accepted state and its time, no
        exception.
        """
        solver = _needs(self.component(), "max_steps", "max_nfe")
        x0 = starts(4)
        for limits, status in (
            ({"max_steps": 2}, Status.MAX_STEPS),
            ({"max_nfe": 2 * solver.nfe_per_attempt + 3}, Status.MAX_NFE),
        ):
            small = _with(solver, rtol=1e-9, atol=1e-9, first_step=1e-3, **limits)
            solution = small.solve(_problem(x0, 0.0, 1.0))
            statuses = sorted(set(solution.status.tolist()))
            require(statuses == [status], f"{limits} ended with {statuses}, should be {status!r}")
            if "max_nfe" in limits:
                used = int(solution.stats.nfe.max())
                require(used <= limits["max_nfe"], f"{limits} used {used} evaluations")
            for i, t in enumerate(solution.t_reached.tolist()):
                require(0 < t < 1, f"{limits}: t_reached is {t}")
                there = Decay.exact(x0[i : i + 1], 0.0, t)
                require_close(solution.x[i : i + 1], there, f"{limits} at t = {t}", rtol=1e-5)

    def test_states_at_asked_times(self) -> None:
        """`times` gives the states at these times, in their order, both ends included."""
        x0, times = starts(5), (0.5, 0.1, 0.9, 0.37)
        try:
            solution = self.good().solve(_problem(x0, *INNER, times=times))
        except ComponentError as error:
            skip(str(error))
        require(solution.trajectory is not None, "times were asked for, and trajectory is None")
        wanted = torch.stack([Decay.exact(x0, 0.1, t) for t in times])
        require_close(
            _given(solution.trajectory), wanted, f"states at {times}", rtol=ACCURATE, atol=ACCURATE
        )
        require_close(_given(solution.trajectory)[1], x0, "the state at t0", rtol=0, atol=0)

    def test_start_is_left_alone(self) -> None:
        """x0 keeps its values and shares no memory with the result; neither does what the field
        returns.
        """
        kept = starts(4)
        x0 = kept.clone()
        solution = self.component().solve(_problem(x0, *INNER))
        solution.x.zero_()
        require(bool((x0 == kept).all()), "solving, or writing into the result, changed x0")
        constant = torch.ones_like(x0)
        self.component().solve(_problem(x0, *INNER, field=lambda x, t: constant[: len(x)]))
        require(
            bool((constant == 1).all()), "the solver wrote into a tensor that the field returned"
        )

    def test_field_may_return_its_own_argument(self) -> None:
        """u = x solved with a field that returns x itself is u = x solved with a copy."""
        x0 = starts(4)
        for direction in _possible(self.component(), (INNER, INNER[::-1])):
            itself = self.component().solve(_problem(x0, *direction, field=lambda x, t: x)).x
            copied = (
                self.component().solve(_problem(x0, *direction, field=lambda x, t: x.clone())).x
            )
            require_close(itself, copied, "a field that returns x", rtol=1e-12, atol=1e-12)

    def test_wrong_velocities_are_refused(self) -> None:
        """A velocity of another shape or dtype raises ComponentError, rather than broadcast."""
        for what, field in (
            ("shape (batch, 1)", lambda x, t: x[:, :1]),
            ("dtype float32 for x of float64", lambda x, t: x.float()),
        ):
            try:
                self.component().solve(_problem(starts(4), *INNER, field=field))
            except ComponentError:
                continue
            require(False, f"a velocity of {what} was accepted")

    def test_empty_interval_is_the_identity(self) -> None:
        """From t0 to t0 nothing happens: x0 comes back, without a call."""
        x0 = starts(3)
        field = Recording(Decay())
        solution = self.component().solve(_problem(x0, 0.5, 0.5, field=field))
        require_close(solution.x, x0, "from t = 0.5 to 0.5", rtol=0, atol=0)
        require(field.calls == 0, f"it called the field {field.calls} times")

    def test_path_is_demanded_where_it_is_needed(self) -> None:
        """A solver with needs_path refuses a problem without one, and check(None) says so before
        training.
        """
        solver = self.component()
        if not solver.needs_path:
            solver.check(None)
            solver.solve(Problem(Decay(), starts(2), *INNER))
            return
        attempts: list[Callable[[], object]] = [
            lambda: solver.check(None),
            lambda: solver.solve(Problem(Decay(), starts(2))),
        ]
        for attempt in attempts:
            try:
                attempt()
            except ComponentError:
                continue
            require(False, "needs_path is set, and a problem without a path was accepted")

    def test_integrates_the_divergence(self) -> None:
        """With an augmentation, logdet is the integral of div u, at the accuracy of the state."""
        x0 = starts(4, 2)
        problem = _problem(x0, *INNER, augmentation=Augmentation())
        try:
            solution = self.good().solve(problem)
        except ComponentError as error:
            skip(str(error))
        require(solution.logdet is not None, "an augmentation was given, and logdet is None")
        wanted = Decay.logdet(x0, Decay.exact(x0, *INNER))
        require_close(_given(solution.logdet), wanted, "logdet", rtol=ACCURATE, atol=ACCURATE)

    def test_gradients_agree(self) -> None:
        """Without `grad` no graph is kept; checkpointed gradients are the direct ones."""
        gradients: list[Tensor] = []
        for grad in ("none", "direct", "checkpoint"):
            x0 = starts(3).requires_grad_()
            try:
                x = self.good().solve(_problem(x0, *INNER, grad=grad)).x
            except ComponentError as error:
                skip(str(error))
            if grad == "none":
                require(not x.requires_grad, "a graph was kept, though the problem has grad='none'")
                continue
            gradients.extend(torch.autograd.grad(x.sum(), x0))
        x0 = starts(3)
        wanted = (Decay.exact(x0, *INNER) / x0) ** 2
        require_close(gradients[0], gradients[1], "direct and checkpointed", rtol=1e-9, atol=1e-9)
        require_close(gradients[0], wanted, "d x(t1) / d x0", rtol=ACCURATE, atol=ACCURATE)

    def test_memory_does_not_grow_with_steps(self) -> None:
        """A fixed solver's buffers are as many for 64 steps as for 16."""
        component = self.component()
        if not isinstance(component, FixedSolver):
            skip("only plans tell their buffers beforehand")
        few, many = (
            allocate(_with(component, nfe=None, steps=n, grid="auto").plan(*INNER, PATH)).slots
            for n in (16, 64)
        )
        require(many <= few, f"{few} buffers for 16 steps became {many} for 64")

    def test_draws_from_no_global_generator(self) -> None:
        """Solving leaves the global generators alone."""
        with untouched_randomness("solve"):
            self.component().solve(_problem(starts(3), *INNER))


def _problem(x0: Tensor, t0: float, t1: float, *, field: Any = None, **more: Any) -> Problem:
    return Problem(field or Decay(), x0, t0, t1, path=PATH, **more)


def _options(solver: Solver) -> set[str]:
    return {item.name for item in fields(solver) if item.init}  # type: ignore[arg-type]


def _with(solver: Any, **changes: Any) -> Any:
    """The solver with those of `changes` that are options of it."""
    return replace(solver, **{k: v for k, v in changes.items() if k in _options(solver)})


def _needs(solver: Any, *options: str) -> Any:
    missing = set(options) - _options(solver)
    if missing:
        skip(f"has no option {', '.join(sorted(missing))}")
    return solver


def _quiet(solver: Any) -> Any:
    """The ODE solver that a stochastic solver is without noise; any other solver itself."""
    return _with(solver, noise=0.0) if solver.stochastic else solver


def _stochastic(solver: Any) -> Any:
    if not solver.stochastic:
        skip("adds no noise")
    if "noise" not in _options(solver):
        require(False, "a stochastic solver has an option 'noise', 0 for the ODE")
    return solver


def _possible(solver: Solver, spans: Iterable[Span]) -> list[Span]:
    """Those of the intervals that the solver can go: noise is added on the way to data only."""
    return [(t0, t1) for t0, t1 in spans if t0 < t1 or not solver.stochastic]


def _rows_are_independent(solver: Solver) -> bool:
    if isinstance(solver, AdaptiveSolver):
        return solver.coupling == "sample"
    return isinstance(solver, FixedSolver)


def _late_calls(solver: Solver) -> float:
    """How many calls may come after the last sample's arrival: until the next poll, or while others
    have their turn.
    """
    if not isinstance(solver, AdaptiveSolver):
        return 0
    return math.inf if solver.slots else solver.nfe_per_attempt * ((solver.poll or 1) - 1)


def _calls(solver: Solver) -> int:
    field = Recording(Decay())
    solver.solve(_problem(starts(2), *INNER, field=field))
    return field.calls


def _error(solver: Solver, t0: float, t1: float) -> float:
    x0 = starts(8)
    return float((solver.solve(_problem(x0, t0, t1)).x - Decay.exact(x0, t0, t1)).abs().max())


def _observed_order(solver: FixedSolver, t0: float, t1: float) -> float:
    errors = []
    for n in (96, 192):
        grid = [t0 + (t1 - t0) * (i / n) ** 2 for i in range(n)] + [t1]
        errors.append(_error(_with(solver, nfe=None, steps=None, grid=grid), t0, t1))
    return math.log2(errors[0] / max(errors[1], 1e-16))


def _all_succeeded(solution: Solution, what: str) -> None:
    statuses = sorted(set(solution.status.tolist()))
    require(statuses == [Status.SUCCESS], f"{what} the statuses are {statuses}")


def _given(value: Tensor | None) -> Tensor:
    if value is None:
        raise AssertionError("nothing came back where a tensor was asked for")
    return value
