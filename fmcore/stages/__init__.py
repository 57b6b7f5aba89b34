"""The stages of a run, each callable from Python, and a forecast of them."""

from fmcore.stages.dry_run import Forecast, dry_run
from fmcore.stages.opened_run import Run, open_run
from fmcore.stages.run import evaluate, pairs, run, sample, sample_file

__all__ = [
    "Forecast",
    "Run",
    "dry_run",
    "evaluate",
    "open_run",
    "pairs",
    "run",
    "sample",
    "sample_file",
]
