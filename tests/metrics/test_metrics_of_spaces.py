"""The metrics of tokens, torsions and fragments pass the conformance suite on data of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import nn

from fmcore import Dataset, Evaluation, Field, Rows, Tokens, VectorField, create
from fmcore.registry import registry
from fmcore.testing import MetricSuite, run_suite
from fmcore_molecules.fragment_space import SCALE, product_of
from fmcore_molecules.geometry import atoms_of_torsions, frames_of


@dataclass(frozen=True)
class _Small(Dataset):
    length: int = 48
    contrast: float = 1.0

    @property
    def fingerprint(self):
        return f"{type(self).__name__} {self.length} {self.contrast} {self.split}"

    def rows(self, indices):
        return Rows(0, f"{type(self).__name__} {self.split}", 0, indices)


@dataclass(frozen=True)
class Letters(_Small):
    """Six tokens of 5, more of them 0 with more contrast."""

    shape = (6,)
    space = Tokens(5, mask=True)

    def batch(self, indices):
        chance = self.rows(indices).uniform((6,), torch.float64)
        return {"x1": (5 * chance ** (1 + self.contrast)).floor().long()}


@dataclass(frozen=True)
class Angles(_Small):
    """Two angles around 0, wider with more contrast."""

    shape = (2,)

    @property
    def space(self):
        return create("space", "torus")

    def batch(self, indices):
        return {"x1": 0.8 * self.contrast * self.rows(indices).normal((2,))}


@dataclass(frozen=True)
class Fragments(_Small):
    """Fragments of 5 ideal residues around helices, more varied with more contrast."""

    space = product_of(5)
    shape = (space.size,)

    def batch(self, indices):
        rows = self.rows(indices)
        torsions = torch.tensor([-1.05, -0.8, 3.1]) + 0.3 * self.contrast * rows.normal((5, 3))
        frames, places = frames_of(atoms_of_torsions(torsions))
        places = (places - places.mean(1, keepdim=True)) / SCALE
        letters = (20 * rows.uniform((5,)) ** (1 + self.contrast)).floor()
        parts = {"position": places, "frame": frames, "torsion": torsions, "residue": letters}
        return {"x1": self.space.join(parts)}


class Logits(VectorField):
    """Logits that are a function of all tokens of a row and of the time."""

    def __init__(self) -> None:
        super().__init__()
        self.speed = nn.Parameter(torch.tensor(0.7), requires_grad=False)

    def forward(self, x, t, condition=None):
        own = (x + 0.3 * x.sum(1, keepdim=True)).unsqueeze(-1) * torch.arange(1, 6)
        return (self.speed * own + t[:, None, None]).sin()


def of_tokens(evaluation: Evaluation) -> Evaluation:
    path = create("path", "mixture").on(evaluation.data.space)
    field = Field(Logits(), path, create("objective", "cross_entropy"))
    return replace(evaluation, path=path, field=field)


CASES: dict[str, tuple[dict[str, Any], type[Dataset], Callable[[Evaluation], Evaluation]]] = {
    "token_bound": ({"times": 4}, Letters, of_tokens),
    "ngram_validity": ({"n": 2}, Letters, lambda e: e),
    "torsion_jsd": ({}, Angles, lambda e: e),
    "structure": ({}, Fragments, lambda e: e),
}


def test_every_metric_of_spaces_and_molecules_has_a_case():
    plugins = ("fmcore_spaces", "fmcore_molecules")
    names = {e.name for e in registry().entries("metric") if e.plugin in plugins}
    assert names == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_conforms(name: str) -> None:
    options, kind, changed = CASES[name]

    class Suite(MetricSuite):
        def component(self) -> Any:
            return create("metric", name, **options)

        def data(self) -> Any:
            return kind()

        def evaluation(self, data: Any, cache: Any) -> Any:
            found = super().evaluation(data, cache)
            return changed(found) if isinstance(data, kind) else found

    results = run_suite(Suite)
    failed = [f"{r.name}: {r.message}" for r in results if not r.passed]
    assert not failed, "\n".join(failed)
    assert sum(not r.skipped for r in results) >= 12
