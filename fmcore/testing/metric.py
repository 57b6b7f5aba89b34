"""Checks of the laws of `Metric`, on one metric."""

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
from torch import Tensor

from fmcore.errors import ComponentError, DataError, UserError
from fmcore.interfaces.dataset import Dataset
from fmcore.interfaces.metric import Evaluation, Metric, MetricBatch, Result
from fmcore.registry import entry_of
from fmcore.testing.checks import require, require_equal, skip
from fmcore.testing.options import ComponentChecks
from fmcore.testing.stub_data import GivenPoints, data_sets, evaluation_of, points_of, rows_of
from fmcore.testing.suite import Suite

__all__ = ["MetricSuite"]

COUNT = 16
"""The number of rows: small, since some metrics are slow."""

RTOL, ATOL = 1e-4, 1e-6
"""The tolerance for other batches and orders: rounding of a network in float32."""

KNOWN = 1e-4
"""The tolerance, relative and absolute, of the values of `known`."""

UNEVEN = (range(5), range(5, 6), range(6, COUNT))

Results = Mapping[str, Result]


class MetricSuite(ComponentChecks, Suite):
    """Override `component()` to build the metric, `data()` if it measures neither points in the
    plane nor small images, and `evaluation()` if it needs another flow than one of R^n.
    """

    interface = Metric

    def data(self) -> Dataset:
        """Return the first small dataset that the metric's `check` accepts."""
        refusals = []
        for data in data_sets():
            try:
                self.component().check(data, self.evaluation(data, Path()).path)
                return data
            except DataError as missing:
                skip(str(missing).splitlines()[0])
            except ComponentError as reason:
                refusals.append(str(reason))
        raise AssertionError(
            "`check` refuses points and images; override data() of the suite:\n  "
            + "\n  ".join(refusals)
        )

    def evaluation(self, data: Dataset, cache: Path) -> Evaluation:
        """Return an evaluation on `data` with an empty folder `cache`: by default one with a small
        flow of points of R^n.  Override it for a metric that needs another path or network.
        """
        return evaluation_of(data, cache)

    @contextmanager
    def _evaluation(self, data: Dataset) -> Iterator[Evaluation]:
        """Yield an evaluation with an empty cache, which is deleted afterwards."""
        with tempfile.TemporaryDirectory() as folder:
            yield self.evaluation(data, Path(folder))

    def known(self) -> Sequence[tuple[Tensor, Tensor, float]]:
        """Return cases whose value is known: samples and data, both `(count, *shape)` float32, and
        the value, which the metric must give within `KNOWN`.  None by default.

        Without a case, nothing tells a metric from its multiple: override it.
        """
        return ()

    def test_known_values(self) -> None:
        """The metric has the values of `known`, such as the distance of two shifted sets."""
        cases = self.known()
        if not cases:
            skip("no known value: override known()")
        for x, points, wanted in cases:
            indices = torch.arange(len(x))
            batch = MetricBatch(indices=indices, x=x, levels=None, nfe=torch.full_like(indices, 8))
            with self._evaluation(GivenPoints(points.tolist())) as evaluation:
                results = _measured(self.component(), evaluation, [batch])
            value = next(iter(results.values())).value
            require(
                math.isclose(value, wanted, rel_tol=KNOWN, abs_tol=KNOWN),
                f"{next(iter(results))} is {value:.6g}, should be {wanted:.6g}",
            )

    def test_check_refuses_with_a_reason(self) -> None:
        """`check` raises only ComponentError and DataError, with a message."""
        for data in data_sets():
            try:
                self.component().check(data, self.evaluation(data, Path()).path)
            except (ComponentError, DataError) as reason:
                require(
                    bool(str(reason)), f"`check` refuses {type(data).__name__} without a message"
                )

    def test_begin_resets_the_metric(self) -> None:
        """Rows before `begin` do not affect the results."""
        with self._evaluation(self.data()) as evaluation:
            metric = self.component()
            _measured(metric, evaluation, [self._rows(range(COUNT // 2, COUNT))])
            again = _measured(metric, evaluation, [self._rows(range(COUNT // 2))])
            fresh = _measured(self.component(), evaluation, [self._rows(range(COUNT // 2))])
        _require_same(again, fresh, "after other rows and begin()")

    def test_begin_takes_the_new_evaluation(self) -> None:
        """After an evaluation on other data, the results are those of a new metric: its reference
        is that of the last `begin`."""
        data = self.data()
        batch = self._rows(range(COUNT))
        with self._evaluation(_other(data)) as other, self._evaluation(data) as given:
            metric = self.component()
            _measured(metric, other, [batch])
            again = _measured(metric, given, [batch])
        with self._evaluation(data) as given:
            fresh = _measured(self.component(), given, [batch])
        _require_same(again, fresh, "after an evaluation on other data")

    def test_results_do_not_depend_on_batching(self) -> None:
        """The same rows in one batch, in uneven batches and one by one give the same results."""
        with self._evaluation(self.data()) as evaluation:
            whole = _measured(self.component(), evaluation, [self._rows(range(COUNT))])
            for parts in (UNEVEN, [range(i, i + 1) for i in range(COUNT)]):
                found = _measured(self.component(), evaluation, map(self._rows, parts))
                _require_same(found, whole, f"in {len(parts)} batches instead of one")

    def test_results_do_not_depend_on_order(self) -> None:
        """The same rows in another order, each with its index, give the same results."""
        shuffled = sorted(range(COUNT), key=lambda i: (7 * i) % COUNT)
        with self._evaluation(self.data()) as evaluation:
            whole = _measured(self.component(), evaluation, [self._rows(range(COUNT))])
            found = _measured(self.component(), evaluation, [self._rows(shuffled)])
        _require_same(found, whole, "in another order")

    def test_compute_can_be_repeated(self) -> None:
        """A second `compute` gives the same results, and more rows can follow."""
        with self._evaluation(self.data()) as evaluation:
            metric = self.component()
            first = _measured(metric, evaluation, [self._rows(range(COUNT // 2))])
            _require_same(metric.compute(), first, "computed again")
            metric.update(self._rows(range(COUNT // 2, COUNT)))
            whole = _measured(self.component(), evaluation, [self._rows(range(COUNT))])
            _require_same(metric.compute(), whole, "with rows added after `compute`")

    def test_update_does_not_modify_the_batch(self) -> None:
        """`update` does not modify the batch, which other metrics read too."""
        with self._evaluation(self.data()) as evaluation:
            batch, kept = self._rows(range(COUNT)), self._rows(range(COUNT))
            _measured(self.component(), evaluation, [batch])
        for name in ("indices", "x", "levels", "nfe"):
            if getattr(kept, name) is not None:
                require_equal(getattr(batch, name), getattr(kept, name), f"{name} after `update`")

    def test_results_are_numbers_with_names(self) -> None:
        """Each result has a float value, an error >= 0 or None, and one value per row if it keeps
        them; a single result has the name of the metric."""
        with self._evaluation(self.data()) as evaluation:
            metric = self.component()
            results = _measured(metric, evaluation, [self._rows(range(COUNT))])
        require(bool(results), "`compute` returned no result")
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
            f"the result is named {', '.join(results)}, the metric {entry and entry.name}",
        )

    def test_provenance_is_json_and_counts(self) -> None:
        """Provenance and details are JSON, and the number of rows is in `count`."""
        with self._evaluation(self.data()) as evaluation:
            results = _measured(self.component(), evaluation, [self._rows(range(COUNT))])
        for name, result in results.items():
            for part in ("provenance", "details"):
                try:
                    json.dumps(dict(getattr(result, part)))
                except (TypeError, ValueError) as error:
                    raise AssertionError(f"{part} of {name} is not JSON: {error}") from error
            count = result.provenance.get("count")
            require(count == COUNT, f"{name} has count {count} in its provenance, not {COUNT}")

    def test_provenance_changes_with_the_value(self) -> None:
        """If another seed, fewer rows or other data change a value, they change its provenance."""
        data = self.data()
        other = _other(data)
        batch, fewer = self._rows(range(COUNT)), self._rows(range(COUNT // 2))
        with self._evaluation(data) as given:
            results = _measured(self.component(), given, [batch])
            reseeded = replace(given, seed=given.seed + 1)
            cases = {
                "another seed": _measured(self.component(), reseeded, [batch]),
                "fewer rows": _measured(self.component(), given, [fewer]),
                "other data to compare with": _measured(
                    self.component(), self.evaluation(other, given.cache), [batch]
                ),
            }
        for cause, found in cases.items():
            for name in results.keys() & found.keys():
                moved = not _close(found[name].value, results[name].value)
                recorded = dict(found[name].provenance) != dict(results[name].provenance)
                require(
                    recorded or not moved,
                    f"{name} is {results[name].value:.6g}, with {cause} {found[name].value:.6g}: "
                    "the provenance is the same",
                )

    def test_cache_depends_on_the_data(self) -> None:
        """A cache entry of other data is not used for these data."""
        data = self.data()
        if not hasattr(data, "contrast"):
            skip("only with the suite's own datasets")
        batch = self._rows(range(COUNT))
        with self._evaluation(data) as given, self._evaluation(data) as fresh:
            other = self.evaluation(_other(data), given.cache)
            _measured(self.component(), other, [batch])
            found = _measured(self.component(), given, [batch])
            wanted = _measured(self.component(), fresh, [batch])
        _require_same(found, wanted, "with a cache filled for other data")

    def test_no_samples_give_no_number(self) -> None:
        """Without rows, `compute` raises UserError or explains the value in the details."""
        with self._evaluation(self.data()) as evaluation:
            try:
                results = _measured(self.component(), evaluation, [])
            except UserError:
                return
        for name, result in results.items():
            require(
                not math.isfinite(result.value) or bool(result.details),
                f"{name} is {result.value} without any row, and its details are empty",
            )

    def test_samples_that_are_not_finite_give_no_finite_number(self) -> None:
        """NaN in a sample raises UserError or makes the result not finite."""
        data = self.data()
        batch = self._sampled(data)
        x = points_of(batch, data).clone()
        x[3].fill_(math.nan)
        with self._evaluation(data) as evaluation:
            plain = _measured(self.component(), evaluation, [batch])
            if not self._reads_samples(plain, evaluation, data):
                skip("it does not read the samples' values")
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
        """Samples of another shape than the data's raise UserError."""
        data = self.data()
        batch = self._sampled(data)
        with self._evaluation(data) as evaluation:
            plain = _measured(self.component(), evaluation, [batch])
            if not self._reads_samples(plain, evaluation, data):
                skip("it does not read the samples' values")
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

    def test_merged_parts_equal_the_whole(self) -> None:
        """`state` can be saved to a file, and `merge` of two halves, in any order, gives the bits
        of a single pass; or both refuse to measure this metric in parts.
        """
        first, second = self._rows(range(0, COUNT, 2)), self._rows(range(1, COUNT, 2))
        with self._evaluation(self.data()) as evaluation:
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

    def _reads_samples(self, plain: Results, evaluation: Evaluation, data: Dataset) -> bool:
        """Return whether a result changes with the values of the samples."""
        other = rows_of(_other(data), "samples", range(COUNT))
        found = _measured(self.component(), evaluation, [other])
        return any(not _close(found[name].value, plain[name].value) for name in plain)


def _other(data: Dataset) -> Dataset:
    """Return the suite's own dataset with less contrast; any other dataset unchanged."""
    less: dict[str, Any] = {"contrast": 0.5} if hasattr(data, "contrast") else {}
    return replace(data, **less)


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
