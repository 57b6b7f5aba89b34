"""Interface of metrics."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.codec import Decoded
from fmcore.interfaces.html import html_table

if TYPE_CHECKING:
    from pathlib import Path as FilePath

    from fmcore.interfaces.dataset import Dataset
    from fmcore.interfaces.field import Predictor
    from fmcore.interfaces.path import Path

__all__ = ["Evaluation", "Metric", "MetricBatch", "Result"]


@dataclass(frozen=True, repr=False)  # the generated one would print `per_sample` and provenance
class Result:
    """One number and its provenance.

    `error` is a standard error, or None.  `provenance` is JSON: how the value was measured (count,
    extractor and its hash, reference fingerprint, seed, ...).  Two results are compared only if
    their provenance is equal.  The framework adds the metric's name and every option of it, the
    settings of sampling, and `origin`: how the thing measured was made, which is stored and never
    compared.  `details` is JSON too: further facts (a spread, the likelihood's own nfe, a note on a
    bias), which are printed and never compared.  `per_sample`, `(rows, ...)`, is saved with the
    results and not printed.
    """

    value: float
    error: float | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    per_sample: Tensor | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        error = "" if self.error is None else f" ± {self.error:.2g}"
        return f"Result({self.value:.6g}{error})"

    def _repr_html_(self) -> str:
        return html_table(repr(self), {**self.provenance, **self.details})


@dataclass(frozen=True)
class Evaluation:
    """The arguments of a metric.

    `data` is the evaluated split, `train_data` the one used for training; `field` is None where
    samples are measured without a model.  `cache` is a folder for reference statistics, and `home`
    the device for metrics without a field.
    """

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
        """The device of the network; `home` without one."""
        parameters = getattr(getattr(self.field, "model", None), "parameters", None)
        first = next(iter(parameters()), None) if parameters is not None else None
        return self.home if first is None else first.device


@dataclass(frozen=True)
class MetricBatch:
    """One batch to measure; `indices`, `(batch,)` int64, identify its rows.

    For metrics that consume samples: `x`, `(batch, *shape)`, are generated points (images in
    [-1, 1]; None where only levels were stored), `levels` their levels (uint8; None for continuous
    data), and `nfe` and `status` (of Status), `(batch,)`, the cost and the end of each solve.
    For metrics that consume data: `levels` are the held-out images, or `x` the points of data
    without levels; the other is None.  `decoded` is what a codec that only decodes makes of `x`,
    such as sounds of spectrograms; None without one.

    `examples`, `(batch,)` int64, are the examples of the evaluated split that gave the samples
    their conditions (`sample.condition` with the name of that split); None where there are none.
    """

    indices: Tensor
    x: Tensor | None
    levels: Tensor | None
    condition: Mapping[str, Tensor] = field(default_factory=dict)
    nfe: Tensor | None = None
    status: Tensor | None = None
    decoded: Decoded | None = None
    examples: Tensor | None = None

    def rows(self, chosen: Tensor) -> MetricBatch:
        """Return the rows that `chosen`, a mask or indices, selects."""

        def pick(value: Tensor | None) -> Tensor | None:
            return None if value is None else value[chosen]

        return MetricBatch(
            indices=self.indices[chosen],
            x=pick(self.x),
            levels=pick(self.levels),
            condition={name: value[chosen] for name, value in self.condition.items()},
            nfe=pick(self.nfe),
            status=pick(self.status),
            decoded=self.decoded and self.decoded.rows(chosen),
            examples=pick(self.examples),
        )


class Metric(ABC):
    """A measurement over a stream of batches.  Options are constructor arguments; the accumulated
    state is private.

    Laws:
    * `begin` clears the state; the result depends on the rows since then, not on how they were
      batched or ordered.
    * `compute` may be called after any number of rows; for too few rows, it raises an error or adds
      a note to the provenance.
    * The provenance of a result holds everything that would change its value and that is neither
      an option of the metric nor a setting of the recipe: the framework adds those.
    * Where `state` and `merge` exist, states of parts merged in any order give the same bits as the
      whole.  (`fmcore.RowMetric` implements both.)
    """

    kind: ClassVar[str] = "metric"
    consumes: ClassVar[Literal["samples", "data"]] = "samples"
    density: ClassVar[bool] = False
    """Whether the metric needs the density of x1: refused for latents, which have another."""
    paired: ClassVar[bool] = False
    """Whether the metric compares a sample with the example that gave its condition: refused
    unless `sample.condition` is the evaluated split."""

    @property
    def reads(self) -> frozenset[str]:
        """The entries of the condition that the metric uses: texts to compare with, say."""
        return frozenset()

    def check(self, data: Dataset, path: Path) -> None:  # noqa: B027  # nothing to refuse by default
        """Raise ComponentError if this cannot be measured on this data or path, DataError if files
        are missing; called before training.
        """

    @abstractmethod
    def begin(self, evaluation: Evaluation) -> None:
        """Clear the state for a new evaluation."""

    @abstractmethod
    def update(self, batch: MetricBatch) -> None:
        """Add the rows of a batch."""

    @abstractmethod
    def compute(self) -> dict[str, Result]:
        """Return the results so far, by name; a single result has the metric's own name."""

    def state(self) -> dict[str, Tensor]:
        """Return the state as CPU tensors, for a file or another process; empty for no rows.

        Raises ComponentError if this metric cannot be measured in parts.
        """
        raise self._whole()

    def merge(self, state: Mapping[str, Tensor]) -> None:
        """Add the rows of a `state` of the same evaluation.

        Raises ComponentError if this metric cannot be measured in parts.
        """
        raise self._whole()

    def _whole(self) -> ComponentError:
        return ComponentError(
            f"{type(self).__name__} cannot be measured in parts: use one process, or write the "
            "metric as a fmcore.RowMetric"
        )
