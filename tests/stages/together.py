"""What two processes do in `test_processes.py`: started by torchrun, with the recipe's file."""

import json
import os
import signal
import sys
from pathlib import Path

import fmcore
from fmcore import FmcoreError
from fmcore.training.training import Training

RANK = int(os.environ["RANK"])


def attempt(**options) -> dict:
    try:
        made = fmcore.run(sys.argv[1], device="cpu", quiet=True, **options)
    except FmcoreError as error:
        return {"error": type(error).__name__, "said": str(error)}
    return {"error": None, "folder": str(made.folder.root)}


def stopped_in_the_other_process_at_step_17() -> dict:
    advance = Training.advance

    def stopping(self):
        advance(self)
        if RANK == 1 and self.step == 17:
            os.kill(os.getpid(), signal.SIGTERM)

    Training.advance = stopping
    said = attempt()
    Training.advance = advance
    return said


def not_finite_in_the_other_process_at_step_3() -> dict:
    loss = Training.loss
    Training.loss = lambda self, rows: (
        loss(self, rows) * (float("nan") if RANK == 1 and self.step == 3 else 1)
    )
    said = attempt(out="bad")
    Training.loss = loss
    return said


outcomes = {"stopped": stopped_in_the_other_process_at_step_17()}
(begun,) = (p.parent for p in Path("runs").glob("*/*/recipe.yaml"))
outcomes["finished"] = attempt(out=begun)
outcomes["other recipe"] = attempt(out=begun, overrides=("seed=4",))
outcomes["not finite"] = not_finite_in_the_other_process_at_step_3()
Path(f"outcomes-{RANK}.json").write_text(json.dumps(outcomes))
