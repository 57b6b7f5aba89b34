"""The program of two processes in `test_processes.py`, started by torchrun.

Arguments: the recipe's file, and the overrides as JSON.
"""

import json
import os
import signal
import sys
from pathlib import Path

import fmcore
from fmcore import FmcoreError
from fmcore.training.trainer import Trainer

RANK = int(os.environ["RANK"])
UNMEASURED, SHARDED, FLOW_MAP, TAUGHT = json.loads(sys.argv[2])


def attempt(**options) -> dict:
    try:
        made = fmcore.run(sys.argv[1], device="cpu", quiet=True, **options)
    except FmcoreError as error:
        return {"error": type(error).__name__, "message": str(error)}
    return {"error": None, "folder": str(made.folder.root)}


def stopped_in_the_other_process(step: int, **options) -> dict:
    advance = Trainer.train_step

    def stopping(self):
        advance(self)
        if RANK == 1 and self.step == step:
            os.kill(os.getpid(), signal.SIGTERM)

    Trainer.train_step = stopping
    outcome = attempt(**options)
    Trainer.train_step = advance
    return outcome


def not_finite_in_the_other_process_at_step_3() -> dict:
    loss = Trainer.loss

    def broken(self, rows):
        total, means = loss(self, rows)
        return total * (float("nan") if RANK == 1 and self.step == 3 else 1), means

    Trainer.loss = broken
    outcome = attempt(out="bad")
    Trainer.loss = loss
    return outcome


NETWORK = (
    "data={name: digits}",
    "model={name: unet, channels: 8, depth: 1, channel_mult: [1, 2], recompute: true}",
    "train={steps: 2, batch_size: 16, grad_accum: 2, lr: 1e-2, fsdp: true}",
    *UNMEASURED,
)


def part_of_the_network_held() -> float:
    """Return the share of weights and averages that this process holds in a sharded training."""
    begin = Trainer.__init__
    held = []

    def measured(self, *arguments):
        begin(self, *arguments)
        whole = sum(p.numel() for p in self.model.parameters())
        own = sum(p.to_local().numel() for p in self.model.parameters())
        averaged = sum(a.numel() for a in self.averages["ema"]._parts)
        held.append((own + averaged) / (2 * whole))

    Trainer.__init__ = measured
    attempt(out="held", overrides=(*UNMEASURED, "train.fsdp=true", "train.steps=1"))
    Trainer.__init__ = begin
    return held[0]


outcomes = {"stopped": stopped_in_the_other_process(17)}
(begun,) = (p.parent for p in Path("runs").glob("*/*/recipe.yaml"))
outcomes["finished"] = attempt(out=begun)
outcomes["other recipe"] = attempt(out=begun, overrides=("seed=4",))
outcomes["not finite"] = not_finite_in_the_other_process_at_step_3()
outcomes["sharded"] = attempt(out="sharded", overrides=SHARDED)
outcomes["sharded network"] = attempt(out="network", overrides=NETWORK)
outcomes["flow map"] = attempt(out="flow-map", overrides=FLOW_MAP)
outcomes["flow map stopped"] = stopped_in_the_other_process(
    5, out="flow-map-resumed", overrides=FLOW_MAP
)
outcomes["flow map resumed"] = attempt(out="flow-map-resumed", overrides=FLOW_MAP)
outcomes["taught"] = attempt(out="taught", overrides=TAUGHT)
outcomes["taught stopped"] = stopped_in_the_other_process(5, out="taught-resumed", overrides=TAUGHT)
outcomes["taught resumed"] = attempt(out="taught-resumed", overrides=TAUGHT)
outcomes["held"] = part_of_the_network_held()
Path(f"outcomes-{RANK}.json").write_text(json.dumps(outcomes))
