"""One of two processes in `test_lost_process.py`: trains, until one of them stops responding.

Arguments: the recipe's file, the run folder, and what process 1 does at step 3.
"""

import os
import signal
import sys

import fmcore
from fmcore.cli.outcome import exit_code_of
from fmcore.training.trainer import Trainer

recipe, out, harm = sys.argv[1:]
train_step = Trainer.train_step


def harmed(self):
    if os.environ["RANK"] == "1" and self.step == 3:
        os.kill(os.getpid(), {"dies": signal.SIGKILL, "hangs": signal.SIGSTOP}[harm])
    train_step(self)


Trainer.train_step = harmed
sys.exit(exit_code_of(lambda: fmcore.run(recipe, out=out, device="cpu", quiet=True)))
