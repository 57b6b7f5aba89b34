"""The learning-rate schedules: the suite, and the schedules of the paper's Table 3."""

from dataclasses import dataclass

import pytest

from fmcore import ComponentError, LearningRate, create
from fmcore.recipe.sections import Train
from fmcore.registry import registry
from fmcore.testing import LearningRateSuite, run_suite
from fmcore.training.lr_schedule import check_schedule, learning_rate


@pytest.mark.parametrize("options", [{}, {"warmup": 7, "start": 0.1}], ids=["default", "warm-up"])
@pytest.mark.parametrize("name", [e.name for e in registry().entries("lr_schedule")])
def test_every_schedule_keeps_the_laws(name, options):
    class Own(LearningRateSuite):
        def component(self):
            return create("lr_schedule", name, **options)

    assert not [f"{r.name}: {r.message}" for r in run_suite(Own) if not r.passed]


def scheduled(name, steps, lr=1.0, **options):
    return Train(steps=steps, lr=lr, lr_schedule=create("lr_schedule", name, **options))


def test_the_papers_polynomial_schedule_rises_from_1e_8_and_falls_to_1e_8():
    train = scheduled("linear", 391_000, 5e-4, warmup=45_000, start=2e-5, end=2e-5)
    assert learning_rate(0, train) == pytest.approx(1e-8)
    assert learning_rate(22_500, train) == pytest.approx(2.5e-4, rel=1e-4)
    assert learning_rate(45_000, train) == pytest.approx(5e-4)
    assert learning_rate((45_000 + 390_999) // 2, train) == pytest.approx(2.5e-4, rel=1e-4)
    assert learning_rate(390_999, train) == pytest.approx(1e-8)


def test_the_cosine_is_half_way_down_in_the_middle():
    train = scheduled("cosine", 101)
    assert [learning_rate(s, train) for s in (0, 50, 100)] == pytest.approx([1.0, 0.5, 0.0])


def test_a_constant_rate_stays_after_its_warm_up():
    train = scheduled("constant", 100, 0.1, warmup=10)
    assert {learning_rate(s, train) for s in range(10, 100)} == {0.1}


def test_warmup_stable_decay_is_constant_until_its_last_fifth():
    train = scheduled("wsd", 101, warmup=10, end=0.5)
    rates = [learning_rate(step, train) for step in range(101)]
    assert rates[5] == pytest.approx(0.5)
    assert set(rates[10:81]) == {1.0}
    assert rates[90] == pytest.approx(0.75)
    assert rates[100] == pytest.approx(0.5)


def test_a_run_of_one_step_has_a_rate():
    assert learning_rate(0, scheduled("linear", 1, 0.1)) == 0.1


@dataclass(frozen=True)
class Wrong(LearningRate):
    last: float = float("nan")

    def factor(self, step, steps):
        return 1.0 if step < steps - 1 else self.last


@pytest.mark.parametrize("last", [float("nan"), float("inf"), -0.1])
def test_a_factor_that_is_not_finite_or_negative_is_refused_before_training(last):
    train = Train(steps=12_345, lr_schedule=Wrong(last))
    with pytest.raises(ComponentError) as refused:
        check_schedule(train)
    assert str(refused.value) == (
        f"train.lr_schedule: Wrong gives the factor {last} at step 12344 of 12345: a factor must "
        "be finite and >= 0"
    )
