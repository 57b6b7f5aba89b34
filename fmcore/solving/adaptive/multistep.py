"""Adams methods with variable steps: one attempted step costs one evaluation.

With u interpolated by a polynomial, the integral over a step is h sum_j w_j u_j.  The predictor
uses the last n velocities; the velocity at the predicted state joins them for the corrector, and is
kept as the velocity of the corrected state (predict, evaluate, correct: PEC).  The difference of
both is the error estimate.
Source: Hairer, Norsett, Wanner I, III.1 and III.5.
"""

from __future__ import annotations

from typing import final

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
        history, times, count = state.history, state.history_times, state.history_count
        if history is None or times is None or count is None:
            raise RuntimeError("the state was not started by this stepper")
        h = torch.minimum(state.h, state.left)
        start = torch.add(self.end, state.left, alpha=-self.sign)
        length = self.sign * h
        t = (start + length).to(self.dtype).clamp_(self.low, self.high).expand(state.width)
        nodes = (times - start.unsqueeze(1)) / length.unsqueeze(1)
        one = torch.ones_like(nodes[:, :1])
        predictor = adams_weights(nodes, count, one)[:, 0]
        scale = length.to(self.dtype).view(self.column)
        predicted = state.x + scale * _combined(predictor, history)
        velocity, divergence = self._velocity(predicted, t, state, state.logdet is not None)
        nodes = torch.cat([one, nodes], 1)
        corrector = adams_weights(nodes, count + 1, one)[:, 0]
        # Their difference, not that of the states: it does not cancel.
        change = corrector - torch.cat([torch.zeros_like(one), predictor], 1)
        velocities = torch.cat([velocity.unsqueeze(1), history], 1)
        error = _combined(change, velocities)
        corrected = predicted + scale * error
        divergences, div_error = None, None
        if divergence is not None and state.history_div is not None:
            divergences = torch.cat([divergence.unsqueeze(1), state.history_div], 1)
            div_error = _combined(change, divergences)
        ratio, finite = self.control.ratio_of(state, corrected, error, div_error, h)
        # As the controller sees it: an error of the order of a full history.
        steps = count.amax(0, keepdim=True) if self.options.is_shared else count
        ratio = ratio ** ((self.options.history + 1) / (steps + 1)).to(ratio.dtype)
        accepted, may_have_ended = self.control.decide(state, ratio, finite, h)
        if accepted is None:
            return may_have_ended
        rows = accepted.unsqueeze(1)
        if state.trajectory is not None and self.asked is not None:
            left = state.left.unsqueeze(1)
            asked, begun = self.asked, start.unsqueeze(1)
            passed = ((asked - begun) * self.sign > 0) & rows
            passed = passed & ((asked - self.t1) * self.sign + left <= 0)
            theta = ((asked - begun) / length.unsqueeze(1)).expand(state.width, -1)
            weights = adams_weights(nodes, count + 1, theta).to(self.dtype)
            moved = (weights @ velocities.view(*velocities.shape[:2], -1)).view_as(state.trajectory)
            states = state.x.unsqueeze(1) + scale.unsqueeze(1) * moved
            passed = passed.view(state.width, -1, *self.column[1:])
            state.trajectory = torch.where(passed, states, state.trajectory)
        if state.logdet is not None and divergences is not None and state.history_div is not None:
            added = length.to(self.dtype).view(-1, 1) * _combined(corrector, divergences)
            state.logdet = torch.where(rows, state.logdet + added, state.logdet)
            mask = rows.unsqueeze(2)
            state.history_div = torch.where(mask, divergences[:, :-1], state.history_div)
        column = accepted.view(self.column)
        state.x = torch.where(column, corrected, state.x)
        state.history = torch.where(column.unsqueeze(1), velocities[:, :-1], history)
        until = (start + length).expand(state.width).unsqueeze(1)
        state.history_times = torch.where(rows, torch.cat([until, times[:, :-1]], 1), times)
        longer = (count + 1).clamp_max(self.options.history)
        state.history_count = torch.where(accepted, longer, count)
        return may_have_ended


def _combined(weights: Tensor, values: Tensor) -> Tensor:
    """Return the sums of `values`, `(batch, n, *shape)`, by `weights`, `(batch, n)`."""
    rows = weights.to(values.dtype).unsqueeze(1) @ values.view(*values.shape[:2], -1)
    return rows.view(len(values), *values.shape[2:])
