"""Runs of speech from a recipe: sounds on disk, a user's text as one file, resuming, refusals."""

import json
import wave
from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator

import fmcore
from fmcore import ComponentError, RunError, load_recipe, stages
from fmcore.runs.checkpoint import CheckpointFolder
from fmcore.runs.samples import Shards
from fmcore.training.trainer import Trainer

OPTIONS = [
    "model={name: speech_small, symbols: 40, width: 16, depth: 2, text_width: 8, text_depth: 1, "
    "segment: 16}",
    "train={steps: 4, batch_size: 4, log_every: 2, checkpoint_every: 2}",
    "codec.rounds=2",
    "codec.inversions=2",
    "sample.count=3",
    "sample.solver.nfe=2",
    "evaluate.metrics=[mel_l1, detail]",
]


def options(recordings, *more):
    data = f"{{name: speech, rate: 16000, max_seconds: 1.5, max_text: 20, root: '{recordings}'}}"
    return [f"data={data}", *OPTIONS, *more]


@pytest.fixture(scope="module")
def run(recordings, tmp_path_factory):
    root = tmp_path_factory.mktemp("speech") / "run"
    recipe = load_recipe("speech_quick", options(recordings))
    return fmcore.run(recipe, out=root, device="cpu", quiet=True)


def seconds(file):
    with wave.open(str(file)) as sound:
        assert sound.getframerate() == 16000
        return sound.getnframes() / 16000


def test_the_run_has_a_picture_and_a_sound_of_each_sample(run):
    kinds = sorted(file.suffix for file in run.folder.samples.glob("0*"))
    assert kinds == [".png"] * 3 + [".wav"] * 3
    assert "audio/wav" in (run.folder.root / "report.html").read_text()
    assert {"mel_l1", "detail"} <= run.results.keys()


def test_every_loss_of_the_network_is_logged(run):
    line = run.folder.curve.lines()[-1]
    assert {"loss/regression", "loss/duration", "loss/prior"} <= line.keys()


def test_samples_have_the_mask_that_their_durations_give(run):
    shard = Shards.on_disk(run.folder.samples).first(3)
    lengths = shard["mask"].sum((1, 2)).long().tolist()
    for x, n in zip(shard["x"], lengths, strict=True):
        assert not x[:, n:].any()
        assert x[:, n - 1].any()


def test_a_text_is_one_sound_of_its_sentences(run, tmp_path):
    texts = {"one": "tone one", "two": "tone one. tone one"}
    for name, text in texts.items():
        stages.sample_file(run, tmp_path / f"{name}.wav", [f"condition.text={text}"], quiet=True)
    one, two = (seconds(tmp_path / f"{name}.wav") for name in texts)
    # the same text twice, one symbol longer for the full stop, with a pause of a quarter second
    assert two > 2 * one + 0.25 - 0.01


def test_a_faster_pace_and_another_temperature_change_the_sound(run, tmp_path):
    values = {"slow": ["condition.pace=0.5"], "fast": ["condition.pace=4"], "cold": []}
    for name, more in values.items():
        cold = ["temperature=0.1"] if name == "cold" else []
        text = ["condition.text=tone one", *more, *cold]
        stages.sample_file(run, tmp_path / f"{name}.wav", text, quiet=True)
    stages.sample_file(run, tmp_path / "warm.wav", ["condition.text=tone one"], quiet=True)
    assert seconds(tmp_path / "fast.wav") < seconds(tmp_path / "slow.wav")
    assert seconds(tmp_path / "cold.wav") == seconds(tmp_path / "warm.wav")
    assert (tmp_path / "cold.wav").read_bytes() != (tmp_path / "warm.wav").read_bytes()


def test_a_users_text_changes_nothing_in_the_run(run, tmp_path):
    before = {f: f.stat().st_mtime_ns for f in run.folder.root.rglob("*") if f.is_file()}
    stages.sample_file(run, tmp_path / "a.wav", ["condition.text=tone"], quiet=True)
    after = {f: f.stat().st_mtime_ns for f in run.folder.root.rglob("*") if f.is_file()}
    assert after == before


def test_the_run_records_the_symbols_of_the_train_split(run):
    facts = json.loads((run.folder.root / "run.json").read_text())["data"]
    clips = run.components.data.clips()
    assert facts["symbols"] == sorted({c for clip in clips for c in clip.text})
    assert facts["left_out"] == 0


@pytest.mark.parametrize(
    ("text", "file", "error", "named"),
    [
        ("tone 7", "a.wav", ComponentError, "unknown symbol '7' at place 6"),
        ("a tone.", "a.wav", ComponentError, "no text of the train split has the symbol 'a'"),
        ("tone", "a.txt", RunError, r"written as \.png, \.wav"),
        ("tone", "missing/a.wav", RunError, "there is no folder"),
    ],
)
def test_what_cannot_be_written_is_refused(run, tmp_path, text, file, error, named):
    with pytest.raises(error, match=named):
        stages.sample_file(run, tmp_path / file, [f"condition.text={text}"], quiet=True)
    assert not list(tmp_path.iterdir())


def test_a_sample_depends_on_its_index_and_its_text_alone(run, tmp_path):
    again = stages.sample(run, ("batch_size=1",), to=tmp_path / "alone", device="cpu", quiet=True)
    torch.testing.assert_close(again.samples(), run.samples(), rtol=1e-5, atol=1e-5)


def trainer(run, **options):
    components = run.components
    settings = replace(components.train, steps=100, **options)
    batches = components.batches(settings)
    return Trainer(components.model(), batches, settings, Accelerator(cpu=True))


def test_a_resumed_training_has_the_same_bits(run, tmp_path):
    straight, first, second = (trainer(run) for _ in range(3))
    for _ in range(5):
        straight.train_step()
    for _ in range(3):
        first.train_step()
    folder = CheckpointFolder(tmp_path)
    folder.save(first.checkpoint(), keep=1)
    second.resume(folder.latest(), "here")
    for _ in range(2):
        second.train_step()
    wanted, found = straight.checkpoint().tensors, second.checkpoint().tensors
    assert [key for key in wanted if not torch.equal(wanted[key], found[key])] == []


def test_parts_of_a_batch_have_the_gradients_of_the_whole(run):
    # after a step the momentum is the gradient
    sgd = fmcore.create("optimizer", "sgd", momentum=0.9)
    whole, parts = trainer(run, optimizer=sgd), trainer(run, optimizer=sgd, grad_accum=2)
    for one in (whole, parts):
        one.train_step()
    wanted, found = whole.checkpoint().tensors, parts.checkpoint().tensors
    gradients = [name for name in wanted if name.endswith("momentum_buffer")]
    assert any(wanted[name].any() for name in gradients)
    # clips are padded with other ones, and the losses are means of rows
    for name in gradients:
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-4, atol=1e-5)
