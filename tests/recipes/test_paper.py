"""The paper's recipes have the values of its Table 3."""

import pytest

from fmcore import load_recipe

MODEL = ("channels", "depth", "channel_mult", "attention_resolutions")
TRAIN = ("batch_size", "steps", "lr", "precision")
SCHEDULE = ("name", "warmup")
TABLE_3 = {
    "cifar10": (
        (256, 2, [1, 2, 2, 2], [16]),
        (256, 391_000, 5e-4, "fp32"),
        ("linear", 45_000),
    ),
    "imagenet32": (
        (256, 3, [1, 2, 2, 2], [16, 8]),
        (1024, 250_000, 1e-4, "fp32"),
        ("linear", 20_000),
    ),
    "imagenet64": (
        (192, 3, [1, 2, 3, 4], [32, 16, 8]),
        (2048, 157_000, 1e-4, "fp16"),
        ("constant", 0),
    ),
    "imagenet128": (
        (256, 3, [1, 1, 2, 3, 4], [32, 16, 8]),
        (1536, 500_000, 1e-4, "fp16"),
        ("linear", 20_000),
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
    schedule = train["lr_schedule"]
    assert tuple(map(schedule.get, SCHEDULE)) == columns[2]
    if schedule["name"] == "linear":
        assert (
            train["lr"] * schedule["start"] == train["lr"] * schedule["end"] == pytest.approx(1e-8)
        )
    assert train["optimizer"] == {"name": "adam", "betas": [0.9, 0.999], "eps": 1e-8}
    assert (train["ema"], train["grad_clip"]) == (None, None)
    assert (values["path"]["name"], values["path"]["sigma_min"]) == ("ot", 1e-4)
    assert values["objective"]["time"] == {"name": "uniform"}
    solver = values["sample"]["solver"]
    assert (solver["name"], solver["rtol"], solver["atol"]) == ("dopri5", 1e-5, 1e-5)
    assert values["sample"]["count"] == 50_000


@pytest.mark.parametrize("name", ["cifar10", "imagenet32", "imagenet64", "imagenet128"])
def test_a_practical_recipe_has_an_average_clipping_and_a_constant_rate(name):
    values = load_recipe(name, partial=True).values
    train = values["train"]
    assert (train["ema"], train["grad_clip"]) == (0.9999, 1.0)
    assert train["lr_schedule"]["name"] == "constant"
    assert train["lr_schedule"]["warmup"] > 0
    assert values["objective"]["time"] == {"name": "stratified"}
    assert values["sample"]["weights"] == "ema"
    if name != "cifar10":  # torchcfm's smaller network
        assert values["model"] == load_recipe(f"{name}_paper", partial=True).values["model"]
