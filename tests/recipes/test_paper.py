"""The paper's recipes have the values of its Table 3."""

import pytest

from fmcore import load_recipe

MODEL = ("channels", "depth", "channel_mult", "attention_resolutions")
TRAIN = ("batch_size", "steps", "lr", "schedule", "warmup", "precision")
TABLE_3 = {
    "cifar10": (
        (256, 2, [1, 2, 2, 2], [16]),
        (256, 391_000, 5e-4, "linear", 45_000, "fp32"),
    ),
    "imagenet32": (
        (256, 3, [1, 2, 2, 2], [16, 8]),
        (1024, 250_000, 1e-4, "linear", 20_000, "fp32"),
    ),
    "imagenet64": (
        (192, 3, [1, 2, 3, 4], [32, 16, 8]),
        (2048, 157_000, 1e-4, "constant", 0, "fp16"),
    ),
    "imagenet128": (
        (256, 3, [1, 1, 2, 3, 4], [32, 16, 8]),
        (1536, 500_000, 1e-4, "linear", 20_000, "fp16"),
    ),
}


@pytest.mark.parametrize("name", TABLE_3)
def test_a_recipe_of_the_paper_has_the_values_of_table_3(name):
    values = load_recipe(f"{name}_paper", partial=True).values
    model, train = values["model"], values["train"]
    columns = TABLE_3[name]
    assert (
        tuple(list(v) if isinstance(v, tuple) else v for v in map(model.get, MODEL)) == columns[0]
    )
    assert tuple(map(train.get, TRAIN)) == columns[1]
    assert (model["name"], model["head_channels"], model["dropout"]) == ("unet", 64, 0.0)
    assert (list(train["betas"]), train["eps"], train["weight_decay"]) == ([0.9, 0.999], 1e-8, 0)
    assert (train["ema"], train["grad_clip"], train["lr_end"]) == (None, None, 1e-8)
    assert (values["path"]["name"], values["path"]["sigma_min"]) == ("ot", 1e-4)
    assert values["objective"]["time"] == "uniform"
    solver = values["sample"]["solver"]
    assert (solver["name"], solver["rtol"], solver["atol"]) == ("dopri5", 1e-5, 1e-5)
    assert values["sample"]["count"] == 50_000


@pytest.mark.parametrize("name", ["cifar10", "imagenet32", "imagenet64", "imagenet128"])
def test_a_practical_recipe_has_an_average_clipping_and_a_constant_rate(name):
    values = load_recipe(name, partial=True).values
    train = values["train"]
    assert (train["ema"], train["grad_clip"], train["schedule"]) == (0.9999, 1.0, "constant")
    assert train["warmup"] > 0
    assert values["objective"]["time"] == "stratified"
    assert values["sample"]["weights"] == "ema"
    if name != "cifar10":  # torchcfm's smaller network
        assert values["model"] == load_recipe(f"{name}_paper", partial=True).values["model"]
