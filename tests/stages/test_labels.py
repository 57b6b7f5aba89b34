"""Labels of the data, of the network and of samples have to agree before anything is written."""

from dataclasses import dataclass, replace

import pytest
import torch
from accelerate import Accelerator

import fmcore
from fmcore import ComponentError, DataError, Dataset, create, load_recipe
from fmcore.stages.components import Components
from fmcore.stages.conditions import check_conditions
from fmcore.stages.dry_run import estimate
from fmcore.training.batches import Batches

pytestmark = pytest.mark.usefixtures("no_pictures")

LABELLED = ["data={name: digits}", "model={name: mlp, width: 8, depth: 1}"]
MOONS = "data={name: toy, figure: two_moons}"


def checked(tiny, *overrides):
    Components.of(load_recipe(tiny, [*LABELLED, *overrides])).check()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.classes=2"], r"model\.classes is 2, and the data have 10 classes .*: 10, or auto"),
        (["model.classes=11"], r"model\.classes is 11, and the data have 10 classes"),
        (["model.classes=auto", "sample.label=10"], r"sample\.label is 10, .* from 0 to 9"),
        (["sample.label=0"], r"reads no labels: train with model\.classes: auto"),
        (
            ["model.classes=auto", "sample.guidance=[{name: cfg, scale: 2}]"],
            r"set train\.label_dropout",
        ),
        (["sample.guidance=[{name: cfg, scale: 2}]"], r"no classes to leave out"),
        (["train.label_dropout=0.1"], r"reads none: set model\.classes: auto"),
        ([MOONS, "model.classes=3"], r"the data have 2 classes \(labels 0 to 1\)"),
    ],
)
def test_labels_that_disagree_are_refused_with_what_to_set(tiny, overrides, message):
    with pytest.raises(ComponentError, match=message):
        checked(tiny, *overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        [],  # a network without classes on labelled data is unconditional
        ["model.classes=10", "sample.label=9"],
        [
            "model.classes=auto",
            "train.label_dropout=0.1",
            "sample.guidance=[{name: cfg, scale: 2}]",
        ],
    ],
)
def test_labels_that_agree_are_accepted(tiny, overrides):
    checked(tiny, *overrides)


def test_a_refused_recipe_leaves_no_folder(tiny, tmp_path):
    recipe = load_recipe(tiny, [*LABELLED, "model.classes=2"])
    with pytest.raises(ComponentError):
        fmcore.run(recipe, out=tmp_path / "run", device="cpu", quiet=True)
    assert not (tmp_path / "run").exists()


def test_classes_auto_are_those_of_the_data_and_unwritten_ones_are_none(tiny):
    built = {
        text: Components.of(load_recipe(tiny, [*LABELLED, *more])).model().classes
        for text, more in {
            "unwritten": [],
            "digits": ["model.classes=auto"],
            "moons": [MOONS, "model.classes=auto"],
        }.items()
    }
    assert built == {"unwritten": 0, "digits": 10, "moons": 2}


def test_classes_auto_survive_saving_the_recipe(tiny, tmp_path):
    recipe = load_recipe(tiny, [*LABELLED, "model.classes=auto"])
    (tmp_path / "again.yaml").write_text(recipe.to_yaml())
    again = load_recipe(tmp_path / "again.yaml")
    assert again.values == recipe.values
    assert again.values["model"]["classes"] == "auto"


@dataclass(frozen=True)
class Labelled(Dataset):
    """Two points with given labels, and two classes."""

    labels: tuple[int, int] = (0, 1)
    shape = (2,)
    classes = 2
    length = 2
    fingerprint = "0" * 8

    def batch(self, indices):
        return {"x1": torch.zeros(len(indices), 2), "label": torch.tensor(self.labels)[indices]}


@pytest.mark.parametrize("wrong", [-1, 2])
def test_a_dataset_that_breaks_its_own_range_of_labels_is_refused(wrong):
    data = Labelled()
    parts = [create(k, n) for k, n in (("path", "ot"), ("coupling", "independent"))]
    made = Batches(data, *parts, create("objective", "flow_matching"), batch_size=2, seed=0)
    made.pairs(0, range(2))
    with pytest.raises(DataError, match=f"gives the label {wrong}, and its 2 classes"):
        replace(made, data=replace(data, labels=(0, wrong))).pairs(0, range(2))


def test_a_network_with_classes_is_refused_on_data_without_labels(tiny):
    model = create("model", "mlp", shape=(2,), width=8, depth=1, classes=2)
    train = Components.of(load_recipe(tiny)).train
    data = replace_classes(0)
    with pytest.raises(ComponentError, match=r"no labels: set model\.classes: 0"):
        check_conditions(model, create("path", "ot"), data, train, None, None)
    check_conditions(model, create("path", "ot"), replace_classes(2), train, None, None)


def replace_classes(classes):
    return type("Data", (Labelled,), {"classes": classes})()


def test_data_whose_classes_are_read_from_files_are_read_outside_the_meta_device(tiny):
    recipe = load_recipe(tiny, [*LABELLED, "model.classes=auto"])
    components = Components.of(recipe)
    seen = []

    @dataclass(frozen=True)
    class Reads(Labelled):
        @property
        def classes(self):
            seen.append(torch.zeros(1).device.type)
            return 2

    components = replace(components, data=Reads())
    components.check()
    estimate(components, Accelerator(cpu=True))
    assert set(seen) == {"cpu"}
