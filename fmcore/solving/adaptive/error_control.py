"""Error control: the error of a step over its tolerance, and the decision to accept the step.

The same code serves all kinds of step size (see `Arithmetic`).  As tensors, one size for each
sample or one for the batch, no operation waits for the device and no branch depends on data.  Where
reading a value from the device costs little (on a CPU), the host decides, by a Python number that
the batch shares or an array with a size for each sample: about half the overhead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.problem import Augmentation
from fmcore.interfaces.tensors import as_rows
from fmcore.solving.adaptive.batch_state import BatchState
from fmcore.solving.adaptive.controller import AdaptiveOptions, arithmetic_of
from fmcore.solving.evaluation import constant
from fmcore.solving.tableau import Tableau

__all__ = ["Decision", "ErrorControl", "Weights", "mask_weights", "nonzero"]

Weights = tuple[tuple[int, float], ...]
"""The weights that are not zero, as (stage, weight)."""


class Decision(NamedTuple):
    """The mask of the samples that accept a step, `(width,)`, an array where the host decides for
    each, and None where it finds none; whether it finds that `all_accept`; and whether any sample
    `may_have_ended`.
    """

    accepted: Any
    all_accept: bool
    may_have_ended: bool


@final
class ErrorControl:
    """Decides the steps of an adaptive solve of states like `x0`, `(batch, *shape)`.

    `on_host` makes the host decide, on a CPU; otherwise step sizes are tensors of `time_dtype`.
    `h_min` is the smallest step size.  With an `augmentation`, a step must also keep the error of
    the integral of the divergence within its tolerance.
    """

    def __init__(
        self,
        options: AdaptiveOptions,
        x0: Tensor,
        augmentation: Augmentation | None,
        time_dtype: torch.dtype,
        h_min: float,
        *,
        on_host: bool,
    ) -> None:
        self.options, self.on_host, self.time_dtype = options, on_host, time_dtype
        self._by_array = on_host and not options.is_shared
        on_host_like = np.zeros(1) if self._by_array else 0.0
        self.arithmetic = arithmetic_of(
            on_host_like if on_host else x0.new_empty((), dtype=time_dtype)
        )
        self._h_min, self._zero = self.arithmetic.number(h_min), self.arithmetic.number(0.0)
        self._order = options.start_order
        like_ratio = on_host_like if on_host else x0.new_empty(())
        self._judge = options.controller.bind(arithmetic_of(like_ratio), options.error_order)
        elements = math.prod(x0.shape[1:])
        self._rms = elements**-0.5
        self._weights, self._div_weights = _both_weights(options.tableau, elements)
        self._atol = constant(options.atol, x0.dtype, x0.device)
        self._logdet_atol, self._logdet_rtol = _logdet_tolerance(options, augmentation, elements)
        self._infinity = constant(math.inf, x0.dtype, x0.device)
        self.rejected = 0  # of all samples, counted where the host decides for each

    def ratio(
        self,
        state: BatchState,
        x_new: Tensor,
        k: Sequence[Tensor],
        divergences: Sequence[Tensor | None],
        h: Any,
    ) -> tuple[Any, Any]:
        """Return the error ratio of a step of size `h` with stages `k` and their `divergences`, and
        the mask of samples whose own ratio is finite, `(width,)`.

        The ratio is `(width,)`, an array on the host, or `(1,)` for a shared step, a number on the
        host; a shared one is NaN if no running sample has a finite one.  The host's mask is an
        array, or None where all samples run and are finite.
        """
        error, div_error = _weighted(self._weights, k), None
        if state.logdet is not None:
            div_error = _weighted_divergences(self._div_weights, divergences)
        return self._ratio(state, x_new, error, div_error, h)

    def ratio_of(
        self, state: BatchState, x_new: Tensor, error: Tensor, div_error: Tensor | None
    ) -> tuple[Any, Any]:
        """Return the same from the `error` of a step, `(width, *shape)`, and that of the integral
        of the divergence, `(width, columns)`.
        """
        if div_error is not None:
            div_error = div_error / self._rms
        return self._ratio(state, x_new, error, div_error, self._rms)

    def _ratio(
        self, state: BatchState, x_new: Tensor, error: Tensor, div_error: Tensor | None, h: Any
    ) -> tuple[Any, Any]:
        control = self.options.step_control
        error = self._scaled(state.x, x_new, error)
        if state.element_weights is not None:
            error.mul_(state.element_weights)
        if state.all_running and control == "batch_rms" and state.logdet is None:
            ratio = h * float(torch.linalg.vector_norm(error)) * state.width**-0.5
            if math.isfinite(ratio):
                return ratio, None
        rows: Tensor = torch.linalg.vector_norm(as_rows(error), dim=1)
        if state.logdet is not None and div_error is not None:
            # The larger one, so that neither state nor integral hides the error of the other.
            rows = torch.maximum(rows, self._logdet_error(state.logdet, div_error))
        if self._by_array:
            with np.errstate(invalid="ignore"):  # a finished sample: its h is 0, its error any
                each = rows.numpy() * h
            return each, None if state.all_running and each.max() < math.inf else each < math.inf
        rows = rows.mul_(h)
        if state.all_running and control == "batch_max":
            ratio = float(rows.amax())
            if math.isfinite(ratio):
                return ratio, None
        finite = rows < self._infinity
        if not self.options.is_shared:
            return rows, finite
        shared = self._shared(rows, finite & state.running)
        return (float(shared) if self.on_host else shared), finite

    def decide(self, state: BatchState, ratio: Any, finite: Any, h: Any) -> Decision:
        """Accept or reject a step of size `h` by its `ratio`, set the next step size, end
        samples.
        """
        of = self.arithmetic
        accept, factor, state.memory, state.limit = self._judge(ratio, state.memory, state.limit)
        left, left_before = of.add(state.left, h, -1.0), state.left
        state.left = of.where(accept, left, left_before)
        state.h = h * factor
        too_small = state.h < self._h_min
        if self._by_array and finite is None:
            if left.min() > 0 and state.h.min() >= self._h_min:
                return self._go_on(state, accept)
            finite = state.running
        if finite is None:
            # The batch does as one: no mask is computed, unless the step ends all samples.
            state.attempts += 1
            state.accepted += accept
            ends = left <= 0 if accept else too_small
            accepted = state.running if accept else None
            if ends:
                self._end_all(state, is_finished=accept)
            return Decision(accepted, accept, ends)
        running = state.running
        # A shared step is accepted for the finite samples only.
        accepted = running & accept & finite
        finished = accepted & (left <= self._zero)
        # A sample ends where its step size is too small, and where the others accept a step at
        # whose end it is not finite: a smaller shared step for its sake would change the others.
        lost = (running & (accept | too_small)) > accepted
        state.broken = state.broken | (lost > finite)
        state.is_finished = state.is_finished | finished
        state.attempts = state.attempts + running
        state.accepted = state.accepted + accepted
        if state.left_of is not None:
            left_of_running = torch.where(accepted, left, left_before)
            state.left_of = torch.where(running, left_of_running, state.left_of)
        state.running = running > (finished | lost)
        if self._by_array:
            # Python integers: solutions hold these counts, and JSON takes no other.
            count, width = int(np.count_nonzero(accepted)), len(accepted)
            state.all_running = int(np.count_nonzero(state.running)) == width
            self.rejected += int(np.count_nonzero(running)) - count
            return Decision(accepted if count else None, count == width, not state.all_running)
        if self.on_host:
            state.all_running = bool(state.running.all())
        return Decision(None if self.on_host and not accept else accepted, False, True)

    def _go_on(self, state: BatchState, accept: Any) -> Decision:
        """Count a step after which all samples run: no other mask changes."""
        state.attempts = state.attempts + 1
        state.accepted = state.accepted + accept
        count = int(np.count_nonzero(accept))
        self.rejected += len(accept) - count
        return Decision(accept if count else None, count == len(accept), False)

    def _end_all(self, state: BatchState, *, is_finished: bool) -> None:
        nothing = torch.zeros_like(state.running)
        state.is_finished = state.running if is_finished else nothing
        state.left_of = torch.full_like(nothing, state.left, dtype=self.time_dtype)
        state.running, state.all_running, state.all_ended = nothing, False, True

    def first_step(self, state: BatchState, span: float, probe: Callable[[Tensor], Tensor]) -> Any:
        """Return the size of the first step, a tensor or on the host a number; there set
        `state.all_running` too, which costs no further wait.

        `probe(h)` is the velocity after an Euler step of size `h`, `(width,)` or `(1,)`; `span` is
        |t1 - t0|.  Source: Hairer, Norsett, Wanner I, II.4.
        """
        given = self.options.first_step
        if given is not None:
            h = min(given, span)
            if self.on_host and self.options.is_shared:
                state.all_running = bool(state.running.all())
                return h
            width = 1 if self.options.is_shared else state.width
            return torch.full((width,), h, dtype=self.time_dtype, device=state.x.device)
        if not self.on_host or self._by_array:
            return self._estimate(state, span, probe, state.running)
        # Norms over all samples cost half of masked ones, and are NaN if a sample is broken.
        h = float(self._estimate(state, span, probe, None))
        state.all_running = math.isfinite(h)
        return h if state.all_running else float(self._estimate(state, span, probe, state.running))

    def _estimate(
        self,
        state: BatchState,
        span: float,
        probe: Callable[[Tensor], Tensor],
        healthy: Tensor | None,
    ) -> Tensor:
        """Estimate the first step size by the norms over the `healthy` samples, None for all."""
        tolerance = state.x.abs().mul_(self.options.rtol).add_(self.options.atol)
        if state.element_weights is not None:
            # Once for the three quotients: an element that does not exist tolerates any error.
            tolerance = tolerance / state.element_weights
        size = self._norm(state.x / tolerance, healthy)
        speed = self._norm(state.k / tolerance, healthy)
        at_rest = (size < 1e-5) | (speed < 1e-5)
        # An Euler step that changes the state by 1 %, or a tiny one where the state hardly moves.
        trial = torch.where(at_rest, 1e-6, 0.01 * size / speed).clamp_max_(span)
        change = self._norm((probe(trial) - state.k) / tolerance, healthy) / trial
        steepest = torch.maximum(speed, change)
        # From here on as in the book: the step at which a term of this order is about 1 % of the
        # tolerance.
        curved = (0.01 / steepest).pow_(1 / (self._order + 1))
        straight = torch.maximum(torch.full_like(trial, 1e-6), 1e-3 * trial)
        h = torch.where(steepest <= 1e-15, straight, curved)
        h = torch.minimum(100 * trial, h).clamp_max_(span).to(self.time_dtype)
        # A broken sample must not stop the others; its own first step rejects.
        return h if healthy is None else h.nan_to_num_(nan=1e-6)

    def _scaled(self, x: Tensor, x_new: Tensor, error: Tensor) -> Tensor:
        """Return `error`, in place, over its tolerance."""
        largest = torch.maximum(x.abs(), x_new.abs())
        # The larger of both ends, as in HNW II.4: where x crosses 0, its start alone would demand
        # an error far below that of the steps around it.
        tolerance = torch.add(self._atol, largest, alpha=self.options.rtol)
        return error.div_(tolerance)

    def _logdet_error(self, logdet: Tensor, error: Tensor) -> Tensor:
        """Return the error of the integral over its tolerance and the step size, `(width,)`; of
        several probes the RMS.
        """
        # So that the 2-norm over the probes is an RMS.
        error = error * logdet.shape[1] ** -0.5
        tolerance = logdet.abs().mul_(self._logdet_rtol).add_(self._logdet_atol)
        found: Tensor = torch.linalg.vector_norm(error / tolerance, dim=1)
        return found

    def _shared(self, rows: Tensor, healthy: Tensor) -> Tensor:
        """Return one ratio for all healthy samples, `(1,)`; NaN if there are none."""
        if self.options.step_control == "batch_max":
            # Masked, not selected: the number of healthy samples is known only to the device.
            worst = torch.where(healthy, rows, -1.0).amax(0, keepdim=True)
            return torch.where(worst < 0, math.nan, worst)
        squares = torch.where(healthy, rows, 0.0).square_()
        return (squares.sum(0, keepdim=True) / healthy.sum(0, keepdim=True)).sqrt_()

    def _norm(self, x: Tensor, healthy: Tensor | None) -> Tensor:
        """Return the RMS of each sample, or what a shared step makes of it."""
        if healthy is None and self.options.step_control == "batch_rms":
            whole: Tensor = torch.linalg.vector_norm(x)
            return whole.mul_(x.numel() ** -0.5).view(1)
        flat = as_rows(x)
        rows: Tensor = torch.linalg.vector_norm(flat, dim=1).mul_(flat.shape[1] ** -0.5)
        if healthy is None:
            return rows.amax(0, keepdim=True)
        return self._shared(rows, healthy & rows.isfinite()) if self.options.is_shared else rows


def mask_weights(mask: Tensor, x: Tensor) -> Tensor:
    """Return the weights of the elements of `x`, `(batch, *shape)`, that make the RMS of a row one
    over the elements where `mask` is 1; they broadcast to x.

    Raises ComponentError for a mask that does not broadcast to x.
    """
    try:
        every = mask.expand_as(x)
    except RuntimeError as error:
        raise ComponentError(
            f"the mask in the condition has shape {tuple(mask.shape)}, which does not broadcast to "
            f"x of shape {tuple(x.shape)}: give it a row for each sample and 1 in the dimensions "
            "that share it"
        ) from error
    mask = mask.to(x.dtype)
    # A row without elements has no error: any divisor will do.
    count = every.flatten(1).sum(1).clamp_min(1).to(x.dtype).view(-1, *(1,) * (mask.ndim - 1))
    return mask * (math.prod(x.shape[1:]) / count).sqrt()


def nonzero(weights: Sequence[Any]) -> Weights:
    """Return the weights that are not zero, with their stages."""
    return tuple((stage, float(weight)) for stage, weight in enumerate(weights) if weight != 0)


def _weighted(weights: Weights, k: Sequence[Tensor]) -> Tensor:
    """Return the sum of the stages by their weights."""
    (stage, weight), *rest = weights
    error = k[stage] * weight
    for stage, weight in rest:
        error.add_(k[stage], alpha=weight)
    return error


def _weighted_divergences(weights: Weights, divergences: Sequence[Tensor | None]) -> Any:
    terms = ((weight, divergences[stage]) for stage, weight in weights)
    return sum(weight * div for weight, div in terms if div is not None)


def _both_weights(tableau: Tableau | None, elements: int) -> tuple[Weights, Weights]:
    """Return the weights of the error of the state, and of the divergence; none without tableau."""
    if tableau is None:
        return (), ()
    return _error_weights(tableau.completed, elements), _error_weights(tableau.completed, 1)


def _logdet_tolerance(
    options: AdaptiveOptions, augmentation: Augmentation | None, elements: int
) -> tuple[float, float]:
    """Return the absolute tolerance of the integral of the divergence, in nats, and the relative
    one.

    The divergence is a sum over the elements of a sample.  By default each of them has the absolute
    tolerance of an element of the state.
    """
    if augmentation is None or augmentation.logdet_atol is None:
        return options.atol * elements, options.rtol
    return augmentation.logdet_atol, 0.0


@lru_cache(maxsize=64)
def _error_weights(tableau: Tableau, elements: int) -> Weights:
    """Return the difference of the weights over sqrt(elements), so that a 2-norm is an RMS."""
    if tableau.embedded is None:
        raise ComponentError("an adaptive solver's tableau needs embedded weights")
    row = nonzero([b - e for b, e in zip(tableau.b, tableau.embedded, strict=True)])
    return tuple((stage, weight * elements**-0.5) for stage, weight in row)
