"""The five methods of the paper's Table 1 as values of two recipe keys, and the numbers that the
paper reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

__all__ = ["METHODS", "Method", "Reported", "reported"]


@final
@dataclass(frozen=True)
class Reported:
    """A cell of the paper's Table 1."""

    bits_per_dim: float
    fid: float
    nfe: int


@final
@dataclass(frozen=True)
class Method:
    """A method: its name in the paper, the overrides that select it, and the paper's numbers by
    dataset.
    """

    title: str
    overrides: tuple[str, ...]
    paper: Mapping[str, Reported]


def _method(title: str, path: str, objective: str, *cells: tuple[float, float, int]) -> Method:
    names = ("cifar10", "imagenet32", "imagenet64")
    paper = {name: Reported(*cell) for name, cell in zip(names, cells, strict=True)}
    return Method(title, (f"path={path}", f"objective={objective}"), paper)


METHODS: Mapping[str, Method] = {
    "ddpm": _method("DDPM", "vp", "ddpm", (3.12, 7.48, 274), (3.54, 6.99, 262), (3.32, 17.36, 264)),
    "score_matching": _method(
        "Score matching",
        "vp",
        "score_matching",
        (3.16, 19.94, 242),
        (3.56, 5.68, 178),
        (3.40, 19.74, 441),
    ),
    "scoreflow": _method(
        "ScoreFlow", "vp", "scoreflow", (3.09, 20.78, 428), (3.55, 14.14, 195), (3.36, 24.95, 601)
    ),
    "fm_vp": _method(
        "FM, diffusion path",
        "vp",
        "flow_matching",
        (3.10, 8.06, 183),
        (3.54, 6.37, 193),
        (3.33, 16.88, 187),
    ),
    "fm_ot": _method(
        "FM, OT path",
        "ot",
        "flow_matching",
        (2.99, 6.35, 142),
        (3.53, 5.02, 122),
        (3.31, 14.45, 138),
    ),
}
"""Source: Table 1.  All but the last use the VP path with the paper's beta (App. E.1)."""


def reported(method: Method, data: Mapping[str, Any]) -> Reported | None:
    """Return the paper's numbers if `data`, a recipe's section, is a dataset of the paper."""
    size = data.get("image_size")
    return method.paper.get(f"imagenet{size}" if size else data["name"])
