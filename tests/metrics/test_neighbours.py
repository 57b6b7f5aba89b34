from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from fmcore import DataError, create
from fmcore_extractors.vision_ops import import_torchvision
from fmcore_metrics.chunks import features_of
from fmcore_metrics.neighbours import covered
from fmcore_metrics.prc_lite0 import PRCLite0

from .conftest import Evaluate, Pictures, Stream, measured


@dataclass(frozen=True)
class Copies(Pictures):
    """One picture, many times."""

    def _picture(self, i: int) -> Tensor:
        return super()._picture(0)


def test_a_point_is_covered_within_the_neighbour_distance_of_a_member() -> None:
    """The nearest neighbours of members 0, 1 and 3 are at distances 1, 1 and 2."""
    members = torch.tensor([[0.0], [1.0], [3.0]])
    points = torch.tensor([[-1.0], [-1.1], [5.0], [5.1], [2.0]])
    assert covered(points, members, 1).tolist() == [True, False, True, False, True]


def test_every_member_is_covered_by_its_own_set() -> None:
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    assert covered(x, x, 1).all()


@pytest.mark.parametrize("width", [2, 112, 1280])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_copies_of_one_row_cover_each_other(width: int, offset: float) -> None:
    """All distances are 0, also after rounding."""
    for seed in range(10):
        one = torch.rand(1, width, generator=torch.Generator().manual_seed(seed)) + offset
        assert covered(one.repeat(30, 1), one.repeat(40, 1), 3).all()


def test_copies_of_one_picture_are_precise_and_recall_all(evaluation: Evaluate) -> None:
    data = Copies(length=40)
    found = measured(PRCLite0(), evaluation(data), Stream(data).rows(range(30)))
    assert found["prc_lite0_precision"].value == 1
    assert found["prc_lite0_recall"].value == 1


def test_precision_and_recall_equal_torch_fidelity_on_the_same_features(
    evaluation: Evaluate,
) -> None:
    import_torchvision()
    from torch_fidelity.metric_prc import prc_features_to_metric

    data = Pictures(length=60)
    given = evaluation(data)
    rows = Stream(Pictures(length=50, noise=1.3, split="test")).rows(range(50))
    found = measured(PRCLite0(), given, rows)
    extractor = features_of(create("extractor", "lite0"), 17, torch.device("cpu"))
    fake, real = (extractor(x)["112"].double() for x in (rows.levels, data.batch(range(60))["x1"]))
    theirs = prc_features_to_metric(fake, real, prc_neighborhood=3, verbose=False)
    assert found["prc_lite0_precision"].value == pytest.approx(theirs["precision"], abs=1e-6)
    assert found["prc_lite0_recall"].value == pytest.approx(theirs["recall"], abs=1e-6)
    assert 0 < found["prc_lite0_precision"].value < found["prc_lite0_recall"].value < 1


def test_samples_of_one_picture_are_precise_and_recall_nothing(evaluation: Evaluate) -> None:
    data = Pictures(length=60)
    one = Stream(data).rows([0] * 20)
    rows = replace(one, indices=torch.arange(20))
    found = measured(PRCLite0(), evaluation(data), rows)
    assert found["prc_lite0_precision"].value == 1
    assert found["prc_lite0_recall"].value <= 1 / 60


def test_fewer_pictures_than_neighbours_are_refused(evaluation: Evaluate) -> None:
    data = Pictures()
    with pytest.raises(DataError, match="3 pictures have no 3 neighbours each"):
        measured(PRCLite0(), evaluation(data), Stream(data).rows(range(3)))
