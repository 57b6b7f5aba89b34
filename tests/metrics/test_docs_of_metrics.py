"""The table in docs/metrics.md lists the installed metrics."""

from __future__ import annotations

import re
from pathlib import Path

from fmcore.registry import registry

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")


def test_every_metric_is_in_the_table() -> None:
    table = "\n".join(line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`(\w+)`", table)) == set(registry().names("metric"))
