from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from fmcore import ComponentError, DataError, Status
from fmcore.interfaces.metric import MetricBatch
from fmcore_extractors.lite0 import lite0_features, lite0_weights
from fmcore_metrics.fd_lite0 import FDLite0
from fmcore_metrics.moments import Moments, frechet_distance
from fmcore_metrics.rgb import as_rgb

from .conftest import Evaluate, Pictures, Points, Stream, measured


def distance(metric: FDLite0, evaluation: Any, *batches: MetricBatch) -> Any:
    return measured(metric, evaluation, *batches)["fd_lite0"]


def test_it_is_the_frechet_distance_of_the_features(evaluation: Evaluate) -> None:
    data = Pictures(length=30)
    given = evaluation(data)
    held_out = Stream(given.data).rows(range(20))
    found = distance(FDLite0(), given, held_out)

    def features(levels: torch.Tensor) -> Moments:
        rgb = torch.nn.functional.interpolate(
            (levels.repeat(1, 3, 1, 1) * (255 / 16)).round(), (32, 32), mode="bilinear"
        )
        return Moments.of(lite0_features(lite0_weights(torch.device("cpu")), rgb)[112])

    real = given.train_data.batch(range(30))["x1"]
    assert held_out.levels is not None
    with torch.no_grad():
        expected = frechet_distance(features(held_out.levels), features(real))
    assert found.value == pytest.approx(expected, rel=1e-4)


def test_samples_equal_to_the_reference_are_at_distance_0(evaluation: Evaluate) -> None:
    data = Pictures(length=150)
    found = distance(FDLite0(), evaluation(data), Stream(data).rows(range(150)))
    assert found.value == pytest.approx(0, abs=1e-6)
    assert set(found.details) == {"reference_file"}


def test_it_grows_with_the_difference(evaluation: Evaluate) -> None:
    data = Pictures(length=150)
    given = evaluation(data)
    values = []
    for noise in (1.0, 1.2, 2.0):
        rows = Stream(Pictures(length=150, noise=noise, split="test")).rows(range(150))
        values.append(distance(FDLite0(), given, rows).value)
    assert values[0] < values[1] < values[2]


def test_provenance_holds_everything_that_changes_the_value(evaluation: Evaluate) -> None:
    data = Pictures(length=50)
    metric = FDLite0(reference_count=40)
    found = distance(metric, evaluation(data), Stream(data).rows(range(20)))
    assert found.provenance == {
        "count": 20,
        "extractor": "efficientnet-lite0",
        "extractor_sha256": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "layer": "112",
        "resize": "bilinear to 32x32",
        "channels": "gray repeated",
        "uint8": "round(255 k / (levels - 1))",
        "reference_split": "train",
        "reference_data": data.fingerprint,
        "reference_count": 40,
        "reference_flips": "none",
        "to_levels": "floor",
    }
    assert found.details["biased"] == "only 20 rows for 112 features: a covariance of lower rank"


@pytest.mark.parametrize(("asked", "used"), [("auto", 112), (192, 192), (1280, 1280)])
def test_the_layer_can_be_chosen(asked: Any, used: int, evaluation: Evaluate) -> None:
    data = Pictures(length=20)
    found = distance(FDLite0(layer=asked), evaluation(data), Stream(data).rows(range(8)))
    assert found.provenance["layer"] == str(used)


@pytest.mark.parametrize(("rows", "layer"), [(2000, 112), (2001, 192), (9999, 192), (10_000, 1280)])
def test_more_samples_are_compared_on_more_features(rows: int, layer: int) -> None:
    from fmcore import RowValues

    many = RowValues(torch.arange(rows))
    assert FDLite0().chosen.layer_for(len(many)) == str(layer)


def test_the_reference_can_be_the_held_out_split(evaluation: Evaluate) -> None:
    data = Pictures(length=150)
    given = evaluation(data)
    rows = Stream(given.data).rows(range(150))
    assert distance(FDLite0(reference="test"), given, rows).value == pytest.approx(0, abs=1e-6)
    assert distance(FDLite0(reference="train"), given, rows).value > 1e-3


def test_features_do_not_depend_on_the_batch(evaluation: Evaluate) -> None:
    data = Pictures(length=90)
    given, stream = evaluation(data), Stream(data)
    whole = distance(FDLite0(), given, stream.rows(range(90)))
    odd = (stream.rows(part) for part in (range(70, 90), range(1), range(1, 70)))
    # Within LAPACK's rounding: only the features are promised to be equal in every bit.
    assert distance(FDLite0(), given, *odd).value == pytest.approx(whole.value, rel=1e-9)


def test_a_missing_reference_file_is_refused_before_training(
    evaluation: Evaluate, tmp_path: Path
) -> None:
    data = Pictures()
    with pytest.raises(DataError, match="there is no reference file"):
        FDLite0(reference_file=str(tmp_path / "none")).check(data, evaluation(data).path)


def test_a_reference_file_is_valid_for_another_run(evaluation: Evaluate) -> None:
    data = Pictures()
    given, rows = evaluation(data), Stream(data).rows(range(20))
    first = distance(FDLite0(), given, rows)
    (file,) = given.cache.iterdir()
    metric = FDLite0(reference_file=str(file))
    metric.check(data, given.path)
    assert distance(metric, given, rows).value == pytest.approx(first.value, rel=1e-9)
    with pytest.raises(DataError, match="layer: 112 in the file, 192 wanted"):
        distance(FDLite0(reference_file=str(file), layer=192), given, rows)


def test_points_are_refused_before_training(evaluation: Evaluate) -> None:
    with pytest.raises(ComponentError, match=r"compares images; Points .* 'sliced_wasserstein'"):
        FDLite0().check(Points(), evaluation(Points()).path)


def test_pictures_of_four_channels_are_refused(evaluation: Evaluate) -> None:
    data = Pictures(shape=(4, 8, 8))
    with pytest.raises(ComponentError, match="gray or RGB images; Pictures has 4 channels"):
        FDLite0().check(data, evaluation(data).path)


def test_samples_of_another_shape_are_refused(evaluation: Evaluate) -> None:
    other = Stream(Pictures(shape=(3, 8, 8))).rows(range(3))
    with pytest.raises(DataError, match=r"\(3, 8, 8\) cannot be compared with .* \(1, 8, 8\)"):
        distance(FDLite0(), evaluation(Pictures()), other)


def test_samples_that_are_not_finite_are_refused(evaluation: Evaluate) -> None:
    rows = Stream(Pictures()).rows(range(4))
    x = torch.zeros(4, 1, 8, 8)
    x[2, 0, 1, 1] = torch.nan
    lost = MetricBatch(rows.indices + 10, x, rows.levels)
    with pytest.raises(DataError, match=r"1 of 4 samples .* not finite, the first .* sample 12"):
        distance(FDLite0(), evaluation(Pictures()), lost)


def test_samples_of_a_solve_that_met_nan_are_refused(evaluation: Evaluate) -> None:
    """Levels cannot hold NaN; the status of the solve can."""
    rows = replace(Stream(Pictures()).rows([5, 6]), status=torch.tensor([0, int(Status.NONFINITE)]))
    with pytest.raises(DataError, match=r"1 of 2 samples .* not finite, the first .* sample 6"):
        distance(FDLite0(), evaluation(Pictures()), rows)


def test_too_few_samples_are_refused(evaluation: Evaluate) -> None:
    data = Pictures()
    with pytest.raises(DataError, match="at least 2 samples to compare, got 0"):
        distance(FDLite0(), evaluation(data))
    with pytest.raises(DataError, match="at least 2 samples to compare, got 1"):
        distance(FDLite0(), evaluation(data), Stream(data).rows([0]))


def test_gray_levels_are_stretched_rounded_and_repeated() -> None:
    levels = torch.tensor([0, 8, 16], dtype=torch.uint8).reshape(3, 1, 1, 1).expand(3, 1, 8, 8)
    rgb = as_rgb(levels, 17)
    assert rgb.shape == (3, 3, 8, 8)
    for row, value in zip(rgb, (0, 128, 255), strict=True):
        assert (row == value).all()


def test_eight_bit_pictures_are_left_alone() -> None:
    levels = torch.randint(256, (2, 3, 40, 32), generator=torch.Generator().manual_seed(0))
    assert torch.equal(as_rgb(levels.to(torch.uint8), 256), levels.to(torch.uint8))
