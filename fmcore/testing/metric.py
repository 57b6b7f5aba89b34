"""The laws of `Metric`, as checks on one metric."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from fmcore.errors import ComponentError, DataError, UserError
from fmcore.interfaces.dataset import Dataset
from fmcore.interfaces.metric import Evaluation, Metric, MetricBatch, Result
from fmcore.registry import entry_of
from fmcore.testing.checks import require, require_equal, skip
from fmcore.testing.options import ComponentChecks
from fmcore.testing.stub_data import data_sets, evaluation_of, points_of, rows_of
from fmcore.testing.suite import Suite

__all__ = ["MetricSuite"]

COUNT = 16
"""Rows in a stream: few, as some metrics look at each for long."""

RTOL, ATOL = 1e-4, 1e-6
"""How far batching and order may move a value: the rounding of a network in float32."""

UNEVEN = (range(5), range(5, 6), range(6, COUNT))

Results = Mapping[str, Result]


class MetricSuite(ComponentChecks, Suite):
    """Override `component()` to build the metric; and `data()` if it is made for other data than
    points in the plane or small pictures.
    """

    interface = Metric

    def data(self) -> Dataset:
        """Something that this metric measures: the first small data set that its `check` takes."""
        refusals = []
        for data in data_sets():
            try:
                self.component().check(data, evaluation_of(data, Path()).path)
                return data
            except DataError as missing:
                skip(str(missing).splitlines()[0])
            except ComponentError as reason:
                refusals.append(str(reason))
        raise AssertionError(
            "`check` refuses points and pictures alike; override data() of the suite:\n  "
            + "\n  ".join(refusals)
        )

    def test_refuses_with_a_reason(self) -> None:
        """`check` raises nothing but ComponentError and DataError, with words."""
        for data in data_sets():
            try:
                self.component().check(data, evaluation_of(data, Path()).path)
            except (ComponentError, DataError) as reason:
                require(bool(str(reason)), f"`check` refuses {type(data).__name__} without a word")

    def test_begin_empties_the_tally(self) -> None:
        """What came before `begin` leaves no trace in the results."""
        with _evaluation(self.data()) as evaluation:
            metric = self.component()
            _measured(metric, evaluation, [self._rows(range(COUNT // 2, COUNT))])
            again = _measured(metric, evaluation, [self._rows(range(COUNT // 2))])
            fresh = _measured(self.component(), evaluation, [self._rows(range(COUNT // 2))])
        _require_same(again, fresh, "after rows of another tally")

    def test_batches_do_not_matter(self) -> None:
        """The same rows in one batch, in uneven ones and one by one give the same results."""
        with _evaluation(self.data()) as evaluation:
            whole = _measured(self.component(), evaluation, [self._rows(range(COUNT))])
            for parts in (UNEVEN, [range(i, i + 1) for i in range(COUNT)]):
                found = _measured(self.component(), evaluation, map(self._rows, parts))
                _require_same(found, whole, f"in {len(parts)} batches instead of one")

    def test_order_does_not_matter(self) -> None:
        """Rows in another order, each with its index, give the same results."""
        shuffled = sorted(range(COUNT), key=lambda i: (7 * i) % COUNT)
        with _evaluation(self.data()) as evaluation:
            whole = _measured(self.component(), evaluation, [self._rows(range(COUNT))])
            found = _measured(self.component(), evaluation, [self._rows(shuffled)])
        _require_same(found, whole, "in another order")

    def test_compute_only_looks(self) -> None:
        """`compute` twice gives the same, and rows may follow it."""
        with _evaluation(self.data()) as evaluation:
            metric = self.component()
            first = _measured(metric, evaluation, [self._rows(range(COUNT // 2))])
            _require_same(metric.compute(), first, "computed again")
            metric.update(self._rows(range(COUNT // 2, COUNT)))
            whole = _measured(self.component(), evaluation, [self._rows(range(COUNT))])
            _require_same(metric.compute(), whole, "with rows added after `compute`")

    def test_leaves_the_batch_as_it_was(self) -> None:
        """`update` changes nothing in the batch: other metrics see it too."""
        with _evaluation(self.data()) as evaluation:
            batch, kept = self._rows(range(COUNT)), self._rows(range(COUNT))
            _measured(self.component(), evaluation, [batch])
        for name in ("indices", "x", "levels", "nfe"):
            if getattr(kept, name) is not None:
                require_equal(getattr(batch, name), getattr(kept, name), f"{name} after `update`")

    def test_results_are_numbers_with_names(self) -> None:
        """Each result has a float, an error >= 0 if any, and a number per row if it keeps them; a
        single result is called as the metric is."""
        with _evaluation(self.data()) as evaluation:
            metric = self.component()
            results = _measured(metric, evaluation, [self._rows(range(COUNT))])
        require(bool(results), "`compute` gave no result")
        for name, result in results.items():
            require(isinstance(result.value, float), f"{name} is a {type(result.value).__name__}")
            error = result.error
            require(error is None or error >= 0, f"the standard error of {name} is {error}")
            each = result.per_sample
            require(
                each is None or len(each) == COUNT,
                f"{name} keeps {0 if each is None else len(each)} values of {COUNT} rows",
            )
        entry = entry_of(metric)
        require(
            entry is None or len(results) > 1 or entry.name in results,
            f"the one result is called {', '.join(results)}, the metric {entry and entry.name}",
        )

    def test_provenance_is_json_and_counts(self) -> None:
        """Provenance and details can be written as JSON, and the number of rows is in `count`."""
        with _evaluation(self.data()) as evaluation:
            results = _measured(self.component(), evaluation, [self._rows(range(COUNT))])
        for name, result in results.items():
            for part in ("provenance", "details"):
                try:
                    json.dumps(dict(getattr(result, part)))
                except (TypeError, ValueError) as error:
                    raise AssertionError(f"{part} of {name} is not JSON: {error}") from error
            count = result.provenance.get("count")
            require(count == COUNT, f"{name} has count {count} in its provenance, not {COUNT}")

    def test_what_changes_a_value_is_told(self) -> None:
        """Another seed, fewer rows or other data may change a value only if they change its
        provenance."""
        data = self.data()
        other = _other(data)
        batch, fewer = self._rows(range(COUNT)), self._rows(range(COUNT // 2))
        with _evaluation(data) as given:
            results = _measured(self.component(), given, [batch])
            reseeded = replace(given, seed=given.seed + 1)
            cases = {
                "another seed": _measured(self.component(), reseeded, [batch]),
                "fewer rows": _measured(self.component(), given, [fewer]),
                "other data to compare with": _measured(
                    self.component(), evaluation_of(other, given.cache), [batch]
                ),
            }
        for cause, found in cases.items():
            for name in results.keys() & found.keys():
                moved = not _close(found[name].value, results[name].value)
                told = dict(found[name].provenance) != dict(results[name].provenance)
                require(
                    told or not moved,
                    f"{name} is {results[name].value:.6g}, with {cause} {found[name].value:.6g}: "
                    "the provenance is the same",
                )

    def test_the_cache_belongs_to_its_data(self) -> None:
        """What was kept for other data is not taken for this one's."""
        data = self.data()
        if not hasattr(data, "contrast"):
            skip("only with the suite's own data sets")
        batch = self._rows(range(COUNT))
        with _evaluation(data) as given, _evaluation(data) as fresh:
            other = evaluation_of(_other(data), given.cache)
            _measured(self.component(), other, [batch])
            found = _measured(self.component(), given, [batch])
            wanted = _measured(self.component(), fresh, [batch])
        _require_same(found, wanted, "with a cache that other data has used")

    def test_no_row_is_no_number(self) -> None:
        """Without any row, `compute` raises a user's error or says in the details what is wrong."""
        with _evaluation(self.data()) as evaluation:
            try:
                results = _measured(self.component(), evaluation, [])
            except UserError:
                return
        for name, result in results.items():
            require(
                not math.isfinite(result.value) or bool(result.details),
                f"{name} is {result.value} from no row at all, and says nothing about it",
            )

    def test_samples_that_are_not_finite_give_no_finite_number(self) -> None:
        """NaN in a sample is refused, or shows in the result; it is never left out in silence."""
        data = self.data()
        batch = self._sampled(data)
        x = points_of(batch, data).clone()
        x[3].fill_(math.nan)
        with _evaluation(data) as evaluation:
            plain = _measured(self.component(), evaluation, [batch])
            if not self._looks_at_samples(plain, evaluation, data):
                skip("it does not look at the samples' values")
            try:
                found = _measured(self.component(), evaluation, [replace(batch, x=x)])
            except UserError:
                return
        for name, result in found.items():
            require(
                not math.isfinite(result.value),
                f"{name} is {result.value:.6g} although a sample is NaN",
            )

    def test_samples_of_another_shape_are_refused(self) -> None:
        """Samples that are not of the data's shape raise a user's error."""
        data = self.data()
        batch = self._sampled(data)
        with _evaluation(data) as evaluation:
            plain = _measured(self.component(), evaluation, [batch])
            if not self._looks_at_samples(plain, evaluation, data):
                skip("it does not look at the samples' values")
            wider: dict[str, Any] = {
                name: torch.cat([value, value], dim=1)
                for name in ("x", "levels")
                if (value := getattr(batch, name)) is not None
            }
            try:
                _measured(self.component(), evaluation, [replace(batch, **wider)])
            except UserError:
                return
            shape = tuple(next(iter(wider.values())).shape[1:])
            raise AssertionError(
                f"samples of shape {shape} were compared with data of {data.shape}"
            )

    def test_tallies_merge_to_the_bits_of_the_whole(self) -> None:
        """`state` goes through a file, and `merge` of two halves, in any order, gives the bits of
        one tally; or both say that this metric cannot be measured in parts."""
        first, second = self._rows(range(0, COUNT, 2)), self._rows(range(1, COUNT, 2))
        with _evaluation(self.data()) as evaluation:
            whole = self.component()
            wanted = _measured(whole, evaluation, [first, second])
            halves = []
            for batch in (first, second):
                metric = self.component()
                _measured(metric, evaluation, [batch])
                try:
                    halves.append(load(save(metric.state())))
                except ComponentError as reason:
                    skip(str(reason))
            for states in (halves, halves[::-1]):
                merged = self.component()
                merged.begin(evaluation)
                for state in states:
                    merged.merge(state)
                _require_same(merged.compute(), wanted, "merged from two halves", exactly=True)

    def _rows(self, indices: Sequence[int]) -> MetricBatch:
        return rows_of(self.data(), self.component().consumes, indices)

    def _sampled(self, data: Dataset) -> MetricBatch:
        if self.component().consumes != "samples":
            skip("it measures held-out data, not samples")
        return self._rows(range(COUNT))

    def _looks_at_samples(self, plain: Results, evaluation: Evaluation, data: Dataset) -> bool:
        """Whether other values of the samples, all else equal, change a result."""
        other = rows_of(_other(data), "samples", range(COUNT))
        found = _measured(self.component(), evaluation, [other])
        return any(not _close(found[name].value, plain[name].value) for name in plain)


def _other(data: Dataset) -> Dataset:
    """The suite's own data set with less contrast; another as it is."""
    less: dict[str, Any] = {"contrast": 0.5} if hasattr(data, "contrast") else {}
    return replace(data, **less)


@contextmanager
def _evaluation(data: Dataset) -> Iterator[Evaluation]:
    """An evaluation with an empty cache, which goes with it."""
    with tempfile.TemporaryDirectory() as folder:
        yield evaluation_of(data, Path(folder))


def _measured(metric: Any, evaluation: Evaluation, batches: Any) -> dict[str, Result]:
    metric.begin(evaluation)
    for batch in batches:
        metric.update(batch)
    results: dict[str, Result] = metric.compute()
    return results


def _close(found: float, wanted: float) -> bool:
    return math.isclose(found, wanted, rel_tol=RTOL, abs_tol=ATOL) or (
        math.isnan(found) and math.isnan(wanted)
    )


def _require_same(found: Results, wanted: Results, how: str, exactly: bool = False) -> None:
    require(
        found.keys() == wanted.keys(),
        f"{how}: results are {', '.join(found)}, should be {', '.join(wanted)}",
    )
    for name, result in wanted.items():
        for part in ("value", "error"):
            this, that = getattr(found[name], part), getattr(result, part)
            same = this == that if exactly or this is None or that is None else _close(this, that)
            require(same, f"{how}: the {part} of {name} is {this}, should be {that}")
