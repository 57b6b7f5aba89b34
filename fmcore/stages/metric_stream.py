"""Put a stream of examples through metrics, piece by piece, and let each piece be forgotten.

Pieces are shared out among the processes by their place in the stream; what the metrics keep of
each goes to disk.  So the numbers have the same bits however many processes there are and however
often they were stopped, and memory holds one piece, and in the end what one metric kept of all.
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
from fmcore.runs.distributed import Team
from fmcore.runs.partial_metrics import Tallies
from fmcore.runs.progress import Advance, progress
from fmcore.runs.signals import stop_on_signal

__all__ = ["Measuring", "Stream"]

Results = dict[str, Result]


@final
@dataclass(frozen=True)
class Stream:
    """Examples by their indices, in `pieces`; `read` gives those of one, always the same."""

    what: str
    pieces: Sequence[range]
    read: Callable[[range], MetricBatch]

    @property
    def count(self) -> int:
        """How many examples there are."""
        return sum(map(len, self.pieces))

    def up_to(self, count: int | None) -> Stream:
        """The pieces that hold the first `count` examples."""
        if count is None:
            return self
        return Stream(self.what, [p for p in self.pieces if p.start < count], self.read)


@final
@dataclass(frozen=True)
class Measuring:
    """How streams are measured: by whom, with what in view, and who hears of it."""

    evaluation: Evaluation
    team: Team
    say: Callable[[str], None]
    quiet: bool = False

    def results(self, metrics: Sequence[Metric], stream: Stream, tallies: Tallies) -> list[Results]:
        """What each metric found in `stream`, in the leading process; nothing in the others.

        Raises KeyboardInterrupt on a signal, after finishing a piece; what was measured is kept in
        `tallies`, from which the next call goes on.
        """
        parted = [m for m in metrics if self._goes_in_parts(m)]
        seen = stream.up_to(_needed(parted))
        if parted:
            self._tally(parted, seen, tallies)
        concluded = self.team.first(lambda: self._conclude(metrics, parted, stream, seen, tallies))
        return concluded if self.team.leads else []

    def _goes_in_parts(self, metric: Metric) -> bool:
        metric.begin(self.evaluation)
        try:
            metric.state()
        except ComponentError:
            return False
        return True

    def _tally(self, metrics: Sequence[Metric], stream: Stream, tallies: Tallies) -> None:
        """Let the processes take turns at the pieces that were not measured before."""
        team = self.team
        team.first(tallies.begin)
        missing = team.first(lambda: [p for p in stream.pieces if not tallies.whole(p)])
        done = stream.count - sum(map(len, missing))
        if done and missing:
            self.say(f"{stream.what}: going on from {done} of {stream.count} examples")
        with (
            stop_on_signal() as stop,
            self._progress(stream, done) as show,
        ):
            for first in range(0, len(missing), team.size):
                turn = missing[first : first + team.size]
                team.each(lambda turn=turn: self._take(metrics, stream, tallies, turn))  # type: ignore[misc]
                done += sum(map(len, turn))
                show(done)
                if team.any(bool(stop)) and done < stream.count:
                    raise KeyboardInterrupt

    def _take(
        self, metrics: Sequence[Metric], stream: Stream, tallies: Tallies, turn: Sequence[range]
    ) -> None:
        """This process's piece of a turn, if there is one."""
        for piece in turn[self.team.rank : self.team.rank + 1]:
            batch = stream.read(piece)
            for metric in metrics:
                metric.begin(self.evaluation)
                metric.update(batch)
            tallies.write(piece, [metric.state() for metric in metrics], _ended(batch))

    def _conclude(
        self,
        metrics: Sequence[Metric],
        parted: Sequence[Metric],
        stream: Stream,
        seen: Stream,
        tallies: Tallies,
    ) -> list[Results]:
        """One metric after the other, so that what they kept is never in memory together."""
        places = {id(metric): place for place, metric in enumerate(parted)}
        return [
            self._merged(metric, places[id(metric)], seen, tallies)
            if id(metric) in places
            else self._at_once(metric, stream)
            for metric in metrics
        ]

    def _merged(self, metric: Metric, place: int, stream: Stream, tallies: Tallies) -> Results:
        metric.begin(self.evaluation)
        for piece in stream.pieces:
            metric.merge(tallies.state(piece, place))
        results = metric.compute()
        metric.begin(self.evaluation)  # lets go of the rows
        return results

    def _at_once(self, metric: Metric, stream: Stream) -> Results:
        """A metric that cannot be measured in parts goes through the whole stream alone."""
        name = type(metric).__name__
        self.say(
            f"{name} cannot be measured in parts: one process goes through all "
            f"{stream.count} examples for it, from the beginning after an interruption"
        )
        metric.begin(self.evaluation)
        with stop_on_signal() as stop, self._progress(stream, 0) as show:
            for piece in stream.pieces:
                if stop:
                    raise KeyboardInterrupt
                metric.update(stream.read(piece))
                show(piece.stop, name)
        return metric.compute()

    def _progress(self, stream: Stream, done: int) -> AbstractContextManager[Advance]:
        quiet = self.quiet or not self.team.leads
        return progress(stream.what, stream.count, "examples", done, quiet)


def _needed(metrics: Sequence[Metric]) -> int | None:
    """How many examples the metrics look at; None if one of them looks at all."""
    counts = [m.count if isinstance(m, RowMetric) else None for m in metrics]
    return None if None in counts else max((c for c in counts if c is not None), default=None)


def _ended(batch: MetricBatch) -> dict[str, int]:
    codes: Iterator[int] = iter(() if batch.status is None else batch.status.tolist())
    return dict(Counter(Status(code).name for code in codes))
