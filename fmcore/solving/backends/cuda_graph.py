"""The CUDA graph backend: one launch from the host for a whole step, including the network.

A CUDA graph repeats the same operations at the same addresses.  So the registers that one step
leaves for the next have fixed memory, and weights and times come from a table on the device, from
the row that a counter on the device selects.  One graph then serves all steps of one shape, for
every grid and budget.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from fmcore.errors import ComponentError
from fmcore.interfaces.problem import Problem, Solution
from fmcore.interfaces.source import Condition
from fmcore.solving.backends.eager import solution_of
from fmcore.solving.backends.field_state import Counters, addresses, recognizer
from fmcore.solving.backends.fused import on_device_of, velocity_at
from fmcore.solving.backends.kernels import Kernel, Unavailable
from fmcore.solving.backends.segments import Segment, Shape, segments_of
from fmcore.solving.evaluation import device_tensor, state_of
from fmcore.solving.fixed.noise import Diffusion
from fmcore.solving.fixed.plan import Plan
from fmcore.solving.interval import rounded_inside

__all__ = ["GraphedSteps", "Recorder", "cuda_graphs"]

WARM_UPS = 3
"""Runs of a step before it is recorded, in which libraries select algorithms and allocate
workspaces; the number in torch's documentation of CUDA graphs."""

MAX_SHAPES = 4
"""Problem shapes whose graphs are kept at a time: full batches and a smaller last batch, each with
and without a condition."""

MIN_TABLE_ROWS = 64
"""Rows of a new table; a plan of more steps needs a new table, and its steps are recorded again."""

Recorder = Callable[[Callable[[], None]], Callable[[], None]]
"""Records a function, which it may run before, and returns a function that repeats it."""


class Recorded(NamedTuple):
    """A recorded step: `replay` runs it with the numbers in row `row` of `table`, and adds 1 to
    `row`.  `counted` is what one run adds to the field's counters.
    """

    replay: Callable[[], None]
    table: Tensor
    row: Tensor
    counted: tuple[int, ...]


def cuda_graphs() -> Recorder:
    """Return a recorder of CUDA graphs with a common memory pool: no graph keeps values in it."""
    pool = torch.cuda.graph_pool_handle()

    def record(step: Callable[[], None]) -> Callable[[], None]:
        graph, aside = torch.cuda.CUDAGraph(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
        current = torch.cuda.current_stream()
        aside.wait_stream(current)
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                step()
        current.wait_stream(aside)
        try:
            # With "global", an allocation in another thread would end the recording.
            with torch.cuda.graph(graph, pool, aside, capture_error_mode="thread_local"):
                step()
        except RuntimeError as error:  # a wait for the device, or an operation no graph can hold
            raise Unavailable(_first_line(error.__context__ or error)) from error
        finally:
            torch.cuda.set_stream(
                current
            )  # after a failed recording, torch's own stream is current
        replay: Callable[[], None] = graph.replay
        return replay

    return record


@final
class GraphedSteps:
    """Runs plans with `field`, recording each shape of step once for each shape of the problem.

    `kernel` computes the sums of registers; `recorder` is called once for each shape of the
    problem.  Keep the object as long as the field is used: it holds the graphs.  It computes
    neither divergences nor gradients.
    """

    def __init__(
        self, field: Any, kernel: Kernel, recorder: Callable[[], Recorder] = cuda_graphs
    ) -> None:
        self._made_for, self._kernel, self._recorder = recognizer(field), kernel, recorder
        self._buffers: OrderedDict[Any, _Buffers] = OrderedDict()
        self._addresses: tuple[Any, ...] = ()

    def execute(
        self, plan: Plan, problem: Problem, asked: int | None = None, **extra: Any
    ) -> Solution:
        """Solve `problem` by the segments of `plan`; `extra` is added to the solution's stats.

        Raises Unavailable where a step cannot be recorded, and ComponentError for a problem with
        another field.
        """
        if not self._made_for(problem.field):
            raise ComponentError("these steps were recorded for another field: make new ones")
        x0, segments = state_of(problem), segments_of(plan)
        counters, forwards = Counters(problem.field), getattr(problem.field, "forwards", 0)
        with torch.inference_mode(False), torch.no_grad(), on_device_of(x0):
            buffers = self._buffers_for(x0, problem)
            before = counters.read()
            for shape, rows in _rows(plan, x0.dtype, x0.device).items():
                buffers.prepare(shape, rows, problem.field, counters)
            buffers.fill(x0, problem.condition)  # after the runs before a recording, which write
            noise = Diffusion(problem, x0) if plan.draws else None
            for segment in segments:
                buffers.run(segment, noise)
            counters.write(before)
            for segment in segments:
                counters.add(buffers.recorded[segment.shape].counted)
            last = segments[-1].leaving if segments else ()
            outputs = [buffers.slots[last.index(r)].clone() if last else x0 for r in plan.outputs]
        return solution_of(
            plan,
            problem,
            outputs,
            forwards=getattr(problem.field, "forwards", 0) - forwards,
            asked=asked,
            extra=extra,
        )

    @property
    def recorded(self) -> int:
        """The number of graphs that are kept."""
        return sum(len(buffers.recorded) for buffers in self._buffers.values())

    def _buffers_for(self, x0: Tensor, problem: Problem) -> _Buffers:
        """Return the buffers for problems of this shape; drop all if the weights have moved."""
        now = addresses(problem.field)
        # A graph reads weights at recorded addresses, also after they were freed.
        if now != self._addresses:
            self._buffers.clear()
            self._addresses = now
        # Strides too: a graph recorded for channels_last memory reads in that order.
        key = (_layout(x0), *((name, _layout(v)) for name, v in (problem.condition or {}).items()))
        if key not in self._buffers:
            self._buffers[key] = _Buffers(x0, problem.condition, self._kernel, self._recorder())
        self._buffers.move_to_end(key)
        # Each shape holds the activations of the network in its memory pool.
        while len(self._buffers) > MAX_SHAPES:
            self._buffers.popitem(last=False)
        return self._buffers[key]


@final
class _Buffers:
    """Memory at fixed addresses for problems of one shape, and the steps recorded over it.

    `slots` are the registers between steps, in the order of `Segment.leaving`.
    """

    def __init__(
        self, x0: Tensor, condition: Condition | None, kernel: Kernel, record: Recorder
    ) -> None:
        self.slots = [torch.empty_like(x0).copy_(x0)]
        self.draws: list[Tensor] = []
        self.condition = condition and {name: v.clone() for name, v in condition.items()}
        self.recorded: dict[Shape, Recorded] = {}
        self._kernel, self._record = kernel, record

    def fill(self, x0: Tensor, condition: Condition | None) -> None:
        """Copy the start of a solve into the buffers."""
        self.slots[0].copy_(x0)
        for name, value in (condition or {}).items():
            _present(self.condition)[name].copy_(value)

    def prepare(self, shape: Shape, rows: Tensor, field: Any, counters: Counters) -> None:
        """Record a step of this shape if there is none, and set its table to these `rows`."""
        recorded = self.recorded.get(shape)
        if recorded is None or len(recorded.table) < len(rows):
            recorded = self.recorded[shape] = self._new(shape, rows, field, counters)
        recorded.table[: len(rows)].copy_(rows)
        # The counter on the device continues across solves unless it is reset.
        recorded.row.zero_()

    def run(self, segment: Segment, noise: Diffusion | None) -> None:
        """Run the next step, after copying its draws into their buffers."""
        if noise is not None:
            for place, draw in zip(self.draws, segment.draws, strict=False):
                place.copy_(noise(draw), non_blocking=True)
        self.recorded[segment.shape].replay()

    def _new(self, shape: Shape, rows: Tensor, field: Any, counters: Counters) -> Recorded:
        like = self.slots[0]
        while len(self.slots) < max(shape.entering, len(shape.leaving)):
            self.slots.append(like.clone())
        while len(self.draws) < shape.draws:
            self.draws.append(torch.zeros_like(like))
        capacity = max(MIN_TABLE_ROWS, 1 << (len(rows) - 1).bit_length())
        # Runs before the recording read rows 0 to WARM_UPS, which need times inside the interval.
        table = rows[:1].repeat(capacity, 1)
        row = torch.zeros(1, dtype=torch.int64, device=like.device)
        counted: tuple[int, ...] = ()

        def step() -> None:
            nonlocal counted
            before = counters.read()
            self._step(shape, table, row, field)
            counted = tuple(b - a for a, b in zip(before, counters.read(), strict=True))

        return Recorded(self._record(step), table, row, counted)

    def _step(self, shape: Shape, table: Tensor, row: Tensor, field: Any) -> None:
        """Run one step: the function that is recorded."""
        # Indexed by a tensor: a Python index would be fixed in the recording.
        numbers = table.index_select(0, row).squeeze(0)
        weights = sum(work.outs * len(work.reads) for work in shape.work)
        times = iter(numbers[weights:].unsqueeze(1).expand(-1, len(self.slots[0])).unbind())
        values = [*self.slots[: shape.entering], *self.draws[: shape.draws]]
        offset = 0
        for reads, outs, mask in shape.work:
            if not outs:
                values.append(velocity_at(self._bound(field), values[reads[0]], next(times)))
                continue
            made = [torch.empty_like(self.slots[0]) for _ in range(outs)]
            self._kernel(made, [values[r] for r in reads], numbers, offset, mask)
            values += made
            offset += outs * len(reads)
        self._store(values, shape)
        row.add_(1)

    def _store(self, values: Sequence[Tensor], shape: Shape) -> None:
        """Copy the leaving registers into their slots; one that is in a slot is cloned first, since
        another copy may overwrite it.
        """
        entered = range(shape.entering)
        moves = [(to, at) for to, at in enumerate(shape.leaving) if to != at or at not in entered]
        if moves:
            # One launch for all copies.
            torch._foreach_copy_(
                [self.slots[to] for to, _ in moves],
                [values[at].clone() if at in entered else values[at] for _, at in moves],
            )

    def _bound(self, field: Any) -> Callable[[Tensor, Tensor], Tensor]:
        condition = self.condition
        return field if condition is None else lambda x, t: field(x, t, condition)


@lru_cache(maxsize=64)
def _rows(plan: Plan, dtype: torch.dtype, device: torch.device) -> dict[Shape, Tensor]:
    """Return the numbers of the steps of each shape, one row a step: its weights, then its
    times.
    """
    low, high = min(plan.grid), max(plan.grid)
    times = rounded_inside([call.t for call in plan.calls], low, high, dtype).tolist()
    rows: dict[Shape, list[list[float]]] = {}
    for segment in segments_of(plan):
        own = times[segment.first_call : segment.first_call + segment.calls]
        rows.setdefault(segment.shape, []).append([*segment.weights, *own])
    return {shape: device_tensor(values, dtype, device) for shape, values in rows.items()}


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]


def _layout(value: Tensor) -> tuple[Any, ...]:
    return value.shape, value.stride(), value.dtype, value.device


def _present(condition: Mapping[str, Tensor] | None) -> Mapping[str, Tensor]:
    if condition is None:
        raise RuntimeError("these buffers were made for problems without a condition")
    return condition
