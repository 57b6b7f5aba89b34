"""Pairs of noise and samples of a trained flow, as training data of a second flow."""

from __future__ import annotations

from pathlib import Path as FilePath

import torch
from safetensors.torch import save_file
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.flow.field import prepared
from fmcore.interfaces.condition import PRESENT
from fmcore.interfaces.path import Path
from fmcore.interfaces.problem import Problem, Velocity
from fmcore.interfaces.randomness import noise_of
from fmcore.interfaces.solver import Solver
from fmcore.interfaces.source import Condition
from fmcore.runs.files import atomic

__all__ = ["write_pairs"]


@torch.no_grad()
def write_pairs(
    file: str | FilePath,
    field: Velocity,
    path: Path,
    solver: Solver,
    *,
    shape: tuple[int, ...],
    count: int,
    condition: Condition | None = None,
    seed: int = 0,
    batch_size: int = 256,
    device: torch.device | str = "cpu",
) -> None:
    """Sample `field` from `count` draws of the path's prior, and write the pairs to `file`.

    The safetensors file holds `x0` and `x1`, `(count, *shape)` in float32, and `condition`, which
    has `count` rows.  Pair i is a function of (seed, i) and its row of `condition`.  `x0` is the
    draw of the path's noise, before the prior's scale, as training reads it.  Train on the file
    with data `pairs` and coupling `reflow`.  Raises ComponentError for a count below 1.
    Source: Liu, Gong, Liu 2022 (arXiv 2209.03003), algorithm 1.
    """
    if count < 1:
        raise ComponentError(f"write_pairs: count must be at least 1, got {count}")
    parts: list[tuple[Tensor, Tensor]] = []
    for first in range(0, count, batch_size):
        rows = range(first, min(first + batch_size, count))
        given = condition and {k: v[rows.start : rows.stop] for k, v in condition.items()}
        prior = noise_of(path.prior(), rows, shape, seed, given)
        noise = noise_of(path.noise(), rows, shape, seed, given)
        problem = Problem(
            field=field,
            x0=prior.to(device),
            path=path,
            condition=prepared(field, given and {k: v.to(device) for k, v in given.items()}),
            sample_ids=torch.tensor(list(rows)),
            seed=seed,
        )
        parts.append((noise, solver.solve(problem).x.cpu().float()))
    x0, x1 = (torch.cat(column).contiguous() for column in zip(*parts, strict=True))
    # every pair is given its conditions: flags of the null value are not written
    entries = {k: v for k, v in (condition or {}).items() if not k.startswith(PRESENT)}
    tensors = {"x0": x0, "x1": x1, **{k: v.contiguous() for k, v in entries.items()}}
    atomic(FilePath(file), lambda part: save_file(tensors, part))
