"""The portraits of a run's samples: files in its folder, shown in its report."""

import html

import pytest

import fmcore
from fmcore.registry import forget, registry
from fmcore.runs.portraits import read_portraits

TONES = '''
from dataclasses import dataclass

import torch

from fmcore import Dataset, Portrait, hookimpl


@dataclass(frozen=True)
class Tones(Dataset):
    """Sounds of four values."""

    shape = (4,)
    length = 8
    fingerprint = "0"

    def batch(self, indices):
        return {"x1": torch.ones(len(indices), 4) * torch.tensor(indices)[:, None]}

    def portray(self, x, condition, decoded=None):
        sound = Portrait.sound(x[0], 8000, "<b>first</b>")
        return [sound, Portrait.text(["<i>one</i>", "two"]), Portrait(b"ATOM", "pdb", "a chain")]


@hookimpl
def register_datasets(register):
    register("tones", Tones)
'''

VOCODER = '''
from dataclasses import dataclass

import torch

from fmcore import Codec, Dataset, Decoded, Portrait, Result, RowMetric, hookimpl


@dataclass(frozen=True)
class Notes(Dataset):
    """Loudness of two tones, heard through a vocoder."""

    shape = (2,)
    length = 8
    fingerprint = "0"

    def batch(self, indices):
        return {"x1": torch.ones(len(indices), 2)}

    def portray(self, x, condition, decoded=None):
        return [Portrait.sound(wave, decoded.rate) for wave in decoded.values[:3]]


@dataclass(frozen=True)
class Vocoder(Codec):
    encodes = False

    def decode(self, x, condition=None):
        return Decoded(x[:, :1] * torch.ones(800), 8000, torch.full((len(x),), 800))


@dataclass(frozen=True)
class Loudness(RowMetric):
    """The mean of the sounds over the first value of the states."""

    def measure(self, batch, evaluation):
        return {"ratio": batch.decoded.values.mean(1) / batch.x[:, 0]}

    def conclude(self, rows, evaluation):
        return {"loudness": Result(float(rows["ratio"].mean()), provenance={"count": len(rows)})}


@hookimpl
def register_datasets(register):
    register("notes", Notes)


@hookimpl
def register_codecs(register):
    register("vocoder", Vocoder)


@hookimpl
def register_metrics(register):
    register("loudness", Loudness)
'''

RECIPE = """
data: tones
path: ot
model: {name: mlp, width: 8, depth: 1}
train: {steps: 4, batch_size: 4, sample_every: 2}
sample: {solver: {name: euler, nfe: 2}, count: 4}
"""


def test_a_run_writes_the_portraits_of_its_samples_and_shows_them(tmp_path):
    (tmp_path / "tones.py").write_text(TONES)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    try:
        registry().add_file(tmp_path / "tones.py")
        run = fmcore.run(tmp_path / "recipe.yaml", out=tmp_path / "run", device="cpu", quiet=True)
    finally:
        forget()
    samples = run.folder.samples
    found = [file.name for file, _ in read_portraits(samples)]
    assert found == ["0000.wav", "0001.txt", "0002.pdb"]
    progress = sorted(file.name for file in (samples / "progress").iterdir())
    assert progress[:2] == ["step-000000002-0000.wav", "step-000000002-0001.txt"]
    page = (run.folder.root / "report.html").read_text()
    assert page.count("<audio controls") == 3  # a sample, and two during training
    assert "&lt;b&gt;first&lt;/b&gt;" in page
    assert "<i>one</i>" not in page
    assert "<i>one</i>\ntwo" in html.unescape(page)
    assert "samples/0002.pdb  a chain" in page


def test_images_have_files_a_grid_and_a_film(tmp_path):
    (tmp_path / "recipe.yaml").write_text(
        RECIPE.replace("data: tones", "data: digits").replace("width: 8", "width: 8, classes: auto")
    )
    run = fmcore.run(tmp_path / "recipe.yaml", out=tmp_path / "run", device="cpu", quiet=True)
    samples = run.folder.samples
    captions = [caption for _, caption in read_portraits(samples)]
    assert captions == ["zero", "one", "two", "three"]
    for name in ("0003.png", "grid.png", "data.png", "trajectories.png", "trajectories.webp"):
        assert (samples / name).is_file()
    assert (samples / "progress" / "step-000000002.png").is_file()
    page = (run.folder.root / "report.html").read_text()
    assert page.count('<img src="data:image/png') + page.count('<img src="data:image/webp') == 6


def test_what_a_codec_that_only_decodes_makes_is_heard_and_measured(tmp_path):
    (tmp_path / "vocoder.py").write_text(VOCODER)
    own = "data: notes\ncodec: vocoder\nevaluate: {metrics: [loudness]}"
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("data: tones", own))
    try:
        registry().add_file(tmp_path / "vocoder.py")
        run = fmcore.run(tmp_path / "recipe.yaml", out=tmp_path / "run", device="cpu", quiet=True)
    finally:
        forget()
    assert run.samples().shape == (4, 2)  # shards hold the states
    assert run.results["loudness"]["value"] == pytest.approx(1, abs=1e-4)
    names = [file.name for file, _ in read_portraits(run.folder.samples)]
    assert names == ["0000.wav", "0001.wav", "0002.wav"]
    assert not (run.folder.samples / "density.png").exists()
