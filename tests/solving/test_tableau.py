"""Tableaus answer for their own order."""

from __future__ import annotations

from fractions import Fraction

import pytest

from fmcore import ComponentError
from fmcore.solving import Tableau
from fmcore.solving.rooted_trees import gamma, size, trees
from fmcore_solvers.rk4 import RK4, RK438


def test_there_are_as_many_trees_as_the_books_say() -> None:
    assert [len(trees(n)) for n in range(1, 9)] == [1, 1, 2, 4, 9, 20, 48, 115]
    assert all(size(tree) == 6 for tree in trees(6))


def test_the_tall_tree_has_the_density_of_a_factorial() -> None:
    tall = ((((),),),)
    assert gamma(tall) == 24


@pytest.mark.parametrize("solver", [RK4, RK438])
def test_kuttas_methods_meet_the_conditions_of_order_four_exactly_and_no_more(
    solver: type,
) -> None:
    assert solver.tableau.exact_defect(4) == 0
    assert solver.tableau.exact_defect(5) > Fraction(1, 1000)


def test_a_wrong_weight_is_refused() -> None:
    with pytest.raises(ComponentError, match="misses an order condition of order 2"):
        Tableau(a=[["1/2"]], b=["1/2", "1/2"], order=2)


def test_wrong_embedded_weights_are_refused() -> None:
    with pytest.raises(ComponentError, match="embedded weights miss"):
        Tableau(a=[[1]], b=["1/2", "1/2"], order=2, embedded=[1, 1], embedded_order=1)


def test_a_ragged_tableau_is_refused() -> None:
    with pytest.raises(ComponentError, match="rows of 1 to 2 entries"):
        Tableau(a=[[1], [1]], b=["1/6", "2/3", "1/6"], order=1)


def test_first_same_as_last_is_seen_in_the_coefficients() -> None:
    assert not RK4.tableau.fsal
    bosh = Tableau(
        a=[["1/2"], [0, "3/4"], ["2/9", "1/3", "4/9"]], b=["2/9", "1/3", "4/9", 0], order=3
    )
    assert bosh.fsal
