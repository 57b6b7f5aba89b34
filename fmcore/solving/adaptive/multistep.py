"""Adams methods with variable steps: one attempted step costs one evaluation.

With p the polynomial through the last n velocities, the predictor adds the integral of p over the
step.  The velocity u at the predicted state joins the n for the corrector, which adds

    h g (u - p(1)),    g = int_0^1 w(tau) dtau / w(1),    w(tau) = prod_j (tau - tau_j),

in units of the step, and u is kept as the velocity of the corrected state (predict, evaluate,
correct: PEC).  The same term is the error estimate.
Source: Hairer, Norsett, Wanner I, III.1 and III.5.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any, NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from fmcore.solving.adaptive.batch_state import BatchState
from fmcore.solving.adaptive.step import Stepper
from fmcore.solving.evaluation import device_tensor

__all__ = ["MultistepStepper", "adams_weights", "predictor_weights"]


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


class _Rules(NamedTuple):
    """Constants of the weights of up to n nodes, as arrays or as tensors on the device.

    `points` are those of a quadrature of degree n on [0, 1], then 1, `(points, 1, 1)`;
    `functionals` give the integral and the value at 1 from values there, `(2, points)`; `unit` is
    the unit matrix and `triangle` 1 where row <= column, both `(n, n, 1)`; `numbers` counts the
    nodes, `(n, 1)`.
    """

    points: Any
    functionals: Any
    unit: Any
    triangle: Any
    numbers: Any


@lru_cache(maxsize=32)
def _rules(size: int, device: torch.device | None) -> _Rules:
    """Return the constants for `size` nodes, as arrays if there is no device."""
    roots, weights = np.polynomial.legendre.leggauss(size // 2 + 1)
    points = np.append((1 + roots) / 2, 1.0)
    functionals = np.array([[*weights / 2, 0.0], [*0 * weights, 1.0]])
    rules = _Rules(
        points=points[:, None, None],
        functionals=functionals,
        unit=np.eye(size)[:, :, None],
        triangle=np.triu(np.ones((size, size)))[:, :, None],
        numbers=np.arange(size)[:, None],
    )
    if device is None:
        return rules
    # MPS has no float64.
    real = partial(
        device_tensor,
        dtype=torch.float32 if device.type == "mps" else torch.float64,
        device=device,
    )
    return _Rules(
        points=real(rules.points),
        functionals=real(rules.functionals),
        unit=real(rules.unit),
        triangle=real(rules.triangle),
        numbers=device_tensor(rules.numbers, torch.int64, device),
    )


def predictor_weights(nodes: Any, count: Any) -> tuple[Any, Any]:
    """Return the weights of the polynomial through the first `count` of `nodes`, and g.

    `nodes` is `(nodes, batch)`, `count` `(batch,)`, both arrays or tensors.  The weights,
    `(2, nodes, batch)`, give the polynomial's integral over [0, 1] and its value at 1, by divided
    differences; those of unused nodes are 0.  g is `(batch,)`.
    """
    size, batch = nodes.shape
    rules = _rules(size, nodes.device if isinstance(nodes, Tensor) else None)
    # Newton's polynomials prod_{l <= j} (tau - nodes_l) at the points, and their functionals.
    basis = _cumulated(rules.points - nodes).reshape(len(rules.points), -1)
    newton = (rules.functionals @ basis).reshape(2, size, batch)
    # 1 / prod_{l <= j, l != i} (nodes_i - nodes_l): of value i in the divided difference j.
    used = rules.triangle * (rules.numbers < count)
    divided = used / _cumulated(nodes[:, None] - nodes + rules.unit)
    weights = divided[:, 0] + (newton[:, None, :-1] * divided[:, 1:]).sum(2)
    # Of prod_{l < count} (tau - nodes_l), by which the new velocity enters.
    last = (newton * (rules.numbers == count - 1)).sum(1)
    return weights, last[0] / last[1]


def _cumulated(factors: Any) -> Any:
    """Return the products of the first 1, 2, ... of `factors`, `(..., n, batch)`, in place."""
    # NumPy's cumprod over a short dimension takes longer than n products of whole vectors.
    for j in range(1, factors.shape[1]):
        factors[:, j] *= factors[:, j - 1]
    return factors


class _History(NamedTuple):
    """The last velocities of each sample, `(width, history, *shape)`; their times,
    `(width, history)`; how many are valid, and the place of the oldest, both `(width,)`.  Of a step
    that the batch shares, all but the velocities have one row.
    """

    velocities: Tensor
    times: Any
    valid: Any
    slot: Any


class _PredictedStep(NamedTuple):
    """A step of each sample: its start and signed length, as the controller stores them; the new
    velocity and divergence; the corrected state; the estimated errors; and the change of the
    integral of the divergence.
    """

    start: Any
    length: Any
    velocity: Tensor
    divergence: Tensor | None
    corrected: Tensor
    error: Tensor
    div_error: Tensor | None
    div_change: Tensor | None


@final
class MultistepStepper(Stepper):
    """Advances samples by an Adams predictor-corrector pair; the order grows from 2(1) as the first
    steps fill the history.

    A new velocity takes the place of the oldest, so that no step moves the others.
    """

    def start(self, ids: Tensor, x: Tensor) -> BatchState:
        state = super().start(ids, x)
        size, width = self.options.history, len(ids)
        rows = 1 if self.options.is_shared else width
        # Nodes must differ; those of velocities that are not valid have no weight.
        times: Any = np.tile(self.t0 - self.sign * np.arange(size), (rows, 1))
        valid: Any = np.ones(rows, np.int64)
        if not self.on_host:
            times = device_tensor(times, self.time_dtype, self.device)
            valid = device_tensor(valid, torch.int64, self.device)
        state.history_times, state.history_count = times, valid
        # The first places are filled first, so that the valid velocities are before the others.
        state.history_slot = valid % size
        state.history = _with_first(state.k, size)
        if state.k_div is not None:
            state.history_div = _with_first(state.k_div, size)
        return state

    def attempt(self, state: BatchState) -> bool:
        history, of = _history_of(state), self.control.arithmetic
        h = of.minimum(state.h, state.left)
        start = of.add(self.end, state.left, -self.sign)
        trial = self._predict_and_correct(state, history, start, self.sign * h)
        ratio, finite = self.control.ratio_of(state, trial.corrected, trial.error, trial.div_error)
        ratio = self._as_of_full_history(history, ratio)
        accepted, all_accept, may_have_ended = self.control.decide(state, ratio, finite, h)
        if accepted is None:
            return may_have_ended
        rows = self._as_tensor(accepted)
        if state.trajectory is not None and self.asked is not None:
            passed, states = self._passed_states(self.asked, state, history, trial, rows)
            state.trajectory = torch.where(passed, states, state.trajectory)
        if state.logdet is not None and trial.div_change is not None:
            logdet = state.logdet + trial.div_change
            state.logdet = torch.where(rows.unsqueeze(1), logdet, state.logdet)
        if all_accept:
            state.x = trial.corrected
        else:
            state.x = torch.where(rows.view(self.column), trial.corrected, state.x)
        self._remember(state, history, trial, None if all_accept else accepted)
        return may_have_ended

    def _predict_and_correct(
        self, state: BatchState, history: _History, start: Any, length: Any
    ) -> _PredictedStep:
        """Return the step from the current states, which costs one evaluation."""
        with np.errstate(all="ignore"):  # a finished sample: its step has length 0
            by_node = history.times.T
            # In memory with the samples last, over which operations run fastest.
            by_node = by_node.copy() if self.on_host else by_node.contiguous()
            weights, gain = predictor_weights((by_node - start) / length, history.valid)
            weights[0] *= length
            gain = gain * length
        by_sample = self._real(weights).permute(2, 0, 1)
        # Contiguous: bmm of strided weights takes up to fifteen times as long.
        by_sample = by_sample.contiguous().expand(state.width, -1, -1)
        moved, expected = _combined(by_sample, history.velocities)
        predicted = state.x + moved
        t = self._end_times(start, length, state.width)
        velocity, divergence = self._velocity(predicted, t, state, state.logdet is not None)
        # The difference of velocities, not that of states, which would lose more digits.
        error = (velocity - expected).mul_(self._real(gain).view(self.column))
        div_error = div_change = None
        if divergence is not None and state.history_div is not None:
            moved, expected = _combined(by_sample, state.history_div)
            div_error = (divergence - expected) * self._real(gain).view(-1, 1)
            div_change = moved + div_error
        return _PredictedStep(
            start=start,
            length=length,
            velocity=velocity,
            divergence=divergence,
            corrected=predicted + error,
            error=error,
            div_error=div_error,
            div_change=div_change,
        )

    def _as_of_full_history(self, history: _History, ratio: Any) -> Any:
        """Return the ratio whose change with h is that of the error of a full history."""
        size, valid = self.options.history, history.valid
        if self.on_host and int(valid.min()) == size:
            return ratio
        exponent = (size + 1) / (valid + 1)
        return ratio ** (float(exponent[0]) if self.by_number else exponent)

    def _end_times(self, start: Any, length: Any, width: int) -> Tensor:
        """Return the times at the end of a step, `(width,)`, inside the interval."""
        t = start + length
        if self.by_number:
            return self._real(np.full(1, min(max(t, self.low), self.high))).expand(width)
        if self.by_array:
            return self._real(np.minimum(np.maximum(t, self.low), self.high))
        return self._real(t).clamp_(self.low, self.high).expand(width)

    def _remember(
        self, state: BatchState, history: _History, trial: _PredictedStep, accepted: Any
    ) -> None:
        """Put the velocity of the samples that accept the step, None for all, in the history."""
        size, until = self.options.history, trial.start + trial.length
        # Of a shared step the history of all samples moves on, which do not use that of a failed.
        shared = self.options.is_shared
        mask = None if shared or accepted is None else accepted
        if shared and not self.on_host:
            mask = accepted.any(0, keepdim=True)
        times = history.times.reshape(-1)
        places = self._range(len(history.slot)) * size + history.slot
        if mask is not None:
            before = times[places]
            until = np.where(mask, until, before) if self.on_host else until.where(mask, before)
        times[places] = until
        moves = 1 if mask is None else mask + 0
        state.history_slot = (history.slot + moves) % size
        state.history_count = history.valid + moves * (history.valid < size)
        places = self._as_tensor(places)
        self._write(history.velocities, places, trial.velocity, mask)
        if state.history_div is not None and trial.divergence is not None:
            self._write(state.history_div, places, trial.divergence, mask)

    def _write(self, velocities: Tensor, places: Tensor, value: Tensor, mask: Any) -> None:
        """Write `value` in the `places` of the samples in `mask`, None for all."""
        if self.options.is_shared:
            dim, value = 1, value.unsqueeze(1)
        else:
            dim, value = 0, value.reshape(len(value), -1)
            velocities = velocities.view(-1, value.shape[1])
        if mask is not None:
            mask = self._as_tensor(mask).unsqueeze(1)
            value = torch.where(mask, value, velocities.index_select(dim, places))
        velocities.index_copy_(dim, places, value)

    def _range(self, count: int) -> Any:
        return np.arange(count) if self.on_host else torch.arange(count, device=self.device)

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
        left, begun, length = (
            self._as_tensor(value).unsqueeze(1) for value in (state.left, trial.start, trial.length)
        )
        passed = ((asked - begun) * self.sign > 0) & accepted.unsqueeze(1)
        passed = passed & ((asked - self.t1) * self.sign + left <= 0)
        theta = (asked - begun) / length
        times, valid = (self._as_tensor(value) for value in (history.times, history.valid))
        nodes = torch.cat([torch.ones_like(times[:, :1]), (times - begun) / length], 1)
        weights = adams_weights(nodes, valid + 1, theta).to(self.dtype)
        velocities = torch.cat([trial.velocity.unsqueeze(1), history.velocities], 1)
        moved = weights @ velocities.view(*velocities.shape[:2], -1)
        scale = length.to(self.dtype).view(self.column).unsqueeze(1)
        moved = moved.view(state.width, -1, *state.x.shape[1:])
        return (
            passed.view(state.width, -1, *self.column[1:]),
            state.x.unsqueeze(1) + scale * moved,
        )


def _history_of(state: BatchState) -> _History:
    history = state.history
    if history is None:
        raise RuntimeError("the state was not started by this stepper")
    return _History(history, state.history_times, state.history_count, state.history_slot)


def _with_first(velocity: Tensor, size: int) -> Tensor:
    """Return a history of `size` velocities, the first of them `velocity`, the others 0."""
    history = velocity.new_zeros(len(velocity), size, *velocity.shape[1:])
    history[:, 0] = velocity
    return history


def _combined(weights: Tensor, values: Tensor) -> tuple[Tensor, ...]:
    """Return the sums of `values`, `(batch, n, *shape)`, by each of `weights`,
    `(batch, 2, n)`.
    """
    rows = torch.bmm(weights, values.view(*values.shape[:2], -1))
    return rows.view(len(values), -1, *values.shape[2:]).unbind(1)
