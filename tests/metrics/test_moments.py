from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor

from fmcore import DataError
from fmcore_metrics.moments import Moments, frechet_distance


def normal(rows: int, width: int, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    mixing = torch.randn(width, width, generator=random, dtype=torch.float64) / width**0.5
    return torch.randn(rows, width, generator=random, dtype=torch.float64) @ mixing + seed


def exactly(mean: Tensor, covariance: Tensor) -> Moments:
    return Moments(11, mean, covariance * 10)


def test_moments_are_the_sample_mean_and_the_unbiased_covariance() -> None:
    x = normal(9000, 5)  # more than one chunk
    moments = Moments.of(x)
    np.testing.assert_allclose(moments.mean, x.numpy().mean(0), atol=1e-13)
    np.testing.assert_allclose(moments.covariance, np.cov(x.numpy().T), atol=1e-12)


def test_moments_far_from_zero_keep_their_digits() -> None:
    x = normal(500, 3)
    far = Moments.of(x + 1e6)
    torch.testing.assert_close(far.covariance, Moments.of(x).covariance, rtol=1e-8, atol=1e-8)


def test_a_weight_counts_a_row_so_many_times() -> None:
    x = normal(4, 2)
    weighted = Moments.of(x, torch.tensor([0, 2, 1, 3]))
    repeated = Moments.of(x[[1, 1, 2, 3, 3, 3]])
    assert weighted.count == 6
    torch.testing.assert_close(weighted.mean, repeated.mean)
    torch.testing.assert_close(weighted.covariance, repeated.covariance)


def test_normal_distributions_with_diagonal_covariance_have_the_closed_form() -> None:
    """|m - n|^2 + sum (s_i - r_i)^2 for standard deviations s and r."""
    s, r = torch.tensor([1.0, 2.0, 3.0]).double(), torch.tensor([2.0, 2.0, 0.0]).double()
    m, n = torch.tensor([0.0, 1.0, 0.0]).double(), torch.tensor([3.0, 1.0, 0.0]).double()
    found = frechet_distance(exactly(m, (s**2).diag()), exactly(n, (r**2).diag()))
    assert found == pytest.approx(9 + 1 + 0 + 9, abs=1e-12)


def test_a_rotation_of_both_changes_nothing() -> None:
    p, q = normal(50, 6), normal(60, 6, seed=1)
    turn = torch.linalg.qr(normal(6, 6, seed=2))[0]
    plain = frechet_distance(Moments.of(p), Moments.of(q))
    turned = frechet_distance(Moments.of(p @ turn), Moments.of(q @ turn))
    assert turned == pytest.approx(plain, abs=1e-10)


def test_it_equals_the_matrix_square_root_of_the_definition() -> None:
    p, q = normal(300, 20), normal(200, 20, seed=1)
    c, d = np.cov(p.numpy().T), np.cov(q.numpy().T)
    between = p.numpy().mean(0) - q.numpy().mean(0)
    expected = between @ between + np.trace(c) + np.trace(d) - 2 * np.trace(sqrtm(c @ d)).real
    found = frechet_distance(Moments.of(p), Moments.of(q))
    assert found == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(Moments.of(q), Moments.of(p)) == pytest.approx(found, rel=1e-12)


@pytest.mark.parametrize("rows", [2, 10, 63, 200])
def test_a_set_is_at_distance_0_from_itself(rows: int) -> None:
    moments = Moments.of(normal(rows, 64))
    assert frechet_distance(moments, moments) == pytest.approx(0, abs=1e-9)


def test_fewer_rows_than_features_give_the_distance_of_the_subspaces() -> None:
    """Two sets on orthogonal lines: nothing is shared, so the traces remain."""
    line = torch.tensor([[1.0], [-1.0]]).double()
    p, q = torch.zeros(2, 8).double(), torch.zeros(2, 8).double()
    p[:, :1], q[:, 1:2] = line, 3 * line
    assert frechet_distance(Moments.of(p), Moments.of(q)) == pytest.approx(2 + 18, abs=1e-12)


def test_one_row_has_no_covariance() -> None:
    with pytest.raises(DataError, match="at least 2 rows"):
        Moments.of(normal(1, 3)).covariance  # noqa: B018


def test_no_row_has_no_moments() -> None:
    with pytest.raises(DataError, match="no row"):
        Moments.merged([])
