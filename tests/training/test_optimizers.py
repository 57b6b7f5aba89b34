"""Optimizers as plugins: the suite, what is refused before training, and the resumed training."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from fmcore import CheckpointError, ComponentError, OptimizerFactory, create
from fmcore.recipe.sections import Train
from fmcore.registry import registry
from fmcore.runs.checkpoint import CheckpointFolder
from fmcore.testing import OptimizerSuite, run_suite
from fmcore.training.batches import Batches
from fmcore.training.checks import check_training
from fmcore.training.optimizers import Optimizers, rehearse
from fmcore.training.trainer import Trainer
from fmcore_couplings.independent import Independent
from fmcore_data.toy import Toy
from fmcore_nets.mlp import MLP
from fmcore_objectives.flow_matching import FlowMatching
from fmcore_paths.ot import OTPath

OPTIMIZERS = [entry.name for entry in registry().entries("optimizer")]
SET = {
    "adam": {"betas": (0.8, 0.9)},
    "adamw": {"weight_decay": 0.1},
    "sgd": {"momentum": 0.5, "nesterov": True},
    "muon": {"weight_decay": 0.1, "momentum": 0.8},
}


@pytest.mark.parametrize("options", [True, False], ids=["set", "default"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_keeps_the_laws(name, options):
    class Own(OptimizerSuite):
        def component(self):
            return create("optimizer", name, **(SET[name] if options else {}))

    assert not [f"{r.name}: {r.message}" for r in run_suite(Own) if not r.passed]


def trainer(optimizer, accelerator=None, **options):
    settings = Train(
        **{"steps": 100, "batch_size": 32, "lr": 0.01, "optimizer": optimizer} | options
    )
    batches = Batches(Toy(count=500), OTPath(), Independent(), FlowMatching(), 32, 0)
    torch.manual_seed(0)
    model = MLP(shape=(2,), width=16, depth=3)
    return Trainer(model, batches, settings, accelerator or Accelerator(cpu=True))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_resumed_training_has_the_same_bits_for_every_optimizer(name, tmp_path):
    straight, first, second = (trainer(create("optimizer", name, **SET[name])) for _ in range(3))
    for _ in range(8):
        straight.train_step()
    for _ in range(5):
        first.train_step()
    folder = CheckpointFolder(tmp_path)
    folder.save(first.checkpoint(), keep=1)
    second.resume(folder.latest(), "here")
    for _ in range(3):
        second.train_step()
    wanted, found = straight.checkpoint().tensors, second.checkpoint().tensors
    assert wanted.keys() == found.keys()
    assert [key for key in wanted if not torch.equal(wanted[key], found[key])] == []


def test_muon_has_the_inner_matrices_and_adamw_the_rest():
    model = MLP(shape=(2,), width=16, depth=3)
    muon, adamw = create("optimizer", "muon").build(model.named_parameters())
    names = {id(p): name for name, p in model.named_parameters()}
    assert type(muon).__name__ == "Muon"
    assert [names[id(p)] for p in muon.param_groups[0]["params"]] == [
        "layers.0.weight",
        "layers.2.weight",
        "layers.4.weight",
    ]
    weights, vectors = (group["params"] for group in adamw.param_groups)
    assert [names[id(p)] for p in weights] == ["layers.6.weight"]  # the output layer
    assert {names[id(p)].rpartition(".")[2] for p in vectors} == {"bias"}


def test_muon_leaves_embeddings_and_convolutions_to_adamw():
    network = nn.ModuleDict(
        {"embedding": nn.Embedding(3, 4), "conv": nn.Conv2d(2, 2, 3), "head": nn.Linear(4, 2)}
    )
    (adamw,) = create("optimizer", "muon").build(network.named_parameters())
    assert type(adamw).__name__ == "AdamW"


def test_a_step_of_muon_is_an_orthogonal_matrix_of_the_size_of_adams():
    # a square gradient: all singular values become about 1, and the step 0.2 sqrt(n) of them
    weight = nn.Parameter(torch.zeros(32, 32))
    head = nn.Parameter(torch.zeros(2, 32))
    optimizers = Optimizers(
        create("optimizer", "muon", momentum=0.0, nesterov=False),
        [("weight", weight), ("head", head)],
    )
    weight.grad = torch.randn(32, 32, generator=torch.Generator().manual_seed(0))
    head.grad = torch.ones(2, 32)
    optimizers.set_lr(1.0)
    for part in optimizers.parts:
        part.step()
    values = torch.linalg.svdvals(weight.detach()) / (0.2 * 32**0.5)
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_the_learning_rate_of_every_group_follows_lr_and_schedule():
    made = trainer("muon", lr_schedule=create("lr_schedule", "linear"), lr=0.5)
    rates = []
    for _ in range(3):
        made.train_step()
        rates.append({group["lr"] for group in made.optimizers.param_groups})
    assert rates == [{0.5}, {0.5 * (1 - 1 / 99)}, {0.5 * (1 - 2 / 99)}]


class Scaled(Accelerator):
    """Scales gradients as on a GPU in fp16."""

    mixed_precision = "fp16"


def test_several_optimizers_step_as_one_for_a_loss_scaler():
    plain = trainer("muon")
    accelerator = Scaled(cpu=True)
    accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaled = trainer("muon", accelerator)
    accelerator.native_amp = True
    scale = 1.0
    scaled.model.layers[0].weight.register_hook(lambda gradient: gradient * scale)
    for _ in range(2):
        plain.train_step()
        scaled.train_step()
    for a, b in zip(plain.model.parameters(), scaled.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
    before = [p.detach().clone() for p in scaled.model.parameters()]
    scale = float("inf")
    scaled.train_step()  # its gradient overflows: no optimizer steps
    assert all(map(torch.equal, before, scaled.model.parameters()))


@dataclass(frozen=True)
class Own(OptimizerFactory):
    """An optimizer whose fault is its option."""

    fault: str = ""

    def build(self, named_parameters):
        weights = [parameter for _, parameter in named_parameters]
        if self.fault == "leaves out":
            return [torch.optim.SGD(weights[:-2], lr=1.0)]
        if self.fault == "twice":
            return [torch.optim.SGD(weights, lr=1.0), torch.optim.SGD(weights[:1], lr=1.0)]
        if self.fault == "foreign":
            return [torch.optim.SGD([*weights, nn.Parameter(torch.zeros(1))], lr=1.0)]
        if self.fault == "rate":
            return [torch.optim.Adam(weights)]
        if self.fault == "closure":
            return [torch.optim.LBFGS(weights)]
        if self.fault == "state":
            return [Remembers(weights, lr=1.0)]
        if self.fault == "group":
            return [torch.optim.SGD([{"params": weights, "names": {"a"}}], lr=1.0)]
        if self.fault == "no optimizer":
            return [weights]
        return [torch.optim.SGD([{"params": weights}, {"params": weights[:1]}], lr=1.0)]


class Remembers(torch.optim.SGD):
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["past"] = [p.grad]
        return super().step(closure)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("leaves out", "leaves out 2 of 8 parameters, the first is 'layers.6.weight': every"),
        (
            "twice",
            "holds the parameter 'layers.0.weight' twice: every parameter must be",
        ),
        ("foreign", "holds a parameter that is not the network's"),
        ("rate", "learning rates of its groups are 0.001; they are relative to train.lr, and the"),
        ("closure", "fails at its first step: TypeError"),
        ("state", "a checkpoint cannot hold 'past' of parameter 'layers.0.weight', a Tensor"),
        ("group", "a checkpoint cannot hold the option 'names' of a group, a set"),
        ("no optimizer", "build gave a list, which is no torch.optim.Optimizer"),
        (
            "torch refuses",
            "cannot be built: some parameters appear in more than one parameter group",
        ),
    ],
)
def test_a_wrong_optimizer_is_refused_before_training(fault, message):
    with torch.device("meta"):
        model = MLP(shape=(2,), width=16, depth=3)
    with pytest.raises(ComponentError) as refused:
        check_training(Train(steps=10, optimizer=Own(fault)), model)
    assert str(refused.value).startswith("train.optimizer: Own")
    assert message in str(refused.value)


def test_muon_under_fsdp_is_refused():
    with pytest.raises(ComponentError, match=r"train\.fsdp: Muon updates whole weights"):
        check_training(Train(steps=10, optimizer="muon", fsdp=True), None)


def test_a_rehearsal_tells_the_shapes_of_the_state():
    model = MLP(shape=(2,), width=300, depth=2)
    layout = rehearse(create("optimizer", "adam"), dict(model.named_parameters()))
    shape = model.layers[0].weight.shape
    assert layout["layers.0.weight"] == {"step": (), "exp_avg": shape, "exp_avg_sq": shape}


@pytest.mark.parametrize("other", ["sgd", "muon"])
def test_the_state_of_another_optimizer_is_refused(other):
    made = trainer("adam")
    made.train_step()
    saved = made.checkpoint()
    with pytest.raises(CheckpointError, match="here: the optimizer's state"):
        trainer(other).resume(saved, "here")


def test_numbers_and_groups_of_a_checkpoint_are_json():
    made = trainer("adam")
    made.train_step()
    facts = made.checkpoint().facts["optimizer"]
    assert json.loads(json.dumps(facts)) == facts
    assert facts["groups"][0]["betas"] == [0.9, 0.999]


class Warms(torch.optim.SGD):
    """Counts its steps in its group, as schedule-free optimizers do."""

    def step(self, closure=None):
        for group in self.param_groups:
            group["k"] = group.get("k", 0) + 1
            rate, group["lr"] = group["lr"], group["lr"] / group["k"]
            super().step(closure)
            group["lr"] = rate


@dataclass(frozen=True)
class Warming(OptimizerFactory):
    def build(self, named_parameters):
        return [Warms([p for _, p in named_parameters], lr=1.0)]


def test_what_an_optimizer_counts_in_its_groups_is_restored():
    straight, first, second = (trainer(Warming()) for _ in range(3))
    for _ in range(4):
        straight.train_step()
    first.train_step()
    first.train_step()
    second.resume(first.checkpoint(), "here")
    second.train_step()
    second.train_step()
    for a, b in zip(straight.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(a, b)
