"""Adams methods with variable steps: one attempted step costs one evaluation.

With u interpolated by a polynomial, the integral over a step is h sum_j w_j u_j.  The predictor
uses the last n velocities; the velocity at the predicted state joins them for the corrector, and is
kept as the velocity of the corrected state (predict, evaluate, correct: PEC).  The difference of
both is the error estimate.
Source: Hairer, Norsett, Wanner I, III.1 and III.5.
"""

from __future__ import annotations

from typing import NamedTuple, final

import torch
from torch import Tensor

from fmcore.solving.adaptive.batch_state import BatchState
from fmcore.solving.adaptive.step import Stepper

__all__ = ["MultistepStepper", "adams_weights"]


def adams_weights(nodes: Tensor, count: Tensor, theta: Tensor) -> Tensor:
    """Return the weights of the first `count` of `nodes` in the integral from 0 to `theta` of the
    polynomial through values there, `(batch, times, nodes)`; the other weights are 0.

    `nodes` is `(batch, nodes)`, `count` `(batch,)` and `theta` `(batch, times)`, in units of a
    step.  Exact for polynomials of degree count - 1.
    """
    powers = torch.arange(nodes.shape[1], device=nodes.device)
    used = powers < count.unsqueeze(1)
    # Row m of a system: the weights integrate tau^m exactly, or weight m is unused and 0.
    equations = nodes.unsqueeze(1) ** powers.view(1, -1, 1) * used.unsqueeze(1)
    unit = torch.eye(len(powers), dtype=nodes.dtype, device=nodes.device)
    system = torch.where(used.unsqueeze(2), equations, unit)
    integrals = theta.unsqueeze(1) ** (powers.view(1, -1, 1) + 1) / (powers.view(1, -1, 1) + 1)
    # Unlike solve, solve_ex does not wait for the device to check the matrix.
    found: Tensor = torch.linalg.solve_ex(system, integrals * used.unsqueeze(2)).result
    return found.transpose(1, 2)


class _History(NamedTuple):
    """The last velocities of each sample, the newest first, `(width, history, *shape)`; their
    times, `(width, history)`; and how many of them are valid, `(width,)`.
    """

    velocities: Tensor
    times: Tensor
    valid: Tensor


class _PredictedStep(NamedTuple):
    """A step of each sample: its start and signed length, `(width,)` or `(1,)`; the times of the
    new velocity and the history in units of the step, with the weights of the corrector, both
    `(width, history + 1)`; the velocities and divergences at these times; the corrected state; and
    the estimated errors, divided by the length.
    """

    start: Tensor
    length: Tensor
    nodes: Tensor
    corrector: Tensor
    velocities: Tensor
    divergences: Tensor | None
    corrected: Tensor
    error: Tensor
    div_error: Tensor | None


@final
class MultistepStepper(Stepper):
    """Advances samples by an Adams predictor-corrector pair; the order grows from 2(1) as the first
    steps fill the history.
    """

    def start(self, ids: Tensor, x: Tensor) -> BatchState:
        state = super().start(ids, x)
        size, width = self.options.history, len(ids)
        state.history = state.k.unsqueeze(1).repeat(1, size, *(1,) * (x.ndim - 1))
        state.history_times = self._time(self.t0, width).unsqueeze(1).repeat(1, size)
        state.history_count = torch.ones_like(ids)
        if state.k_div is not None:
            state.history_div = state.k_div.unsqueeze(1).repeat(1, size, 1)
        return state

    def attempt(self, state: BatchState) -> bool:
        history = _history_of(state)
        h = torch.minimum(state.h, state.left)
        trial = self._predict_and_correct(state, history, h)
        ratio, finite = self.control.ratio_of(
            state, trial.corrected, trial.error, trial.div_error, h
        )
        # As the controller sees it: an error of the order of a full history.
        is_shared, count = self.options.is_shared, history.valid
        steps = count.amax(0, keepdim=True) if is_shared else count
        ratio = ratio ** ((self.options.history + 1) / (steps + 1)).to(ratio.dtype)
        accepted, may_have_ended = self.control.decide(state, ratio, finite, h)
        if accepted is None:
            return may_have_ended
        self._record_trial(state, history, trial, accepted)
        self._advance(state, history, trial, accepted)
        return may_have_ended

    def _predict_and_correct(
        self, state: BatchState, history: _History, h: Tensor
    ) -> _PredictedStep:
        """Return the step of size `h` from the current states, which costs one evaluation."""
        start = torch.add(self.end, state.left, alpha=-self.sign)
        length = self.sign * h
        t = (start + length).to(self.dtype).clamp_(self.low, self.high).expand(state.width)
        nodes = (history.times - start.unsqueeze(1)) / length.unsqueeze(1)
        one = torch.ones_like(nodes[:, :1])
        predictor = adams_weights(nodes, history.valid, one)[:, 0]
        scale = length.to(self.dtype).view(self.column)
        predicted = state.x + scale * _combined(predictor, history.velocities)
        velocity, divergence = self._velocity(predicted, t, state, state.logdet is not None)
        nodes = torch.cat([one, nodes], 1)
        corrector = adams_weights(nodes, history.valid + 1, one)[:, 0]
        # Their difference, not that of the states: it does not cancel.
        change = corrector - torch.cat([torch.zeros_like(one), predictor], 1)
        velocities = torch.cat([velocity.unsqueeze(1), history.velocities], 1)
        error = _combined(change, velocities)
        divergences, div_error = None, None
        if divergence is not None and state.history_div is not None:
            divergences = torch.cat([divergence.unsqueeze(1), state.history_div], 1)
            div_error = _combined(change, divergences)
        corrected = predicted + scale * error
        return _PredictedStep(
            start, length, nodes, corrector, velocities, divergences, corrected, error, div_error
        )

    def _record_trial(
        self, state: BatchState, history: _History, trial: _PredictedStep, accepted: Tensor
    ) -> None:
        """Record states at times that the step passes, and the integral of the divergence;
        `state.x` is still the state at its start.
        """
        if state.trajectory is not None and self.asked is not None:
            passed, states = self._passed_states(self.asked, state, history, trial, accepted)
            state.trajectory = torch.where(passed, states, state.trajectory)
        divergences = trial.divergences
        if state.logdet is not None and divergences is not None and state.history_div is not None:
            change = _combined(trial.corrector, divergences)
            added = trial.length.to(self.dtype).view(-1, 1) * change
            rows = accepted.unsqueeze(1)
            state.logdet = torch.where(rows, state.logdet + added, state.logdet)
            mask = rows.unsqueeze(2)
            state.history_div = torch.where(mask, divergences[:, :-1], state.history_div)

    def _passed_states(
        self,
        asked: Tensor,
        state: BatchState,
        history: _History,
        trial: _PredictedStep,
        accepted: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Return the mask of `asked` times that the step passes, and the states there,
        `(width, times, *shape)`, by the polynomial of the corrector.
        """
        left, begun = state.left.unsqueeze(1), trial.start.unsqueeze(1)
        passed = ((asked - begun) * self.sign > 0) & accepted.unsqueeze(1)
        passed = passed & ((asked - self.t1) * self.sign + left <= 0)
        theta = ((asked - begun) / trial.length.unsqueeze(1)).expand(state.width, -1)
        weights = adams_weights(trial.nodes, history.valid + 1, theta).to(self.dtype)
        velocities = trial.velocities
        moved = weights @ velocities.view(*velocities.shape[:2], -1)
        scale = trial.length.to(self.dtype).view(self.column).unsqueeze(1)
        moved = moved.view(state.width, -1, *state.x.shape[1:])
        return (
            passed.view(state.width, -1, *self.column[1:]),
            state.x.unsqueeze(1) + scale * moved,
        )

    def _advance(
        self, state: BatchState, history: _History, trial: _PredictedStep, accepted: Tensor
    ) -> None:
        """Move the samples that accept the step to its end, whose velocity joins the history."""
        rows, column = accepted.unsqueeze(1), accepted.view(self.column)
        state.x = torch.where(column, trial.corrected, state.x)
        newest = trial.velocities[:, :-1]
        state.history = torch.where(column.unsqueeze(1), newest, history.velocities)
        until = (trial.start + trial.length).expand(state.width).unsqueeze(1)
        times = torch.cat([until, history.times[:, :-1]], 1)
        state.history_times = torch.where(rows, times, history.times)
        longer = (history.valid + 1).clamp_max(self.options.history)
        state.history_count = torch.where(accepted, longer, history.valid)


def _history_of(state: BatchState) -> _History:
    history, times, count = state.history, state.history_times, state.history_count
    if history is None or times is None or count is None:
        raise RuntimeError("the state was not started by this stepper")
    return _History(history, times, count)


def _combined(weights: Tensor, values: Tensor) -> Tensor:
    """Return the sums of `values`, `(batch, n, *shape)`, by `weights`, `(batch, n)`."""
    rows = weights.to(values.dtype).unsqueeze(1) @ values.view(*values.shape[:2], -1)
    return rows.view(len(values), *values.shape[2:])
