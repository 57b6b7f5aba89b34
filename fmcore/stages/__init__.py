"""The stages of a run, each callable from Python: train, sample, evaluate."""

from fmcore.stages.run import Run, evaluate, run, sample

__all__ = ["Run", "evaluate", "run", "sample"]
