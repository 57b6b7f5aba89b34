"""Optimizers without torch's decorators: the same steps, hooks, and no import of the compiler."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from fmcore_training.eager import EagerAdam, EagerAdamW, EagerSGD

PAIRS = [
    (EagerAdam, torch.optim.Adam, {"betas": (0.8, 0.9)}),
    (EagerAdamW, torch.optim.AdamW, {"weight_decay": 0.3, "fused": True}),
    (EagerSGD, torch.optim.SGD, {"momentum": 0.5, "nesterov": True}),
]

SHORT = """
import sys, torch
before = set(sys.modules)
import fmcore.stages
for name in ("illustrate_training", "write_report"):  # pictures take most of the time
    setattr(sys.modules["fmcore.stages.run"], name, lambda *_: None)
fmcore.run(sys.argv[1], out=sys.argv[2], device="cpu", quiet=True)
print(sorted({"sympy", "torch._dynamo", "torch._inductor"} & (set(sys.modules) - before)))
"""


def weight():
    return nn.Parameter(torch.linspace(-1, 1, 6, dtype=torch.float64))


@pytest.mark.parametrize(("eager", "plain", "options"), PAIRS, ids=["adam", "adamw", "sgd"])
def test_an_eager_optimizer_takes_torchs_steps(eager, plain, options):
    ours, theirs = weight(), weight()
    mine, other = eager([ours], lr=0.1, **options), plain([theirs], lr=0.1, **options)
    for _ in range(3):
        for parameter, optimizer in ((ours, mine), (theirs, other)):
            (parameter**2).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
            assert parameter.grad is None
    assert not torch.equal(ours, weight())
    torch.testing.assert_close(ours, theirs, rtol=1e-14, atol=0)
    assert mine.state_dict()["param_groups"] == other.state_dict()["param_groups"]


def test_hooks_run_once_a_step_and_a_closure_has_gradients():
    parameter, called = weight(), []
    optimizer = EagerSGD([parameter], lr=0.5)
    optimizer.register_step_post_hook(lambda *_: called.append(torch.is_grad_enabled()))

    def loss():
        optimizer.zero_grad()
        value = (parameter**2).sum()
        value.backward()
        return value.detach()

    assert float(optimizer.step(loss)) == pytest.approx(2.8)
    assert called == [True]  # the step itself runs without; the caller's mode is restored
    assert torch.equal(parameter, torch.zeros_like(parameter))  # w - 0.5 * 2 w


def test_a_group_added_later_is_stepped_and_a_repeated_parameter_refused():
    first, second = weight(), weight()
    optimizer = EagerAdam([first], lr=0.1)
    optimizer.add_param_group({"params": [second], "lr": 1.0})
    second.grad = torch.ones_like(second)
    optimizer.step()
    torch.testing.assert_close(second, weight() - 1.0, rtol=0, atol=1e-7)  # Adam's first step
    with pytest.raises(ValueError, match="more than one"):
        optimizer.add_param_group({"params": [first]})


def test_a_small_training_imports_no_compiler(tmp_path):
    recipe = tmp_path / "small.yaml"
    recipe.write_text(
        "data: {name: toy, figure: checkerboard}\npath: ot\n"
        "model: {name: mlp, width: 8, depth: 1}\ntrain: {steps: 1, batch_size: 8}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", SHORT, recipe, tmp_path / "run"], capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stderr
