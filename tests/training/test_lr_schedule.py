"""The learning rate against the schedules of the paper's Table 3."""

import pytest

from fmcore.recipe.sections import Train
from fmcore.training.lr_schedule import learning_rate


def test_the_papers_polynomial_schedule_rises_from_1e_8_and_falls_to_1e_8():
    train = Train(steps=391_000, lr=5e-4, warmup=45_000, schedule="linear", lr_end=1e-8)
    assert learning_rate(0, train) == pytest.approx(1e-8)
    assert learning_rate(22_500, train) == pytest.approx(2.5e-4, rel=1e-4)
    assert learning_rate(45_000, train) == pytest.approx(5e-4)
    assert learning_rate((45_000 + 390_999) // 2, train) == pytest.approx(2.5e-4, rel=1e-4)
    assert learning_rate(390_999, train) == pytest.approx(1e-8)


def test_the_cosine_is_half_way_down_in_the_middle():
    train = Train(steps=101, lr=1.0, schedule="cosine", lr_end=0.0)
    assert [learning_rate(s, train) for s in (0, 50, 100)] == pytest.approx([1.0, 0.5, 0.0])


def test_a_constant_rate_stays_after_its_warm_up():
    train = Train(steps=100, lr=0.1, warmup=10)
    assert {learning_rate(s, train) for s in range(10, 100)} == {0.1}


def test_a_run_of_one_step_has_a_rate():
    assert learning_rate(0, Train(steps=1, lr=0.1, schedule="linear")) == 0.1
