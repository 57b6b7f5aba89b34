"""The state of the samples that an adaptive solve integrates at the same time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fmcore.solving.evaluation import device_tensor

__all__ = ["BatchState"]

Rows = Sequence[int] | NDArray[np.int64]


@final
@dataclass
class BatchState:
    """State of `width` samples; the first dimension of every tensor is the sample.

    `ids` are rows of the problem; `x` and `k`, the velocity at x, are `(width, *shape)`.  `left` is
    the time left to t1, `h` the size of the next step, `memory` and `limit` belong to the
    controller.  These four are `(width,)`; where the batch shares one step size they are `(1,)`, or
    Python numbers if the host decides, and `left_of` holds the time left of each sample.  Where the
    host decides for each sample, they are arrays, as are the five fields below.

    `running` samples are integrated further, `is_finished` ones have reached t1, `broken` ones
    stopped at an error that was not finite, and the rest at a step size too small.
    `attempts` and `accepted` count steps, `(width,)`.  Where the host decides, they are numbers as
    long as all samples run or end together; `all_running` and `all_ended` are what it knows of them
    without reading `running`.

    `element_weights`, where the condition has a `mask`, are those of the elements in a mean square:
    it is over the elements with mask 1.

    `history`, `(width, n, *shape)`, are the last velocities of a multistep method, `history_div`
    their divergences and `history_times`, `(width, n)`, their times; the first `history_count` of
    them are valid, and the next velocity goes to place `history_slot`.

    `condition` and `probes` belong to the sample; `logdet` and `k_div` exist where the divergence
    is integrated, `trajectory`, `(width, times, *shape)`, where states at given times are.
    """

    ids: Tensor
    x: Tensor
    k: Tensor
    left: Any
    h: Any
    memory: Any
    limit: Any
    running: Any
    is_finished: Any
    broken: Any
    attempts: Any
    accepted: Any
    left_of: Tensor | None = None
    condition: Mapping[str, Tensor] | None = None
    element_weights: Tensor | None = None
    probes: Tensor | None = None
    k_div: Tensor | None = None
    logdet: Tensor | None = None
    trajectory: Tensor | None = None
    history: Tensor | None = None
    history_times: Any = None
    history_count: Any = None
    history_slot: Any = None
    history_div: Tensor | None = None
    all_running: bool = False
    all_ended: bool = False

    @property
    def width(self) -> int:
        """The number of samples."""
        return self.ids.shape[0]

    def take(self, rows: Rows) -> BatchState:
        """Return a copy of these rows."""
        chosen = device_tensor(rows, torch.int64, self.ids.device)
        found: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Mapping):
                found[item.name] = {
                    name: each.index_select(0, chosen) for name, each in value.items()
                }
            elif isinstance(value, Tensor):
                found[item.name] = value.index_select(0, chosen)
            elif isinstance(value, np.ndarray):
                found[item.name] = value[rows]
        return replace(self, **found)

    def put(self, rows: Rows, other: BatchState) -> None:
        """Replace `rows` by the samples of `other`, in new tensors: results may hold the old."""
        chosen = device_tensor(rows, torch.int64, self.ids.device)
        self.all_running = False  # until the next decision
        for item in fields(self):
            mine, theirs = getattr(self, item.name), getattr(other, item.name)
            if isinstance(mine, Mapping):
                changed = {n: v.index_copy(0, chosen, theirs[n]) for n, v in mine.items()}
                setattr(self, item.name, changed)
            elif isinstance(mine, Tensor):
                # Out of place: results of earlier samples refer to the old tensor.
                setattr(self, item.name, mine.index_copy(0, chosen, theirs))
            elif isinstance(mine, np.ndarray):
                copied = mine.copy()
                copied[rows] = theirs
                setattr(self, item.name, copied)
