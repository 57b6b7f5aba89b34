"""Selection of the backend of a fixed solver; all give the same result, to rounding.

An unavailable or unsupported backend falls back to `auto` and warns once.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from fmcore.errors import FmcoreWarning
from fmcore.interfaces.problem import Problem, Solution
from fmcore.solving.backends.compiled import CompiledSteps
from fmcore.solving.backends.cuda_graph import GraphedSteps
from fmcore.solving.backends.eager import execute
from fmcore.solving.backends.field_state import Counters, PerField
from fmcore.solving.backends.fused import execute_fused
from fmcore.solving.backends.kernels import Unavailable, best_kernel, triton_kernel
from fmcore.solving.evaluation import label_of
from fmcore.solving.fixed.plan import Plan

__all__ = ["Backend", "execute_by"]

Backend = Literal["auto", "eager", "compiled", "fused", "graph"]
"""`eager`: torch's own operations, one after the other.  `fused`: all sums between two calls of the
field as one Triton kernel.  `compiled`: each step, including the field, by torch.compile.  `graph`:
each step, including the field, as a CUDA graph, with fused sums where Triton works.  `auto`:
`eager` on a CPU; on a GPU `fused` where Triton works, else `eager`."""

_warned: set[str] = set()
"""Warnings that this process has given: a fallback repeats at every solve."""


def execute_by(
    backend: Backend, plan: Plan, problem: Problem, asked: int | None = None, solver: Any = None
) -> Solution:
    """Solve `problem` by the rows of `plan` with `backend`; fall back to `auto` where that fails.

    `asked` is the NFE budget, and `solver` names the solver in warnings.  `stats.extra["backend"]`
    is the backend that ran, unless it is the default `eager`, and `stats.extra["refused"]` the
    reason of a fallback.
    """
    if backend == "eager":
        return execute(plan, problem, asked)
    if backend == "auto":
        device = getattr(problem.x0, "device", None)
        if device is None or device.type == "cpu":
            return execute(plan, problem, asked)
        return _automatic(plan, problem, asked)
    try:
        return _by(backend, plan, problem, asked)
    except Unavailable as error:
        solution = _automatic(plan, problem, asked)
        refused = str(error)
    ran = solution.stats.extra.get("backend", "eager")
    _warn_once(f"{label_of(solver)}: no backend '{backend}' here: {refused}; solving by '{ran}'")
    extra = {**solution.stats.extra, "backend": ran, "refused": refused}
    return replace(solution, stats=replace(solution.stats, extra=extra))


def _automatic(plan: Plan, problem: Problem, asked: int | None) -> Solution:
    if getattr(problem.x0, "is_cuda", False):
        try:
            return _by("fused", plan, problem, asked)
        except Unavailable:
            pass
    return execute(plan, problem, asked)


def _by(backend: Backend, plan: Plan, problem: Problem, asked: int | None) -> Solution:
    """Solve with `backend`.  Raises Unavailable where it cannot."""
    _require(backend, problem)
    if plan.draws and problem.augmentation is not None:
        return execute(plan, problem, asked)  # raises the error for this combination
    if backend == "fused":
        kernel = triton_kernel(problem.x0.device)
        return execute_fused(plan, problem, kernel, asked, backend=backend)
    failures = _failures.of(problem.field)
    # A failed compilation takes seconds, and would fail again at every solve.
    if backend in failures:
        raise Unavailable(failures[backend])
    counters = Counters(problem.field)
    before = counters.read()
    try:
        steps = (_compiled if backend == "compiled" else _graphed).of(problem.field)
        return steps.execute(plan, problem, asked, backend=backend)
    except (Unavailable, _compilers_own()) as error:
        # The failed attempt has called the field; the fallback counts from the start.
        counters.write(before)
        failures[backend] = _reason(error)
        raise Unavailable(failures[backend]) from error


def _require(backend: Backend, problem: Problem) -> None:
    """Raise Unavailable where this backend does not support this problem."""
    x0: Any = problem.x0
    if not isinstance(x0, Tensor):
        raise Unavailable("the state is not one tensor")
    if problem.grad != "none":
        raise Unavailable("gradients go through torch's own operations")
    if problem.augmentation is not None and backend != "fused":
        raise Unavailable("divergences need autograd at each call")
    if getattr(problem, "callback", None) is not None and backend != "compiled":
        raise Unavailable("the problem's callback may read the states between steps")
    if backend != "graph":
        return
    if x0.device.type != "cuda":
        raise Unavailable(f"CUDA graphs need a CUDA device, and x0 is on '{x0.device}'")
    if torch.is_autocast_enabled("cuda"):
        raise Unavailable(
            "autocast is on around the solve, and caches weights at addresses that a graph cannot "
            "keep: use autocast inside the field"
        )


def _new_graphed(field: Any) -> GraphedSteps:
    return GraphedSteps(field, best_kernel(torch.device("cuda", torch.cuda.current_device())))


_compiled = PerField(CompiledSteps)
_graphed = PerField(_new_graphed)
_failures: PerField[dict[str, str]] = PerField(lambda field: {})


def _compilers_own() -> type[Exception]:
    """Return the error class of torch.compile; its import takes a second, so it is made only where
    an error was raised.
    """
    from torch._dynamo.exc import TorchDynamoException

    return TorchDynamoException


def _reason(error: Exception) -> str:
    """Return the first line of the error, with its cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    what = lines[0] if lines else type(error).__name__
    if isinstance(error, Unavailable):
        return f"the step cannot be recorded: {what}"
    return f"the step does not compile: {what}"


def _warn_once(text: str) -> None:
    if text not in _warned:
        _warned.add(text)
        warnings.warn(text, FmcoreWarning, stacklevel=4)
