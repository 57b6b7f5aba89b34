"""Callbacks measure a training and leave it as it is."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
import torch

import fmcore
from fmcore import Callback, ComponentError, create
from fmcore.recipe.sections import Train
from fmcore.registry import registry
from fmcore.testing import CallbackSuite, run_suite
from fmcore.training.checks import check_training
from fmcore_nets.mlp import MLP
from tests.training.test_optimizers import trainer

CALLBACKS = [entry.name for entry in registry().entries("callback")]


@pytest.mark.parametrize("name", CALLBACKS)
def test_every_callback_keeps_the_laws(name):
    class Own(CallbackSuite):
        def component(self):
            return create("callback", name, every=3)

    assert not [f"{r.name}: {r.message}" for r in run_suite(Own) if not r.passed]


def test_gradient_norms_add_up_to_the_norm_of_all_gradients():
    callback = create("callback", "gradient_norms", every=2, depth=2)
    made = trainer("adam", callbacks=[callback], grad_clip=1e-3)
    made.train_step()
    assert made.numbers == {}
    made.read_stats()
    made.train_step()
    assert list(made.numbers) == [f"gradient_norms/layers.{i}" for i in (0, 2, 4, 6)]
    whole = sum(value**2 for value in made.numbers.values()) ** 0.5
    # before clipping: the norm of the log is too
    assert whole == pytest.approx(made.read_stats()["grad_norm"], rel=1e-5)


def test_ema_quality_is_the_loss_of_the_average_on_the_same_rows():
    made = trainer("adam", ema=0.5, callbacks=[create("callback", "ema_quality", every=1)])
    for _ in range(3):
        made.train_step()
    arguments = made._batch(2, range(32))
    with torch.no_grad():
        loss, _ = made.losses(*arguments)
        assert made.numbers["ema_quality/weights"] == pytest.approx(loss.item(), rel=1e-6)
        made.model.load_state_dict(made.averages["ema"].state())
        loss, _ = made.losses(*arguments)
    assert made.numbers["ema_quality/average"] == pytest.approx(loss.item(), rel=1e-6)


def test_callbacks_change_no_bit_of_a_training():
    plain = trainer("adam")
    measured = trainer("adam", callbacks=[create("callback", name, every=2) for name in CALLBACKS])
    for _ in range(5):
        plain.train_step()
        measured.train_step()
    for a, b in zip(plain.model.parameters(), measured.model.parameters(), strict=True):
        assert torch.equal(a, b)


@dataclass(frozen=True)
class Own(Callback):
    """A callback whose fault is its option."""

    fault: str = ""

    def after_backward(self, view):
        if self.fault == "gradient":
            next(iter(view.gradients.values())).zero_()
        return None

    def after_step(self, view):
        with torch.no_grad():
            if self.fault == "weight":
                view.weights["layers.2.bias"].add_(1e-3)
            if self.fault == "data":
                view.weights["layers.2.bias"].data.add_(1e-3)
            if self.fault == "average":
                view.average["layers.0.bias"].zero_()
        return {"shapes": torch.ones(2)} if self.fault == "vector" else {"one": 1}


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("gradient", "'Own' changed the gradient of 'layers.0.weight' at step 7: a callback only"),
        ("weight", "'Own' changed the weight 'layers.2.bias' at step 7: a callback only reads"),
        ("data", "'Own' changed the weight 'layers.2.bias' at step 7: a callback only reads"),
        ("average", "'Own' changed the average of 'layers.0.bias' at step 7: a callback only"),
        ("vector", "'Own' gives 'shapes': a Tensor; it must give numbers by name: floats, or"),
    ],
)
def test_a_callback_that_changes_the_training_is_refused_before_it(fault, message):
    with torch.device("meta"):
        model = MLP(shape=(2,), width=16, depth=3)
    with pytest.raises(ComponentError) as refused:
        check_training(Train(steps=100, callbacks=[Own(every=7, fault=fault)]), model)
    assert str(refused.value).startswith(f"train.callbacks: {message}")


@pytest.mark.parametrize("fault", ["gradient", "weight", "data", "average"])
def test_a_callback_that_changes_the_training_is_refused_at_its_step(fault):
    made = trainer("adam", callbacks=[Own(every=2, fault=fault)])
    made.train_step()
    with pytest.raises(ComponentError, match=r"'Own' changed the .* at step 2"):
        made.train_step()


@pytest.mark.parametrize("options", [{"ema": None}, {"fsdp": True}])
def test_ema_quality_without_an_average_it_can_read_is_refused(options):
    train = Train(steps=10, callbacks=[create("callback", "ema_quality")], **options)
    with pytest.raises(ComponentError, match="'ema_quality' reads the moving average"):
        check_training(train, MLP(shape=(2,), width=4, depth=1))


def test_a_callback_listed_twice_is_refused():
    twice = [create("callback", "gradient_norms", depth=depth) for depth in (1, 2)]
    with pytest.raises(ComponentError, match="'gradient_norms' is listed twice"):
        check_training(Train(steps=10, callbacks=twice), MLP(shape=(2,), width=4, depth=1))


RECIPE = """\
data: {name: toy, count: 256}
path: ot
model: {name: mlp, width: 8, depth: 2}
train:
  steps: 7
  batch_size: 32
  log_every: 4
  callbacks: [{name: gradient_norms, every: 2, depth: 2}, {name: ema_quality, every: 4}]
"""


def test_the_numbers_are_lines_of_the_curve_and_charts_of_the_report(tmp_path):
    file = tmp_path / "measured.yaml"
    file.write_text(RECIPE)
    run = fmcore.run(file, out=tmp_path / "run", quiet=True)
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    norms = {f"gradient_norms/layers.{i}" for i in (0, 2, 4)}
    quality = {"ema_quality/average", "ema_quality/weights"}
    own = {line["step"]: line.keys() & (norms | quality) for line in lines}
    assert own == {2: norms, 4: norms | quality, 6: norms, 7: set()}
    assert ["loss" in line for line in lines] == [False, True, False, True]
    page = (run.folder.root / "report.html").read_text()
    assert "Measured by the callback gradient_norms" in page
    assert "</span>layers.4</li>" in page
    assert "</span>average</li>" in page
