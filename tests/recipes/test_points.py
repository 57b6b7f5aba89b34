"""The recipes of points in the plane train, sample and measure in a few steps."""

from __future__ import annotations

import importlib

import pytest

import fmcore

SHORT = ["train.steps=3", "train.batch_size=32", "train.lr_schedule.warmup=0", "sample.count=64"]


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    """They take most of the time, and are tested elsewhere."""
    module = importlib.import_module("fmcore.stages.run")
    for name in ("illustrate_samples", "illustrate_training", "write_report"):
        monkeypatch.setattr(module, name, lambda *_: None)


def short_run(recipe, tmp_path, *more):
    overrides = [*SHORT, *more]
    return fmcore.run(recipe, overrides, out=tmp_path, device="cpu", quiet=True, check=False)


def test_the_mean_flow_of_the_checkerboard_samples_in_one_evaluation(tmp_path):
    run = short_run("checkerboard_meanflow", tmp_path)
    assert run.results["nfe"]["value"] == 1
    assert run.recipe.values["train"]["steps"] == 3
    assert set(run.recipe.values["expect"]) == {"sliced_wasserstein"}


def test_the_bridge_starts_at_the_eight_gaussians(tmp_path):
    run = short_run("eight_gaussians_bridge", tmp_path, "sample.solver.rtol=1e-3")
    start = fmcore.noise_of(run.components.path.prior(), range(4000), (2,), seed=0)
    # a(cut)^2 (2^2 + 2 * 0.2^2) + 2 g(cut)^2: eight means at radius 2, each with deviation 0.2
    squares = 0.999**2 * (4 + 2 * 0.2**2) + 2 * 0.5**2 * 0.001 * 0.999
    assert start.square().sum(1).mean() == pytest.approx(squares, rel=0.02)
    assert run.results["sliced_wasserstein"]["provenance"]["count"] == 64


def test_a_trained_checkerboard_is_distilled_into_one_evaluation(tmp_path):
    teacher = short_run("checkerboard", tmp_path / "teacher", "sample=null", "evaluate=null")
    run = short_run(
        "checkerboard_distilled", tmp_path / "student", f"objective.teacher={teacher.folder.root}"
    )
    assert run.results["nfe"]["value"] == 1
    assert "sha256" in run.results["nfe"]["origin"]["runs"]["objective.teacher"]


def test_consistency_of_the_checkerboard_samples_in_one_evaluation(tmp_path):
    run = short_run("checkerboard_consistency", tmp_path)
    assert run.results["nfe"]["value"] == 1
    assert run.results["nfe"]["origin"]["runs"] == {}
