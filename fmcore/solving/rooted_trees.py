"""Rooted trees and the order conditions of Runge-Kutta methods.

A tree is the sorted tuple of its root's subtrees; the single node is `()`.  A method (a, b) has
order p if sum_i b_i phi_i(tree) = 1 / gamma(tree) for every tree of at most p nodes. Source:
Butcher; Hairer, Norsett, Wanner I, section II.2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

__all__ = ["Tree", "gamma", "phi", "size", "trees"]

Tree = tuple[Any, ...]


@lru_cache(maxsize=16)
def trees(order: int) -> tuple[Tree, ...]:
    """Return all rooted trees of `order` nodes: 1, 1, 2, 4, 9, 20, 48, 115, ...

    >>> [len(trees(n)) for n in range(1, 7)]
    [1, 1, 2, 4, 9, 20]
    """
    # A tree of n nodes is a root with a forest of n - 1; sorted, equal trees are equal tuples.
    return tuple(sorted(set(_forests(order - 1, order - 1))))


@lru_cache(maxsize=256)
def size(tree: Tree) -> int:
    """Return the number of nodes."""
    return 1 + sum(map(size, tree))


@lru_cache(maxsize=256)
def gamma(tree: Tree) -> int:
    """Return the density: the product of the sizes of all subtrees.

    >>> gamma(((), ((),)))
    8
    """
    return size(tree) * math.prod(map(gamma, tree))


def phi(tree: Tree, a: Sequence[Sequence[Any]]) -> list[Any]:
    """Return the elementary weight of `tree` at each stage, in the arithmetic of `a`, the rows of
    the lower triangle.
    """
    weights: list[Any] = [1] * len(a)
    for subtree in tree:
        inner = phi(subtree, a)
        for stage, row in enumerate(a):
            weights[stage] *= sum((x * y for x, y in zip(row, inner, strict=False)), 0)
    return weights


def _forests(nodes: int, largest: int) -> Iterator[Tree]:
    """Yield sorted tuples of trees with `nodes` nodes in total, none with more than `largest`."""
    if nodes == 0:
        yield ()
        return
    for first in range(min(nodes, largest), 0, -1):
        for tree in trees(first):
            for rest in _forests(nodes - first, first):
                yield tuple(sorted((tree, *rest)))
