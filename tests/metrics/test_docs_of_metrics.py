"""docs/metrics.md: its table names what is installed, and its code runs and fails as it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from fmcore.plugins import registry
from fmcore.testing import run_suite

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")


def test_every_metric_is_in_the_table() -> None:
    table = "\n".join(line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`(\w+)`", table)) == set(registry().names("metric"))


def test_the_example_runs_and_the_suite_tells_what_it_lacks() -> None:
    scope: dict[str, Any] = {"__name__": "example"}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(block, "docs/metrics.md", "exec", dont_inherit=True), scope)
    failed = {r.name for r in run_suite(scope["TestSpread"]) if not r.passed}
    assert failed == {
        "test_no_row_is_no_number",
        "test_samples_of_another_shape_are_refused",
    }
