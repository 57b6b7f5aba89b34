"""Measure a stream of examples, piece by piece.

Processes share the pieces by their place in the stream; the metrics' states of each are written to
disk.  So the numbers are bit-identical for any number of processes and interruptions, and memory
holds one piece at a time and, at the end, the states of one metric.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import final

from fmcore.errors import ComponentError
from fmcore.interfaces.metric import Evaluation, Metric, MetricBatch, Result
from fmcore.interfaces.problem import Status
from fmcore.interfaces.row_metric import RowMetric
from fmcore.runs.distributed import Distributed
from fmcore.runs.partial_metrics import PartialMetrics
from fmcore.runs.progress import Advance, progress
from fmcore.runs.signals import StopRequest, stop_on_signal

__all__ = ["MetricRunner", "Stream"]

Results = dict[str, Result]


@final
@dataclass(frozen=True)
class Stream:
    """Examples by their indices, in `pieces`; `read` returns those of one, always the same."""

    what: str
    pieces: Sequence[range]
    read: Callable[[range], MetricBatch]

    @property
    def count(self) -> int:
        """The number of examples."""
        return sum(map(len, self.pieces))

    def up_to(self, count: int | None) -> Stream:
        """Return the pieces that hold the first `count` examples."""
        if count is None:
            return self
        return Stream(self.what, [p for p in self.pieces if p.start < count], self.read)


@final
@dataclass(frozen=True)
class MetricRunner:
    """Runs metrics over a stream, across processes; `emit` is called with each message."""

    evaluation: Evaluation
    processes: Distributed
    emit: Callable[[str], None]
    quiet: bool = False

    def results(
        self, metrics: Sequence[Metric], stream: Stream, partial: PartialMetrics
    ) -> list[Results]:
        """Return the results of each metric in the main process; [] in the others.

        Raises KeyboardInterrupt on a signal; the states of finished pieces stay in `partial`, from
        which the next call resumes.
        """
        with stop_on_signal() as stop:
            # all metrics see a piece at once: reading, or drawing, it is the expensive part
            parted = [m for m in metrics if self._has_state(m)]
            seen = stream.up_to(_needed(parted))
            if parted:
                self._measure(parted, seen, partial, stop)

            def conclude() -> list[Results]:
                with stop.at_once():
                    return self._conclude(metrics, parted, stream, seen, partial)

            concluded = self.processes.on_main(conclude)
        return concluded if self.processes.is_main else []

    def _has_state(self, metric: Metric) -> bool:
        metric.begin(self.evaluation)
        try:
            metric.state()
        except ComponentError:
            return False
        return True

    def _measure(
        self, metrics: Sequence[Metric], stream: Stream, partial: PartialMetrics, stop: StopRequest
    ) -> None:
        """Measure the pieces that were not measured before; processes take turns."""
        processes = self.processes
        # one process decides what is missing: a network disk may show files of the others late
        processes.on_main(partial.begin)
        missing = processes.on_main(lambda: [p for p in stream.pieces if not partial.is_valid(p)])
        done = stream.count - sum(map(len, missing))
        if done and missing:
            self.emit(f"{stream.what}: resuming from {done} of {stream.count} examples")
        with self._progress(stream, done) as show:
            for first in range(0, len(missing), processes.size):
                turn = missing[first : first + processes.size]
                own = turn[processes.rank : processes.rank + 1]
                processes.on_all(
                    lambda own=own: self._measure_pieces(metrics, stream, partial, own, stop)  # type: ignore[misc]
                )
                # at the same piece in all processes, or some would wait for the others in the next
                if processes.any(bool(stop)):
                    raise KeyboardInterrupt
                done += sum(map(len, turn))
                show(done)

    def _measure_pieces(
        self,
        metrics: Sequence[Metric],
        stream: Stream,
        partial: PartialMetrics,
        pieces: Sequence[range],
        stop: StopRequest,
    ) -> None:
        for piece in pieces:
            with stop.at_once():  # a piece may take minutes, and is measured again on resuming
                batch = stream.read(piece)
                for metric in metrics:
                    metric.begin(self.evaluation)  # the state of this piece alone
                    metric.update(batch)
            partial.write(piece, [metric.state() for metric in metrics], _statuses(batch))

    def _conclude(
        self,
        metrics: Sequence[Metric],
        parted: Sequence[Metric],
        stream: Stream,
        seen: Stream,
        partial: PartialMetrics,
    ) -> list[Results]:
        """Compute one metric after the other, so that one metric's rows are in memory at a time."""
        places = {id(metric): place for place, metric in enumerate(parted)}
        return [
            self._merged(metric, places[id(metric)], seen, partial)
            if id(metric) in places
            else self._in_one_pass(metric, stream)
            for metric in metrics
        ]

    def _merged(
        self, metric: Metric, place: int, stream: Stream, partial: PartialMetrics
    ) -> Results:
        metric.begin(self.evaluation)
        # in the order of the stream, so that sums are rounded the same for any number of processes
        for piece in stream.pieces:
            metric.merge(partial.state(piece, place))
        results = metric.compute()
        metric.begin(self.evaluation)  # frees the rows
        return results

    def _in_one_pass(self, metric: Metric, stream: Stream) -> Results:
        """Measure a metric without states over the whole stream, in this process."""
        name = type(metric).__name__
        self.emit(
            f"{name} cannot be measured in parts: one process measures all {stream.count} "
            "examples for it, from the start after an interruption"
        )
        metric.begin(self.evaluation)
        with self._progress(stream, 0) as show:
            for piece in stream.pieces:
                metric.update(stream.read(piece))
                show(piece.stop, name)
        return metric.compute()

    def _progress(self, stream: Stream, done: int) -> AbstractContextManager[Advance]:
        hidden = self.quiet or not self.processes.is_main
        return progress(stream.what, stream.count, "examples", done, hidden)


def _needed(metrics: Sequence[Metric]) -> int | None:
    """Return how many examples the metrics need; None if one of them needs all."""
    counts = [m.count if isinstance(m, RowMetric) else None for m in metrics]
    return None if None in counts else max((c for c in counts if c is not None), default=None)


def _statuses(batch: MetricBatch) -> dict[str, int]:
    codes: Iterator[int] = iter(() if batch.status is None else batch.status.tolist())
    return dict(Counter(Status(code).name for code in codes))
