"""Old keys of recipes are refused with their new names."""

from __future__ import annotations

import pytest

from fmcore import RecipeError, RunError, load_recipe, open_run

OLD = """\
data: toy
path: ot
objective: {name: flow_matching, logit_mean: 1.0}
model: mlp
train: {steps: 3, betas: [0.8, 0.9], warmup: 3, schedule: cosine, lr_end: 1.0e-8}
"""


def test_an_old_key_is_refused_with_its_new_name(tmp_path):
    file = tmp_path / "old.yaml"
    file.write_text(OLD)
    with pytest.raises(RecipeError) as refused:
        load_recipe(file)
    assert [fault.partition(" has no ")[2] for fault in refused.value.faults] == [
        "option 'logit_mean'; it is now objective.time.mean, of time 'logit_normal'",
        "option 'betas'; it is now train.optimizer.betas",
        "option 'warmup'; it is now train.lr_schedule.warmup",
        "option 'schedule'; it is now train.lr_schedule",
        "option 'lr_end'; it is now train.lr_schedule.end, a fraction of train.lr",
    ]


def test_a_run_of_old_keys_is_refused_with_their_new_names(tmp_path):
    (tmp_path / "recipe.yaml").write_text(OLD)
    with pytest.raises((RecipeError, RunError), match=r"it is now train\.optimizer"):
        _ = open_run(tmp_path).recipe
