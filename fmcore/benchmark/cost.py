"""Cost, error and time of one cell."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fmcore.benchmark.instrument import CallCounter, FieldTimer, SyncCounter
from fmcore.benchmark.task import Task
from fmcore.interfaces.problem import Solution, Status, Velocity
from fmcore.interfaces.solver import Solver

__all__ = ["costs", "errors", "solve_all", "timings"]

SECONDS = 2.0
"""Timing stops early after this many seconds, but not before three rounds."""


def solve_all(task: Task, solver: Solver, field: Velocity) -> list[Solution]:
    """Solve for all samples, batch by batch."""
    with torch.no_grad():
        return [solver.solve(problem) for problem in task.problems(field)]


def costs(task: Task, solver: Solver) -> tuple[dict[str, Any], list[Solution]]:
    """Return the counted cost of one pass, which is exact, and its solutions."""
    counted = CallCounter(task.field, task.path.t_min, task.path.t_max)
    solutions = solve_all(task, solver, counted)
    forwards = counted.forwards  # read here: the next pass calls the same network
    nfe = torch.cat([s.stats.nfe for s in solutions]).double().cpu()
    statuses = Counter(int(v) for s in solutions for v in s.status.tolist())
    synced = SyncCounter(task.field)
    waits = synced.count(lambda: solve_all(task, solver, synced))
    return {
        "nfe_mean": float(nfe.mean()),
        "nfe_p95": float(nfe.quantile(0.95)),
        "nfe_max": int(nfe.max()),
        "calls": counted.calls,
        "forwards": forwards,
        "evaluations_per_sample": counted.rows / len(task.x0),
        "rejected": sum(s.stats.rejected for s in solutions),
        "statuses": " ".join(f"{Status(c).name}:{n}" for c, n in sorted(statuses.items())),
        "calls_outside": counted.outside,
        "waits_per_nfe": waits / max(synced.calls, 1),
    }, solutions


def errors(x: Tensor, reference: Tensor) -> dict[str, float]:
    """Return distances from `reference`: RMS over the elements of a sample, then RMS, median, 95th
    percentile and maximum over samples; infinite for a sample that is not finite.  Samples beyond
    the length of `reference` are left out.
    """
    off = (x[: len(reference)].double().cpu() - reference).flatten(1)
    each = off.square().mean(1).sqrt().nan_to_num(nan=float("inf"))
    return {
        "error_rms": float(each.square().mean().sqrt()),
        "error_median": float(each.quantile(0.5)),
        "error_p95": float(each.quantile(0.95, interpolation="higher")),
        "error_max": float(each.max()),
    }


def timings(task: Task, solver: Solver, repeats: int) -> dict[str, float | None]:
    """Return medians over `repeats` passes.  The counting passes before are the warm-up."""
    cuda = task.x0.device.type == "cuda"
    rounds: list[tuple[float, float, int]] = []
    if cuda:
        torch.cuda.reset_peak_memory_stats(task.x0.device)
    while len(rounds) < repeats and (len(rounds) < 3 or sum(r[0] for r in rounds) < SECONDS):
        rounds.append(_round(task, solver, cuda))
    whole = sorted(seconds for seconds, _, _ in rounds)
    outside = [(s - inside) / calls * 1e6 for s, inside, calls in rounds]
    return {
        "seconds": statistics.median(whole),
        "seconds_spread": _spread(whole),
        "model_seconds": statistics.median(inside for _, inside, _ in rounds),
        "us_per_nfe_outside": statistics.median(outside),
        "rounds": len(rounds),
        "peak_mb": torch.cuda.max_memory_allocated(task.x0.device) / 2**20 if cuda else None,
    }


def _round(task: Task, solver: Solver, cuda: bool) -> tuple[float, float, int]:
    timed = FieldTimer(task.field, task.x0.device)
    _synchronize(cuda)
    began = time.perf_counter()
    solve_all(task, solver, timed)
    _synchronize(cuda)
    return time.perf_counter() - began, timed.seconds, max(timed.calls, 1)


def _synchronize(cuda: bool) -> None:
    if cuda:
        torch.cuda.synchronize()


def _spread(ordered: Sequence[float]) -> float:
    """Return half the interquartile range, a measure of the median's uncertainty."""
    if len(ordered) < 3:
        return (ordered[-1] - ordered[0]) / 2
    low, _, high = statistics.quantiles(ordered, n=4, method="inclusive")
    return (high - low) / 2
