"""Segments of a plan that a recorded step can repeat: shape and numbers apart.

A segment goes from the first call of a step to the first call of the next, so that the sums of both
steps are fused.  Segments of the same shape differ only in weights and times, which a recorded step
reads from its row of a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from fmcore.solving.backends.fusion import FusedSum, Item, fused_items, mask_of, outs_of, reads_of
from fmcore.solving.fixed.plan import START, Call, Noise, Plan

__all__ = ["Segment", "Shape", "Work", "segments_of"]


class Work(NamedTuple):
    """One item over the places of a segment: a call where `outs` is 0, else a sum with that many
    results.  Its results take the next places.
    """

    reads: tuple[int, ...]
    outs: int
    mask: int


class Shape(NamedTuple):
    """A segment without its numbers: its `entering` registers take the first places, its draws the
    next.

    The registers at the places `leaving` enter the next segment, in this order.
    """

    entering: int
    draws: int
    work: tuple[Work, ...]
    leaving: tuple[int, ...]


class Segment(NamedTuple):
    """A segment of a plan: its shape, its draws, the plan's registers that leave it, and its
    numbers: `weights` in the order of the work, and `calls` calls from number `first_call`.
    """

    shape: Shape
    draws: tuple[int, ...]
    leaving: tuple[int, ...]
    weights: tuple[float, ...]
    first_call: int
    calls: int


@lru_cache(maxsize=64)
def segments_of(plan: Plan) -> tuple[Segment, ...]:
    """Return the plan's segments, in order; none for a plan without rows."""
    groups = _groups(plan)
    entering: tuple[int, ...] = (START,)
    segments: list[Segment] = []
    calls = 0
    for number, group in enumerate(groups):
        # Only what a later segment reads is copied out of the graph's memory.
        later = {r for items in groups[number + 1 :] for item in items for r in reads_of(item)}
        segments.append(_segment(group, entering, later | set(plan.outputs), calls))
        entering = segments[-1].leaving
        calls += segments[-1].calls
    return tuple(segments)


def _groups(plan: Plan) -> list[list[Item]]:
    """Return the plan's items, split before the first call of each step after the first."""
    rows = {row.out: index for index, row in enumerate(plan.rows)}
    ends = list(plan.ends[:-1])
    groups: list[list[Item]] = [[]] if plan.rows else []
    for item in fused_items(plan):
        begins = False
        while isinstance(item, Call) and ends and rows[item.out] >= ends[0]:
            begins = bool(ends.pop(0))
        # A group without a call would be a graph that only adds: it joins the next one.
        if begins and any(isinstance(before, Call) for before in groups[-1]):
            groups.append([])
        groups[-1].append(item)
    return groups


def _segment(
    items: Sequence[Item], entering: tuple[int, ...], later: set[int], first_call: int
) -> Segment:
    drawn = [item for item in items if isinstance(item, Noise)]
    work = [item for item in items if not isinstance(item, Noise)]
    order = [*entering, *(noise.out for noise in drawn), *(r for i in work for r in outs_of(i))]
    place = {register: number for number, register in enumerate(order)}
    leaving = tuple(register for register in order if register in later)
    shape = Shape(
        entering=len(entering),
        draws=len(drawn),
        work=tuple(_work(item, place) for item in work),
        leaving=tuple(place[register] for register in leaving),
    )
    sums = [item for item in work if isinstance(item, FusedSum)]
    return Segment(
        shape=shape,
        draws=tuple(noise.draw for noise in drawn),
        leaving=leaving,
        weights=tuple(weight for each in sums for weight in each.flat),
        first_call=first_call,
        calls=len(work) - len(sums),
    )


def _work(item: Item, place: dict[int, int]) -> Work:
    reads = tuple(place[register] for register in reads_of(item))
    if isinstance(item, FusedSum):
        return Work(reads, len(item.outs), mask_of(item))
    return Work(reads, 0, 0)
