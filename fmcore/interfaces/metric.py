"""Measurements of a trained flow."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.html import html_table

if TYPE_CHECKING:
    from pathlib import Path as FilePath

    from fmcore.interfaces.dataset import Dataset
    from fmcore.interfaces.field import Predictor
    from fmcore.interfaces.path import Path

__all__ = ["Evaluation", "Metric", "MetricBatch", "Result"]


@dataclass(frozen=True, repr=False)  # the generated one would print `per_sample` and provenance
class Result:
    """One number and how it was made.

    `error` is a standard error where there is one.  `provenance` is JSON: everything that would
    change the value (count, extractor and its hash, reference fingerprint, solver, nfe, seed, ...).
    Two results may stand in one column only if their provenance agrees.  `details` is JSON too:
    what else was seen on the way (a spread, the likelihood's own nfe, a note on a bias), told
    beside the number and never compared.  `per_sample` is saved beside the results, not printed.
    """

    value: float
    error: float | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    per_sample: Tensor | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        error = "" if self.error is None else f" ± {self.error:.2g}"
        return f"Result({self.value:.6g}{error})"

    def _repr_html_(self) -> str:
        return html_table(repr(self), {**self.provenance, **self.details})


@dataclass(frozen=True)
class Evaluation:
    """What a metric may look at.  `data` is the split that is evaluated, `train_data` the one that
    was trained on; `field` is None where samples without a model are judged.  `cache` is a folder
    for reference statistics."""

    data: Dataset
    train_data: Dataset
    path: Path
    field: Predictor | None
    seed: int
    batch_size: int
    cache: FilePath
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    home: torch.device = dataclasses.field(default_factory=lambda: torch.device("cpu"))

    @property
    def device(self) -> torch.device:
        """Where the network is; `home` without one."""
        parameters = getattr(getattr(self.field, "model", None), "parameters", None)
        first = next(iter(parameters()), None) if parameters is not None else None
        return self.home if first is None else first.device


@dataclass(frozen=True)
class MetricBatch:
    """One batch to measure; `indices` name its rows, `(batch,)` int64.

    For metrics that consume samples: `x` are generated points in model space (images in [-1, 1];
    None where only the levels were kept) and `levels` what they stand for (uint8; None for
    continuous data); `nfe` and `status` (of Status) tell what each row's solve cost and how it
    ended.
    For metrics that consume data: `x` is None where the data has levels, and `levels` are the
    held-out images.
    """

    indices: Tensor
    x: Tensor | None
    levels: Tensor | None
    condition: Mapping[str, Tensor] = field(default_factory=dict)
    nfe: Tensor | None = None
    status: Tensor | None = None

    def rows(self, chosen: Tensor) -> MetricBatch:
        """The rows that `chosen`, a mask or indices, picks."""

        def pick(value: Tensor | None) -> Tensor | None:
            return None if value is None else value[chosen]

        return MetricBatch(
            indices=self.indices[chosen],
            x=pick(self.x),
            levels=pick(self.levels),
            condition={name: value[chosen] for name, value in self.condition.items()},
            nfe=pick(self.nfe),
            status=pick(self.status),
        )


class Metric(ABC):
    """A measurement over a stream of batches.  Options are constructor arguments; the tally is
    private.

    Laws:
    * `begin` empties the tally; the result depends on the rows given since, not on how they were
      batched or ordered.
    * `compute` may be called with any number of rows; too few to mean something is an error or a
      note in the provenance, never silence.
    * Every result's provenance tells what would change its value.
    * Where it offers `state` and `merge`, tallies of parts merged in any order give the bits of the
      whole.  (`fmcore.RowMetric` offers them to whoever says what to keep of a row.)
    """

    kind: ClassVar[str] = "metric"
    consumes: ClassVar[Literal["samples", "data"]] = "samples"

    def check(self, data: Dataset, path: Path) -> None:  # noqa: B027  # nothing to refuse by default
        """Raise ComponentError if this cannot be measured on such data or path, DataError if files
        are missing; called before training."""

    @abstractmethod
    def begin(self, evaluation: Evaluation) -> None:
        """Start a new tally."""

    @abstractmethod
    def update(self, batch: MetricBatch) -> None:
        """Take in some rows."""

    @abstractmethod
    def compute(self) -> dict[str, Result]:
        """The results so far, by name; a metric with one result calls it by its own name."""

    def state(self) -> dict[str, Tensor]:
        """The tally as CPU tensors, which a file or another process can hold; empty for no rows.

        Raises ComponentError if this metric cannot be measured in parts.
        """
        raise self._whole()

    def merge(self, state: Mapping[str, Tensor]) -> None:
        """Take in the rows of another tally's `state`, begun with the same evaluation.

        Raises ComponentError if this metric cannot be measured in parts.
        """
        raise self._whole()

    def _whole(self) -> ComponentError:
        return ComponentError(
            f"{type(self).__name__} cannot be measured in parts: use one process, or write the "
            "metric as a fmcore.RowMetric"
        )
