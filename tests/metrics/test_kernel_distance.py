from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from torch import Tensor

from fmcore import create
from fmcore_extractors.vision_ops import import_torchvision
from fmcore_metrics.chunks import features_of
from fmcore_metrics.kernel import squared_mmd
from fmcore_metrics.kid_lite0 import KIDLite0

from .conftest import Evaluate, Pictures, Stream, measured


def normal(rows: int, seed: int, shift: float = 0.0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return shift + torch.randn(rows, 4, generator=random, dtype=torch.float64)


def test_the_estimate_is_the_sum_over_all_pairs() -> None:
    p, q = normal(5, 0), normal(5, 1)

    def kernel(a: Tensor, b: Tensor) -> float:
        return (float(a @ b) / 4 + 1) ** 3

    apart = [(i, j) for i in range(5) for j in range(5) if i != j]
    within = sum(kernel(p[i], p[j]) + kernel(q[i], q[j]) for i, j in apart) / 20
    across = sum(kernel(a, b) for a in p for b in q) / 25
    assert squared_mmd(p, q) == pytest.approx(within - 2 * across, rel=1e-12)


@pytest.mark.parametrize("offset", [0.0, 100.0, 1e4])
def test_an_offset_of_the_features_costs_no_digits(offset: float) -> None:
    """Against the sum over all pairs in exact arithmetic."""
    p, q = normal(6, 0, offset), normal(6, 1, offset + 0.5)
    x, y = ([[Fraction(v) for v in row] for row in rows.tolist()] for rows in (p, q))

    def kernel(a: list[Fraction], b: list[Fraction]) -> Fraction:
        return (sum((v * w for v, w in zip(a, b, strict=True)), Fraction()) / 4 + 1) ** 3

    apart = [(i, j) for i in range(6) for j in range(6) if i != j]
    within = sum((kernel(x[i], x[j]) + kernel(y[i], y[j]) for i, j in apart), Fraction()) / 30
    across = sum((kernel(a, b) for a in x for b in y), Fraction()) / 36
    assert squared_mmd(p, q) == pytest.approx(float(within - 2 * across), rel=1e-10)


def test_it_is_unbiased() -> None:
    """The mean over many small sets of one distribution is 0 within its error."""
    values = torch.tensor([squared_mmd(normal(6, 2 * i), normal(6, 2 * i + 1)) for i in range(400)])
    assert abs(values.mean()) < 3 * values.std() / 20
    assert (values < 0).any()
    assert squared_mmd(normal(200, 0), normal(200, 1, shift=1.0)) > 0.5


def test_it_equals_torch_fidelity_on_the_same_features(evaluation: Evaluate) -> None:
    import_torchvision()
    from torch_fidelity.metric_kid import (
        KEY_METRIC_KID_MEAN,
        KEY_METRIC_KID_STD,
        kid_features_to_metric,
    )

    data = Pictures(length=40)
    given = evaluation(data)
    rows = Stream(given.data).rows(range(30))
    found = measured(KIDLite0(subsets=7, subset_size=20), given, rows)["kid_lite0"]
    extractor = features_of(create("extractor", "lite0"), 17, torch.device("cpu"))
    fake, real = (extractor(x)["112"].double() for x in (rows.levels, data.batch(range(40))["x1"]))
    theirs = kid_features_to_metric(fake, real, kid_subsets=7, kid_subset_size=20, verbose=False)
    assert found.value == pytest.approx(theirs[KEY_METRIC_KID_MEAN], rel=1e-9)
    assert found.details["spread_over_subsets"] == pytest.approx(
        theirs[KEY_METRIC_KID_STD], rel=1e-9
    )


def test_subsets_are_as_large_as_the_smaller_set_allows(evaluation: Evaluate) -> None:
    data = Pictures(length=40)
    found = measured(KIDLite0(subsets=2), evaluation(data), Stream(data).rows(range(25)))
    made = found["kid_lite0"].provenance
    assert (made["subsets"], made["subset_size"], made["rng_seed"]) == (2, 25, 2020)
    assert made["reference_count"] == 40
