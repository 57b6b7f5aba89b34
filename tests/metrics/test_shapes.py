"""Wrong shapes and options out of range are refused with a reason."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from fmcore import ComponentError, DataError
from fmcore_metrics import log_likelihood
from fmcore_metrics.bits_per_dim import BitsPerDim
from fmcore_metrics.coverage import Coverage
from fmcore_metrics.energy_distance import EnergyDistance
from fmcore_metrics.fd_lite0 import FDLite0
from fmcore_metrics.fid import FID
from fmcore_metrics.isc import ISC
from fmcore_metrics.kernel import squared_mmd
from fmcore_metrics.kid import KID
from fmcore_metrics.kid_lite0 import KIDLite0
from fmcore_metrics.moments import Moments, frechet_distance
from fmcore_metrics.nfe import NFE
from fmcore_metrics.nll import NLL
from fmcore_metrics.prc_lite0 import PRCLite0
from fmcore_metrics.sliced_wasserstein import SlicedWasserstein
from fmcore_metrics.wasserstein2 import Wasserstein2
from fmcore_solvers.euler import Euler

from .conftest import Evaluate, Pictures, Points, Stream, measured


@pytest.mark.parametrize("metric", [Wasserstein2, SlicedWasserstein, EnergyDistance, Coverage])
@pytest.mark.parametrize(
    ("fake", "real"), [((4, 2), (4, 3)), ((4, 2), (5, 2)), ((4,), (4,)), ((1, 2), (1, 2))]
)
def test_sets_of_unequal_shape_have_no_distance(
    metric: Any, fake: tuple[int, ...], real: tuple[int, ...]
) -> None:
    with pytest.raises(DataError, match=r"two sets of points of one shape \(count, d\)"):
        metric().distance(torch.zeros(fake), torch.zeros(real), 0)


def test_sets_of_features_of_unequal_shape_have_no_distance() -> None:
    with pytest.raises(DataError, match=r"got \(4, 2\) and \(4, 3\)"):
        squared_mmd(torch.zeros(4, 2), torch.zeros(4, 3))
    p, q = Moments.of(torch.zeros(4, 2)), Moments.of(torch.zeros(4, 3))
    with pytest.raises(DataError, match="equal numbers of features; got 2 and 3"):
        frechet_distance(p, q)
    with pytest.raises(DataError, match=r"features of shape \(rows, d\)"):
        Moments.of(torch.zeros(4, 2, 2))
    with pytest.raises(DataError, match=r"weights of shape \(rows,\)"):
        Moments.of(torch.zeros(4, 2), torch.ones(3))


def test_held_out_data_of_another_shape_have_no_likelihood(evaluation: Evaluate) -> None:
    solver = Euler(steps=2)
    points = Stream(Points(dimension=3)).rows(range(2))
    with pytest.raises(DataError, match=r"\(3,\) have no likelihood .* of shape \(2,\)"):
        measured(NLL(solver=solver), evaluation(Points()), points)
    pictures = Stream(Pictures(shape=(3, 8, 8))).rows(range(2))
    with pytest.raises(DataError, match=r"\(3, 8, 8\) cannot be measured .* \(1, 8, 8\)"):
        measured(BitsPerDim(solver=solver), evaluation(Pictures()), pictures)


def test_one_number_of_evaluations_a_sample_is_needed(evaluation: Evaluate) -> None:
    rows = replace(Stream(Points()).rows(range(4)), nfe=torch.ones(4, 1))
    with pytest.raises(DataError, match=r"must be \(4,\), one a sample; got \(4, 1\)"):
        measured(NFE(), evaluation(Points()), rows)


def test_pictures_of_another_shape_have_no_inception_score(
    evaluation: Evaluate, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = SimpleNamespace(
        title="pixels", weights="", features=lambda images: {"logits": images.flatten(1).float()}
    )
    monkeypatch.setattr(ISC, "_extractor", features)
    rows = Stream(Pictures(shape=(3, 8, 8))).rows(range(2))
    with pytest.raises(DataError, match=r"isc: samples of shape \(3, 8, 8\) cannot be compared"):
        measured(ISC(), evaluation(Pictures()), rows)


def test_a_log_density_of_another_shape_is_refused(
    evaluation: Evaluate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fmcore.log_prob checks the shape of the prior's: nothing wider reaches a metric."""
    from fmcore import log_prob

    class Column:
        def log_prob(self, x: torch.Tensor) -> torch.Tensor:
            return x.sum(1, keepdim=True)

    def from_column(field: Any, x1: torch.Tensor, **settings: Any) -> Any:
        return log_prob(field, x1, **{**settings, "prior": Column()})

    monkeypatch.setattr(log_likelihood, "log_prob", from_column)
    with pytest.raises(ComponentError, match=r"prior Column must be .* shape \(4,\), got \(4, 1\)"):
        measured(NLL(solver=Euler(steps=2)), evaluation(Points()), Stream(Points()).rows(range(4)))


@pytest.mark.parametrize(
    ("metric", "options", "message"),
    [
        (Wasserstein2, {"points": 1}, "points must be >= 2, got 1"),
        (SlicedWasserstein, {"directions": 0}, "directions must be > 0, got 0"),
        (Coverage, {"neighbours": 0}, "neighbours must be > 0, got 0"),
        (Coverage, {"neighbours": 2.5}, "neighbours must be an integer, got 2.5"),
        (NFE, {"count": 0}, "count must be > 0, got 0"),
        (FDLite0, {"bootstrap": -1}, "bootstrap must be >= 0, got -1"),
        (FDLite0, {"bootstrap": 1}, "bootstrap must be 0 or at least 2, got 1"),
        (FID, {"bootstrap": 1}, "fid: bootstrap must be 0 or at least 2, got 1"),
        (FDLite0, {"size": 31}, "size must be >= 32, got 31"),
        (FDLite0, {"reference_count": 1}, "reference_count must be > 1, got 1"),
        (KIDLite0, {"subset_size": 1}, "subset_size must be >= 2, got 1"),
        (KID, {"subsets": 0}, "subsets must be > 0, got 0"),
        (PRCLite0, {"neighbours": 0}, "neighbours must be > 0, got 0"),
        (ISC, {"splits": 0}, "splits must be > 0, got 0"),
        (NLL, {"n_probes": 0}, "n_probes must be > 0, got 0"),
        (BitsPerDim, {"dequantisation_samples": (1.5,)}, "different integers of at least 1"),
    ],
)
def test_options_out_of_range_are_refused(
    metric: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ComponentError, match=message):
        metric(**options)
