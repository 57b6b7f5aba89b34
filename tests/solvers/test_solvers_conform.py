"""Every registered solver passes every check of the solver suite that applies to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fmcore import create
from fmcore.registry import registry
from fmcore.testing import SolverSuite

BUDGETS = ({"nfe": 24}, {"rtol": 1e-5, "atol": 1e-5})
VARIANTS = [
    ("unipc", {"nfe": 24, "p": 3}),
    ("unipc", {"nfe": 24, "variant": "bh1"}),
    ("unipc", {"nfe": 24, "corrector": False}),
    ("dopri5", {"step_control": "batch_max"}),
    ("dopri5", {"step_control": "batch_rms"}),
    ("dopri5", {"max_active": 2}),
    ("tsit5", {"sync_every": 3, "compact_finished": False}),
]


def cases() -> Iterator[tuple[str, dict[str, object]]]:
    for name in registry().names("solver"):
        loaded = registry().entry("solver", name).load()
        # flow maps, restorations and leaps follow no velocity, and have suites of their own
        if "/" not in name and not (loaded.jumps or loaded.restores or loaded.leaps):
            yield name, {"nfe": 24} if takes_budget(name) else {}
    yield from VARIANTS


def takes_budget(name: str) -> bool:
    return hasattr(registry().entry("solver", name).load(), "nfe_per_step")


@pytest.fixture(
    params=list(cases()), ids=lambda case: "-".join([case[0], *map(str, case[1].values())])
)
def case(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    return request.param


class TestRegisteredSolvers(SolverSuite):
    @pytest.fixture(autouse=True)
    def _case(self, case: tuple[str, dict[str, object]]) -> None:
        self.name, self.options = case

    def component(self) -> object:
        return create("solver", self.name, **self.options)
