"""Metrics that compare a sample with the image that gave its condition."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

import fmcore
from fmcore import ComponentError, DataError, ImageDataset, MetricBatch, create
from fmcore.testing.stub_data import evaluation_of

LEVELS = 17


@dataclass(frozen=True)
class Noise(ImageDataset):
    """Independent levels, uniform in 0 .. 16."""

    channels: int = 1
    side: int = 16

    @property
    def shape(self):
        return (self.channels, self.side, self.side)

    @property
    def levels(self):
        return LEVELS

    @property
    def length(self):
        return 8

    @property
    def fingerprint(self):
        return f"noise {self.channels} {self.side} {self.split}"

    def batch(self, indices):
        generators = [torch.Generator().manual_seed(i) for i in indices]
        images = [torch.randint(0, LEVELS, self.shape, generator=g) for g in generators]
        return {"x1": torch.stack(images).to(torch.uint8)}


def measured(metric, data, levels, examples, **more):
    metric.begin(evaluation_of(data, Path()))
    indices = torch.arange(len(levels))
    metric.update(
        MetricBatch(indices=indices, x=None, levels=levels, examples=examples, **more),
    )
    (result,) = metric.compute().values()
    return result


def test_psnr_is_that_of_a_constant_difference():
    data, examples = Noise(), torch.tensor([5, 2])
    true = data.batch([5, 2])["x1"].int()
    apart = torch.tensor([1, 4])[:, None, None, None]
    fake = torch.where(true >= 8, true - apart, true + apart).to(torch.uint8)
    result = measured(create("metric", "psnr"), data, fake, examples)
    each = [20 * math.log10(16 / 1), 20 * math.log10(16 / 4)]
    assert result.per_sample.tolist() == pytest.approx(each)
    assert result.value == pytest.approx(sum(each) / 2)
    assert result.error == pytest.approx((each[0] - each[1]) / 2)


def test_psnr_of_the_true_image_is_infinite():
    data, examples = Noise(), torch.tensor([5, 2])
    result = measured(create("metric", "psnr"), data, data.batch([5, 2])["x1"], examples)
    assert result.value == math.inf
    assert result.error is None


def gaussian_window():
    x = np.arange(-5, 6)
    window = np.exp(-(x**2) / (2 * 1.5**2))
    return np.outer(window, window) / window.sum() ** 2


def ssim_of(a, b):
    """Equation 13 of Wang et al. at every place of the window, averaged."""
    w, found = gaussian_window(), []
    c1, c2 = (0.01 * 16) ** 2, (0.03 * 16) ** 2
    for i in range(a.shape[0] - 10):
        for j in range(a.shape[1] - 10):
            p, q = a[i : i + 11, j : j + 11], b[i : i + 11, j : j + 11]
            mp, mq = (w * p).sum(), (w * q).sum()
            vp, vq = (w * (p - mp) ** 2).sum(), (w * (q - mq) ** 2).sum()
            cov = (w * (p - mp) * (q - mq)).sum()
            luminance = (2 * mp * mq + c1) / (mp**2 + mq**2 + c1)
            found.append(luminance * (2 * cov + c2) / (vp + vq + c2))
    return np.mean(found)


@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_is_that_of_wang_et_al(channels):
    data = Noise(channels=channels)
    fake = Noise(channels=channels).batch([3])["x1"]
    true = data.batch([4])["x1"]
    result = measured(create("metric", "ssim"), data, fake, torch.tensor([4]))
    channel_pairs = zip(fake[0].double().numpy(), true[0].double().numpy(), strict=True)
    each = [ssim_of(a, b) for a, b in channel_pairs]
    assert result.value == pytest.approx(np.mean(each), abs=1e-9)


def test_ssim_refuses_images_smaller_than_its_window():
    with pytest.raises(ComponentError, match="11x11 pixels, and the images are 8x8"):
        create("metric", "ssim").check(create("data", "digits"), create("path", "linear"))


@pytest.mark.parametrize("name", ["psnr", "ssim"])
def test_samples_without_a_true_image_are_refused(name):
    fake = Noise().batch([0, 1])["x1"]
    with pytest.raises(DataError, match=r"draw them with sample\.condition=test"):
        measured(create("metric", name), Noise(), fake, None)


def small():
    of = create("data", "digits")
    return create("data", "super_resolution", of=of, factor=2)


def test_low_pass_error_is_0_for_the_true_image_and_the_step_for_brighter_squares():
    data = small()
    rows = data.with_split("test").batch(range(20))
    # squares of even sums, so that adding 1 to each pixel adds 1 to the rounded mean
    fake = torch.where(rows["x1"] < 16, rows["x1"], 15).to(torch.uint8)
    low = data.reduced(fake)
    condition = {"low": low}
    exact = measured(create("metric", "low_pass_error"), data, fake, None, condition=condition)
    assert exact.value == 0
    brighter = {"low": low + 1 / 8}  # a level of 17 in [-1, 1]
    step = measured(create("metric", "low_pass_error"), data, fake, None, condition=brighter)
    assert step.value == pytest.approx(1 / 8, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "data", "message"),
    [
        ({}, lambda: create("data", "digits"), "use data 'super_resolution'"),
        ({"entry": "label"}, small, "no average of images"),
    ],
)
def test_low_pass_error_refuses_data_without_a_low_resolution_condition(options, data, message):
    metric = create("metric", "low_pass_error", **options)
    with pytest.raises(ComponentError, match=message):
        metric.check(data(), create("path", "linear"))


RECIPE = """\
data: {name: super_resolution, of: digits, factor: 2, dequantize: none}
path: linear
objective: flow_matching
model: {name: mlp, width: 8, depth: 1, conditions: [low]}
train: {steps: 2, batch_size: 4}
sample: {solver: {name: euler, nfe: 2}, count: 5, condition: test}
evaluate: {metrics: [psnr, low_pass_error]}
"""


def test_a_run_measures_samples_against_the_images_of_their_conditions(tmp_path):
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    run = fmcore.run(tmp_path / "recipe.yaml", out=tmp_path / "run", device="cpu", quiet=True)
    true = run.components.data.with_split("test").batch(range(5))["x1"].double()
    mse = (run.samples().double() - true).square().flatten(1).mean(1)
    expected = float((20 * math.log10(16) - 10 * mse.log10()).mean())
    assert run.results["psnr"]["value"] == pytest.approx(expected)
    assert (run.folder.samples / "comparison.png").is_file()
    # samples of other conditions can still be drawn
    fmcore.stages.sample(run.folder.root, ("condition=train",), device="cpu", quiet=True)


@pytest.mark.parametrize("condition", ["train", "null"])
def test_conditions_that_are_not_of_the_evaluated_split_are_refused(tmp_path, condition):
    text = RECIPE.replace("condition: test", f"condition: {condition}")
    text = text.replace("batch_size: 4", "batch_size: 4, condition_dropout: {low: 0.1}")
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(ComponentError, match=r"PSNR compares sample i with example i.*'test': set"):
        fmcore.run(tmp_path / "recipe.yaml", out=tmp_path / "run", device="cpu", quiet=True)
    assert not (tmp_path / "run").exists()
