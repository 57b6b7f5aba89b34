"""Two processes make the same run of speech as one."""

import os
import subprocess
import sys

import pytest
import torch

import fmcore
from fmcore import load_recipe

from .test_speech_runs import options

pytestmark = pytest.mark.slow

TOGETHER = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
# Adam would divide differences of rounding by gradients that are nearly zero
SGD = ("train.optimizer={name: sgd, momentum: 0.9}", "train.lr=1e-2", "evaluate=null")


@pytest.mark.parametrize("objective", ["flow_matching", "mean_flow"])
def test_weights_and_samples_are_those_of_one_process(recordings, tmp_path, objective):
    solver = "flow_map" if objective == "mean_flow" else "euler"
    chosen = (f"objective={{name: {objective}}}", f"sample.solver={{name: {solver}, nfe: 2}}")
    overrides = options(recordings, *SGD, *chosen)
    recipe = load_recipe("speech_quick", overrides)
    alone = fmcore.run(recipe, out=tmp_path / "alone", device="cpu", quiet=True)
    words = ["-m", "fmcore", "run", "speech_quick", *overrides, "--out", str(tmp_path / "both")]
    done = subprocess.run(
        [sys.executable, *TOGETHER, *words, "--device", "cpu"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    both = fmcore.open_run(tmp_path / "both")
    assert both.folder.facts()["processes"] == 2
    wanted, found = (run.folder.checkpoints.latest() for run in (alone, both))
    assert found.step == wanted.step == 4
    for name, tensor in wanted.tensors.items():
        torch.testing.assert_close(found.tensors[name], tensor, rtol=1e-4, atol=1e-6, msg=name)
    torch.testing.assert_close(both.samples(), alone.samples(), rtol=1e-3, atol=1e-4)
