"""Rows stored by index: merging, order, refusals, and the memory of a long stream."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from fmcore import ComponentError, Status, create
from fmcore.interfaces.metric import Evaluation, Metric, MetricBatch, Result
from fmcore_metrics.fd_lite0 import FDLite0
from fmcore_metrics.nfe import NFE

from .conftest import Evaluate, Pictures, Points, Stream, measured


def test_two_processes_keep_the_rows_of_one(evaluation: Evaluate) -> None:
    """Rows are split by index, serialised, and merged in either order."""
    data = Pictures(length=60)
    given, stream = evaluation(data), Stream(data)
    batches = [stream.rows(range(first, first + 16)) for first in range(0, 48, 16)]
    metric = FDLite0(bootstrap=3)
    whole = measured(metric, given, *batches)["fd_lite0"]
    whole_rows = metric.state()
    states = []
    for own in (batches[::2], batches[1::2]):
        part = FDLite0(bootstrap=3)
        part.begin(given)
        for batch in own:
            part.update(batch)
        states.append(save(part.state()))
    for order in (states, states[::-1]):
        merged = FDLite0(bootstrap=3)
        merged.begin(given)
        for state in order:
            merged.merge(load(state))
        kept = merged.state()
        order_of = kept["indices"].argsort()
        assert torch.equal(kept["112"][order_of], whole_rows["112"])
        found = merged.compute()["fd_lite0"]
        # The rows are equal in every bit; the distance of equal rows only within LAPACK's rounding.
        assert (found.value, found.error) == pytest.approx((whole.value, whole.error), rel=1e-9)
        assert found.provenance == whole.provenance


def test_measuring_resumes_from_a_saved_tally(evaluation: Evaluate) -> None:
    data = Pictures(length=40)
    given, stream = evaluation(data), Stream(data)
    first, second = stream.rows(range(20)), stream.rows(range(20, 40))
    whole = measured(FDLite0(), given, first, second)["fd_lite0"]
    stopped = FDLite0()
    stopped.begin(given)
    stopped.update(first)
    resumed = FDLite0()
    resumed.begin(given)
    resumed.merge(load(save(stopped.state())))
    resumed.update(second)
    found = resumed.compute()["fd_lite0"]
    assert found.value == pytest.approx(whole.value, rel=1e-9)  # within LAPACK's rounding


def test_an_empty_part_adds_nothing(evaluation: Evaluate) -> None:
    given = evaluation(Points())
    empty = NFE()
    empty.begin(given)
    assert empty.state() == {}
    full = NFE()
    full.begin(given)
    full.update(Stream(Points()).rows([0, 1]))
    full.merge(empty.state())
    assert full.compute()["nfe"].provenance["count"] == 2


def test_a_row_measured_twice_is_an_error(evaluation: Evaluate) -> None:
    stream = Stream(Points())
    with pytest.raises(ComponentError, match="sample 3 was measured 2 times"):
        measured(NFE(), evaluation(Points()), stream.rows([1, 3]), stream.rows([3, 4]))


def test_count_leaves_out_the_rows_beyond_it(evaluation: Evaluate) -> None:
    stream = Stream(Points())
    rows = stream.rows(range(10))
    cut = measured(NFE(count=4), evaluation(Points()), rows, stream.rows(range(10, 20)))["nfe"]
    assert cut.provenance["count"] == 4
    assert cut.value == float(stream.rows(range(4)).nfe.double().mean())  # type: ignore[union-attr]


def test_unfinished_samples_are_counted_in_the_details(evaluation: Evaluate) -> None:
    rows = Stream(Points()).rows([0, 1, 2])
    short = replace(rows, status=torch.tensor([0, int(Status.MAX_STEPS), int(Status.DT_MIN)]))
    plain = measured(NFE(), evaluation(Points()), rows)["nfe"]
    found = measured(NFE(), evaluation(Points()), short)["nfe"]
    assert found.details == {**plain.details, "unfinished_samples": 2}
    assert found.value == plain.value


def test_begin_must_come_first() -> None:
    with pytest.raises(ComponentError, match=r"NFE: begin\(evaluation\) must come first"):
        NFE().update(Stream(Points()).rows([0]))


def test_fifty_thousand_pictures_are_measured_without_storing_them(evaluation: Evaluate) -> None:
    """Only the features of a picture are stored; the pictures here are tiny, to be fast."""
    metric = create("metric", "nfe")
    metric.begin(evaluation(Pictures()))
    levels = torch.zeros(500, 1, 8, 8, dtype=torch.uint8)
    for first in range(0, 50_000, 500):
        indices = torch.arange(first, first + 500)
        metric.update(MetricBatch(indices, None, levels, nfe=indices % 7))
    state = metric.state()
    assert set(state) == {"indices", "ended", "nfe"}
    assert metric.compute()["nfe"].provenance["count"] == 50_000

    lite0 = FDLite0(layer=112)
    lite0.begin(evaluation(Pictures()))
    lite0.update(Stream(Pictures()).rows(range(10)))
    assert {name: tuple(v.shape) for name, v in lite0.state().items()} == {
        "indices": (10,),
        "ended": (10,),
        "112": (10, 112),
    }


class Indivisible(Metric):
    """A metric without `state` and `merge`."""

    def begin(self, evaluation: Evaluation) -> None: ...

    def update(self, batch: MetricBatch) -> None: ...

    def compute(self) -> dict[str, Result]:
        return {}


@pytest.mark.parametrize("asked", [lambda m: m.state(), lambda m: m.merge({})])
def test_a_metric_without_parts_refuses_them(asked: Any) -> None:
    with pytest.raises(
        ComponentError, match=r"Indivisible cannot be measured in parts: .*RowMetric"
    ):
        asked(Indivisible())


def test_the_device_is_the_networks(evaluation: Evaluate) -> None:
    given = evaluation(Points())
    assert given.device == torch.device("cpu")
    assert replace(given, field=None).device == torch.device("cpu")
    assert given.field is not None
    given.field.model.to("meta")
    assert given.device == torch.device("meta")
