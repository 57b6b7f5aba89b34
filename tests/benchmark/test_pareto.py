"""Orders and Pareto fronts on rows made by hand."""

from __future__ import annotations

import pytest

from fmcore.benchmark.pareto import SETTING, fitted_order, front, mark_pareto

SAME = dict.fromkeys(SETTING, "") | {"dtype": "float64", "plugin": "", "grid": "", "reason": ""}


def row(nfe: float, error: float, seconds: float = 1.0, **more):
    made = {"solver": "euler", "nfe": nfe, "nfe_mean": nfe, "error_rms": error, "seconds": seconds}
    return SAME | made | more


def test_the_front_holds_the_rows_that_no_other_row_dominates():
    rows = [row(4, 1.0), row(8, 0.5), row(8, 0.6), row(16, 0.5), row(16, 0.1), row(2, 2.0)]
    assert front(rows, "nfe_mean") == {0, 1, 4, 5}


def test_equal_points_are_on_the_front_together():
    assert front([row(4, 1.0), row(4, 1.0), row(5, 1.0)], "nfe_mean") == {0, 1}


def test_rows_without_a_finite_error_are_on_no_front_and_dominate_none():
    refused = SAME | {"solver": "x", "reason": "no", "nfe_mean": None, "error_rms": None}
    assert front([row(1, float("inf")), refused, row(8, 0.5)], "nfe_mean") == {2}


@pytest.mark.parametrize("order", [1.0, 2.0, 3.7])
def test_the_order_of_a_power_law_is_its_exponent(order):
    rows = [row(n, 3.0 * n**-order) for n in (4, 8, 16, 64)]
    assert fitted_order(rows) == pytest.approx(order)


def test_rounding_is_left_out_of_the_order_and_one_point_has_none():
    assert fitted_order([row(4, 1e-2), row(8, 1e-3), row(16, 1e-15)]) == pytest.approx(3.3219, 1e-4)
    assert fitted_order([row(4, 1e-2)]) is None
    assert fitted_order([row(4, 1e-2) | {"nfe": None}, row(8, 1e-3) | {"nfe": None}]) is None


def test_settings_are_not_compared_with_one_another_but_solvers_are():
    rows = mark_pareto(
        [
            row(4, 1.0, seconds=3.0),
            row(4, 0.1, seconds=5.0, solver="rk4"),
            row(4, 9.0, seconds=9.0, path="vp"),
        ]
    )
    assert [(r["front_nfe"], r["front_seconds"]) for r in rows] == [
        (False, True),
        (True, True),
        (True, True),
    ]
