"""The extractors of the metrics with names of their own, such as `fid` and `fd_lite0`."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path as FilePath
from typing import Annotated, Literal, cast, final

from annotated_types import Ge

from fmcore import Extractor, create
from fmcore_metrics.feature_metric import FeatureMetric

__all__ = ["WEIGHTS_SHA256", "ChosenMetric", "InceptionMetric", "Layer", "Lite0Metric", "inception"]

WEIGHTS_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""Of torch-fidelity's weights of Inception-v3."""

Layer = Literal["auto", 112, 192, 1280]


@dataclass(frozen=True)
class ChosenMetric(FeatureMetric):
    """A metric in the features of any extractor: `extractor` names one, with its options."""

    extractor: Extractor = field(kw_only=True)

    @property
    @final
    def chosen(self) -> Extractor:
        return self.extractor


@dataclass(frozen=True)
class Lite0Metric(FeatureMetric):
    """`layer` and `size` are the options of extractor `lite0`: `layer: auto` chooses the number of
    features by that of samples, 112 up to 2,000, 192 below 10,000, else 1280.
    """

    layer: Layer = field(default="auto", kw_only=True)
    size: Annotated[int, Ge(32)] | None = field(default=None, kw_only=True)

    @property
    @final
    def chosen(self) -> Extractor:
        return _lite0(self.layer, self.size)


@dataclass(frozen=True)
class InceptionMetric(FeatureMetric):
    """`weights` is the file of torch-fidelity's Inception weights (default: in torch.hub's cache),
    `weights_sha256` its SHA-256.
    """

    weights: FilePath | None = field(default=None, kw_only=True)
    weights_sha256: str = field(default=WEIGHTS_SHA256, kw_only=True)

    @property
    @final
    def chosen(self) -> Extractor:
        return inception("pool", self.weights, self.weights_sha256)


def inception(layer: str, file: FilePath | None, sha256: str) -> Extractor:
    """Return the extractor `inception` with its weights in `file`."""
    return _inception(layer, None if file is None else FilePath(file), sha256)


# built once: a metric asks for it at every batch
@cache
def _inception(layer: str, file: FilePath | None, sha256: str) -> Extractor:
    return cast(Extractor, create("extractor", "inception", layer=layer, file=file, sha256=sha256))


@cache
def _lite0(layer: Layer, size: int | None) -> Extractor:
    return cast(Extractor, create("extractor", "lite0", layer=layer, size=size))
