"""A step is a function of the state and of (seed, step)."""

import math

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from fmcore import ComponentError, VectorField
from fmcore.recipe.sections import Train
from fmcore.runs.checkpoint import CheckpointFolder
from fmcore.testing.flows import Waits
from fmcore.training.batches import Batches
from fmcore.training.trainer import Trainer
from fmcore_couplings.independent import Independent
from fmcore_data.toy import Toy
from fmcore_objectives.flow_matching import FlowMatching
from fmcore_paths.ot import OTPath


class Small(VectorField):
    def __init__(self, dropout=0.0):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 32), nn.SiLU(), nn.Dropout(dropout), nn.Linear(32, 2))

    def forward(self, x, t, condition=None):
        return self.net(torch.cat([x, t[:, None]], dim=1))


class Scaled(Accelerator):
    """Scales gradients as on a GPU in fp16."""

    mixed_precision = "fp16"


def training(dropout=0.0, scale=None, **options):
    settings = Train(**{"steps": 100, "batch_size": 64, "ema": 0.9, "grad_clip": 1.0} | options)
    batches = Batches(Toy(), OTPath(), Independent(), FlowMatching(), settings.batch_size, 0)
    torch.manual_seed(0)
    accelerator = Accelerator(cpu=True)
    if scale is None:
        return Trainer(Small(dropout), batches, settings, accelerator)
    accelerator = Scaled(cpu=True)
    accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=4)
    made = Trainer(Small(dropout), batches, settings, accelerator)
    accelerator.native_amp = True  # now, so that the network itself stays in float32
    return made


def equal(a, b):
    left, right = a.checkpoint().tensors, b.checkpoint().tensors
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


@pytest.mark.parametrize(
    ("dropout", "scale"),
    [(0.0, None), (0.5, None), (0.0, 1024.0)],
    ids=["plain", "dropout", "scaled"],
)
def test_a_training_that_goes_on_ends_with_the_same_bits(tmp_path, dropout, scale):
    straight = training(dropout, scale)
    for _ in range(12):
        straight.train_step()
    first = training(dropout, scale)
    for _ in range(5):
        first.train_step()
    folder = CheckpointFolder(tmp_path)
    folder.save(first.checkpoint(), keep=1)
    torch.manual_seed(999)  # as other code may draw in between
    second = training(dropout, scale)
    second.resume(folder.latest(), "here")
    for _ in range(7):
        second.train_step()
    assert equal(straight, second)


def test_accumulation_takes_the_same_step_up_to_rounding():
    whole, parts = training(), training(grad_accum=4)
    for _ in range(5):
        whole.train_step()
        parts.train_step()
    for (name, a), b in zip(whole.model.named_parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5, msg=name)


def test_the_first_step_is_adams_first_step_in_closed_form():
    made = training(lr=0.01, grad_clip=None)
    before = {n: p.detach().clone() for n, p in made.model.named_parameters()}
    loss, _ = made.loss(range(64))
    gradients = dict(
        zip(before, torch.autograd.grad(loss, list(made.model.parameters())), strict=True)
    )
    made.train_step()
    for name, parameter in made.model.named_parameters():
        step = 0.01 * gradients[name] / (gradients[name].abs() + 1e-8)
        torch.testing.assert_close(parameter, before[name] - step, rtol=1e-4, atol=1e-6)


def test_a_batch_that_cannot_be_shared_evenly_is_refused():
    with pytest.raises(ComponentError, match=r"multiple of processes x train.grad_accum = 1 x 3"):
        training(grad_accum=3)


def test_a_loss_that_is_not_finite_is_remembered_by_its_step():
    made = training(lr=1e30, grad_clip=None)
    assert made.first_bad_step() is None
    for _ in range(6):
        made.train_step()
    assert 1 <= made.first_bad_step() <= 5


def test_training_beats_the_best_constant_field():
    made = training(lr=1e-2, steps=300)
    for _ in range(200):
        made.train_step()
    made.read_stats()
    targets = []
    for _ in range(100):
        pairs, t = (
            made.batches.pairs(made.step, range(64)),
            made.batches.draws(made.step, range(64))["t"],
        )
        targets.append(made.batches.path.sample(pairs.x0, pairs.x1, t).ut)
        made.train_step()
    constant = torch.cat(targets).var(dim=0).mean()
    assert made.read_stats()["loss"] < 0.8 * constant


def test_a_scaler_leaves_out_steps_that_overflow_and_scales_less():
    made = training(scale=1024.0)
    made.model.net[0].weight.register_hook(lambda g: g * (math.inf if made.step == 0 else 1))
    before = {n: p.detach().clone() for n, p in made.model.named_parameters()}
    made.train_step()
    for name, parameter in made.model.named_parameters():
        assert torch.equal(parameter, before[name])
    assert made.accelerator.scaler.get_scale() == 512
    for _ in range(3):
        made.train_step()
    assert made.first_bad_step() is None
    assert math.isfinite(made.read_stats()["grad_norm"])
    assert not torch.equal(made.model.net[0].weight, before["net.0.weight"])


def test_a_scaled_step_is_the_plain_step():
    plain, scaled = training(), training(scale=1024.0)
    for _ in range(3):
        plain.train_step()
        scaled.train_step()
    for a, b in zip(plain.model.parameters(), scaled.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_a_gradient_that_is_not_finite_is_found_before_its_weights_are_saved():
    made = training()
    made.model.net[0].weight.register_hook(lambda gradient: gradient * float("nan"))
    made.train_step()  # the loss itself is finite
    assert made.first_bad_step() == 0


@pytest.mark.parametrize("options", [{}, {"grad_accum": 2, "ema_power": [0.1]}])
def test_a_step_never_makes_the_host_wait_for_the_device(options, monkeypatch):
    made = training(**options)
    made.train_step()
    drawn = {rows: made.batches.pairs(1, rows) for rows in made._rows}
    draws = {rows: made.batches.draws(1, rows) for rows in made._rows}
    monkeypatch.setattr(Batches, "pairs", lambda self, step, rows: drawn[rows])  # on the host
    monkeypatch.setattr(Batches, "draws", lambda self, step, rows: draws[rows])
    with Waits() as counted:
        made.train_step()
    assert counted.operations > 20
    assert counted.waits == 0
    with Waits() as counted:
        made.read_stats()
    assert counted.waits > 0
