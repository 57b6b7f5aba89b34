from __future__ import annotations

import pytest
import torch

from fmcore import DataError
from fmcore.interfaces.metric import MetricBatch
from fmcore_metrics.nfe import NFE

from .conftest import Evaluate, Points, measured


def rows(nfe: list[int] | None, first: int = 0) -> MetricBatch:
    indices = torch.arange(first, first + (3 if nfe is None else len(nfe)))
    return MetricBatch(indices, None, None, nfe=None if nfe is None else torch.tensor(nfe))


def test_gives_the_mean_and_the_spread(evaluation: Evaluate) -> None:
    result = measured(NFE(), evaluation(Points()), rows([10, 20]), rows([30], 2))["nfe"]
    assert result.value == 20
    assert result.error == pytest.approx(10 / 3**0.5)
    assert result.provenance == {"count": 3}
    assert result.details["min"] == 10
    assert result.details["max"] == 30
    assert result.details["spread"] == pytest.approx((200 / 3) ** 0.5)
    assert result.per_sample.tolist() == [10, 20, 30]


def test_samples_without_a_count_are_refused(evaluation: Evaluate) -> None:
    with pytest.raises(DataError, match="without their number of evaluations"):
        measured(NFE(), evaluation(Points()), rows(None))


def test_no_sample_at_all_is_refused(evaluation: Evaluate) -> None:
    with pytest.raises(DataError, match="no sample"):
        measured(NFE(), evaluation(Points()))
