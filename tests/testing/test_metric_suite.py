"""Every check of the metric suite is failed by a metric that breaks its law, and by no other check
than those that follow from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest
import torch

from fmcore import ComponentError, DataError, Result, RowMetric
from fmcore.interfaces.metric import Metric
from fmcore.testing import MetricSuite, run_suite


@dataclass(frozen=True)
class Right(RowMetric):
    """The mean of the samples' squares beside that of the data, with noise of the seed."""

    scale: float = 1.0

    def check(self, data, path):
        if data.levels is not None:
            raise ComponentError("right measures points, not pictures")

    def measure(self, batch, evaluation):
        if tuple(batch.x.shape[1:]) != tuple(evaluation.data.shape):
            raise DataError("samples of another shape")
        if not batch.x.isfinite().all():
            raise DataError("a sample is not finite")
        return {"square": self.scale * batch.x.double().square().mean(1)}

    def conclude(self, rows, evaluation):
        if not len(rows):
            raise DataError("no sample")
        return {"right": self.result(rows["square"], evaluation)}

    def result(self, square, evaluation):
        data = evaluation.data.batch(range(evaluation.data.length))["x1"]
        made = {
            "count": len(square),
            "seed": evaluation.seed,
            "data": evaluation.data.fingerprint,
        }
        value = square.mean() - data.double().square().mean() + 0.1 * evaluation.seed
        return Result(float(value), 0.0, made, square)


@dataclass(frozen=True)
class Changed(Right):
    """Right, with its results changed."""

    def conclude(self, rows, evaluation):
        return {k: self.changed(v) for k, v in super().conclude(rows, evaluation).items()}

    def changed(self, result):
        return result


@dataclass(frozen=True, init=False)
class Swallows(Right):
    def __init__(self, count: int | None = None, scale: float = 1.0, **options: object):
        super().__init__(count=count, scale=scale)


@dataclass(frozen=True)
class KeepsAnother(Right):
    def __post_init__(self):
        object.__setattr__(self, "scale", self.scale / 2)


@dataclass(frozen=True)
class RefusesWithoutAWord(Right):
    def check(self, data, path):
        if data.levels is not None:
            raise ComponentError("")


@dataclass(frozen=True)
class RefusesEverything(Right):
    def check(self, data, path):
        raise ComponentError("not this")


@dataclass(frozen=True)
class ByHand(Metric):
    """Right, with a tally of its own that a subclass may spoil."""

    seen: list = field(default_factory=list, init=False, repr=False, compare=False)
    given: list = field(default_factory=list, init=False, repr=False, compare=False)

    def check(self, data, path):
        Right().check(data, path)

    def begin(self, evaluation):
        self.seen.clear()
        self.given[:] = [evaluation]

    def update(self, batch):
        self.seen.append((batch.indices, Right().measure(batch, self.given[0])["square"]))

    def compute(self):
        if not self.seen:
            raise DataError("no sample")
        return {"right": Right().result(self.squares(), self.given[0])}

    def squares(self):
        indices, squares = (torch.cat(part) for part in zip(*self.seen, strict=True))
        return squares[indices.argsort()]


@dataclass
class Unfrozen(Metric):
    inner: ByHand = field(default_factory=ByHand, init=False, repr=False, compare=False)

    def check(self, data, path):
        self.inner.check(data, path)

    def begin(self, evaluation):
        self.inner.begin(evaluation)

    def update(self, batch):
        self.inner.update(batch)

    def compute(self):
        return self.inner.compute()


@dataclass(frozen=True)
class NeverForgets(ByHand):
    def begin(self, evaluation):
        self.given[:] = [evaluation]


@dataclass(frozen=True)
class KeepsTheFirstReference(ByHand):
    """Compares with the data of its first evaluation ever after."""

    def begin(self, evaluation):
        self.seen.clear()
        first = self.given[0].data if self.given else evaluation.data
        self.given[:] = [replace(evaluation, data=first)]


@dataclass(frozen=True)
class AnotherUnit(Changed):
    """Twice the value, and 3."""

    def changed(self, result):
        return replace(result, value=2 * result.value + 3)


@dataclass(frozen=True)
class WeighsBatches(ByHand):
    """A mean of means."""

    def squares(self):
        means = [squares.mean() for _, squares in self.seen]
        return torch.stack(means).mean().expand(sum(len(i) for i, _ in self.seen))


@dataclass(frozen=True)
class WeighsByPlace(ByHand):
    def squares(self):
        squares = torch.cat([squares for _, squares in self.seen])
        return squares * torch.linspace(0.5, 1.5, len(squares))


@dataclass(frozen=True)
class ForgetsWhatItComputed(ByHand):
    def compute(self):
        results = super().compute()
        self.seen[:] = self.seen[:1] if len(self.seen) > 1 else [(i, s + 1) for i, s in self.seen]
        return results


@dataclass(frozen=True)
class SpoilsTheBatch(Right):
    def measure(self, batch, evaluation):
        kept = super().measure(batch, evaluation)
        batch.x.mul_(1 + 1e-3)
        return kept


@dataclass(frozen=True)
class GivesTensors(Changed):
    def changed(self, result):
        return replace(result, value=torch.tensor(result.value))


@dataclass(frozen=True)
class NegativeError(Changed):
    def changed(self, result):
        return replace(result, error=-1.0)


@dataclass(frozen=True)
class KeepsTooFew(Changed):
    def changed(self, result):
        return replace(result, per_sample=result.per_sample[1:])


@dataclass(frozen=True)
class ProvenanceOfTensors(Changed):
    def changed(self, result):
        return replace(result, details={"mean": torch.tensor(1.0)})


@dataclass(frozen=True)
class DoesNotCount(Changed):
    def changed(self, result):
        return replace(result, provenance={**result.provenance, "count": 7})


@dataclass(frozen=True)
class HidesTheSeed(Changed):
    def changed(self, result):
        kept = {k: v for k, v in result.provenance.items() if k != "seed"}
        return replace(result, provenance=kept)


@dataclass(frozen=True)
class HidesTheData(Changed):
    def changed(self, result):
        kept = {k: v for k, v in result.provenance.items() if k != "data"}
        return replace(result, provenance=kept)


@dataclass(frozen=True)
class OneCacheForAll(Right):
    def result(self, square, evaluation):
        made = super().result(square, evaluation)
        file = evaluation.cache / "reference"
        if not file.exists():
            evaluation.cache.mkdir(exist_ok=True)
            file.write_text(str(float(evaluation.data.batch(range(9))["x1"].square().mean())))
        return replace(made, value=made.value + float(file.read_text()))


@dataclass(frozen=True)
class ZeroFromNothing(Right):
    def conclude(self, rows, evaluation):
        if not len(rows):
            return {"right": Result(0.0, None, {"count": 0})}
        return super().conclude(rows, evaluation)


@dataclass(frozen=True)
class LeavesOutNaN(Right):
    def measure(self, batch, evaluation):
        return super().measure(replace(batch, x=batch.x.nan_to_num()), evaluation)


@dataclass(frozen=True)
class TakesAnyShape(Right):
    def measure(self, batch, evaluation):
        return super().measure(replace(batch, x=batch.x[:, :2]), evaluation)


@dataclass(frozen=True)
class MergesByTheOrder(ByHand):
    """Its parts come in the order of merging."""

    def state(self):
        indices, squares = (torch.cat(part) for part in zip(*self.seen, strict=True))
        return {"indices": indices, "squares": squares}

    def merge(self, state: Mapping[str, torch.Tensor]) -> None:
        weight = 1.0 if not self.seen else 1.001
        self.seen.append((state["indices"], weight * state["squares"]))


WRONG = [
    (Unfrozen, {"is_a_frozen_dataclass_of_its_interface"}),
    (Swallows, {"options_are_closed_and_typed"}),
    (KeepsAnother, {"round_trip_through_a_recipe"}),
    (RefusesWithoutAWord, {"check_refuses_with_a_reason"}),
    (NeverForgets, {"begin_resets_the_metric"}),
    (KeepsTheFirstReference, {"begin_takes_the_new_evaluation"}),
    (AnotherUnit, {"known_values"}),
    (WeighsBatches, {"results_do_not_depend_on_batching"}),
    (WeighsByPlace, {"results_do_not_depend_on_order"}),
    (ForgetsWhatItComputed, {"compute_can_be_repeated"}),
    (SpoilsTheBatch, {"update_does_not_modify_the_batch"}),
    (GivesTensors, {"results_are_numbers_with_names"}),
    (NegativeError, {"results_are_numbers_with_names"}),
    (KeepsTooFew, {"results_are_numbers_with_names"}),
    (ProvenanceOfTensors, {"provenance_is_json_and_counts"}),
    (DoesNotCount, {"provenance_is_json_and_counts"}),
    (HidesTheSeed, {"provenance_changes_with_the_value"}),
    (HidesTheData, {"provenance_changes_with_the_value"}),
    (OneCacheForAll, {"cache_depends_on_the_data"}),
    (ZeroFromNothing, {"no_samples_give_no_number"}),
    (LeavesOutNaN, {"samples_that_are_not_finite_give_no_finite_number"}),
    (TakesAnyShape, {"samples_of_another_shape_are_refused"}),
    (MergesByTheOrder, {"merged_parts_equal_the_whole"}),
]

FOLLOWS: dict[type, set[str]] = {
    # nothing records that there are fewer rows once the count is wrong
    DoesNotCount: {"provenance_changes_with_the_value"},
    KeepsAnother: {"known_values"},
    OneCacheForAll: {"known_values"},
    WeighsBatches: {"compute_can_be_repeated"},
    Swallows: {"round_trip_through_a_recipe"},
    SpoilsTheBatch: {
        "begin_takes_the_new_evaluation",
        "cache_depends_on_the_data",
        "merged_parts_equal_the_whole",
    },
}
"""Checks that cannot but fail beside the one meant."""


def outcome(metric: type) -> dict[str, str]:
    """The failed checks of a metric, with their messages."""

    class Suite(MetricSuite):
        def component(self):
            return metric()

        def known(self):
            return [(torch.full((9, 2), 2.0), torch.ones(9, 2), 3.0)]

    return {r.name.removeprefix("test_"): r.message for r in run_suite(Suite) if not r.passed}


@pytest.mark.parametrize("metric", [Right, ByHand])
def test_a_right_metric_passes(metric):
    assert outcome(metric) == {}


@pytest.mark.parametrize(("metric", "broken"), WRONG, ids=lambda v: getattr(v, "__name__", None))
def test_each_law_has_a_metric_that_breaks_it(metric, broken):
    failed = outcome(metric)
    assert broken <= set(failed)
    assert set(failed) <= broken | FOLLOWS.get(metric, set()), failed
    for name in broken:
        assert "Error at" not in failed[name], failed[name]


def test_every_check_is_broken_by_some_metric():
    checks = {n.removeprefix("test_") for n in dir(MetricSuite) if n.startswith("test_")}
    assert checks == set().union(*(broken for _, broken in WRONG))


def test_without_a_known_value_the_suite_says_what_to_override():
    class Suite(MetricSuite):
        def component(self):
            return AnotherUnit()

    results = {r.name: r for r in run_suite(Suite)}
    assert all(r.passed for r in results.values())
    assert results["test_known_values"].message == "no known value: override known()"


def test_a_metric_that_measures_nothing_gets_an_advice():
    assert "override data() of the suite" in outcome(RefusesEverything)["begin_resets_the_metric"]


def test_messages_give_the_numbers():
    message = outcome(HidesTheSeed)["provenance_changes_with_the_value"]
    assert "with another seed" in message
    assert "the provenance is the same" in message
    assert math.isfinite(float(message.split(" is ")[1].split(",")[0]))
