"""Flows on latents: training, sampling, pictures, metrics, refusals."""

from __future__ import annotations

import pytest
import torch

import fmcore
from fmcore import ComponentError, RecipeError, RunError, create, load_recipe
from fmcore.runs.samples import Shards
from fmcore.stages.components import Components
from fmcore.testing import CodecSuite

AUTOENCODER = [
    "train={steps: 60, batch_size: 64, lr: 3.0e-3, ema: 0.9, log_every: 20}",
    "model={name: autoencoder, channels: [8, 16], latent_channels: 2}",
    "evaluate.count=64",
    "expect={reconstruction: {max: null}}",
]
LATENT = [
    "model={name: mlp, width: 32, depth: 2, classes: auto}",
    "train={steps: 20, batch_size: 32, label_dropout: 0.1, log_every: 10}",
    "sample={solver: {name: euler, nfe: 4}, count: 12, batch_size: 8}",
    "evaluate={metrics: [{name: fd_lite0, reference_count: 32}, nfe], batch_size: 16}",
]


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory):
    root = tmp_path_factory.mktemp("autoencoder") / "run"
    recipe = load_recipe("digits_autoencoder", AUTOENCODER)
    return fmcore.run(recipe, out=root, device="cpu", quiet=True)


@pytest.fixture(scope="module")
def codec(autoencoder):
    return create("codec", "autoencoder", run=str(autoencoder.folder.root), tolerance=0.6)


@pytest.fixture(scope="module")
def latent(autoencoder, tmp_path_factory):
    root = tmp_path_factory.mktemp("latent") / "run"
    recipe = load_recipe("digits_latent", [f"codec.run={autoencoder.folder.root}", *LATENT])
    return fmcore.run(recipe, out=root, device="cpu", quiet=True)


def digits(n: int) -> torch.Tensor:
    data = create("data", "digits", dequantize="none")
    rows = fmcore.Rows(0, "data", 0, range(n))
    return data.augmented(data.batch(range(n)), rows)["x1"]


def test_an_autoencoder_learns_to_reconstruct(autoencoder):
    untrained = float(digits(256).std())  # the error of the mean image
    assert autoencoder.results["reconstruction"]["value"] < untrained
    first, last = (autoencoder.folder.curve.lines()[i]["loss"] for i in (0, -2))
    assert last < first


def test_the_latents_of_every_example_have_unit_variance(codec):
    latents = codec.encode(digits(5), fmcore.Rows(0, "codec", 0, range(5)))
    assert latents.shape == (5, 2, 4, 4)
    torch.testing.assert_close(latents.flatten(1).mean(1), torch.zeros(5), atol=1e-5, rtol=0)
    spread = latents.flatten(1).std(1, correction=0)
    torch.testing.assert_close(spread, torch.ones(5), atol=1e-3, rtol=0)


def test_the_codec_of_a_trained_run_conforms(codec):
    from fmcore.testing import run_suite

    class Suite(CodecSuite):
        shape = (1, 8, 8)

        def component(self):
            return codec

        def examples(self, n):
            return digits(n)

    results = run_suite(Suite)
    assert not [f"{r.name}: {r.message}" for r in results if not r.passed]


def test_path_and_model_see_latents_and_samples_are_decoded_levels(latent):
    components = latent.components
    assert components.state_shape == (2, 4, 4)
    assert components.batches(components.train).pairs(0, range(4)).x1.shape == (4, 2, 4, 4)
    shard = Shards.on_disk(latent.folder.samples).first(12)
    assert shard["x"].shape == (12, 1, 8, 8)
    assert shard["x"].dtype == torch.uint8
    assert int(shard["x"].max()) <= 16
    assert (latent.folder.samples / "grid.png").is_file()
    assert (latent.folder.samples / "trajectories.webp").is_file()


def test_results_record_the_codec_and_the_hash_of_its_weights(latent, codec):
    made = Shards.on_disk(latent.folder.samples).provenance()["codec"]
    assert made["name"] == "autoencoder"
    assert made["fingerprint"] == codec.fingerprint
    result = latent.results["fd_lite0"]
    assert result["origin"]["recipe"]["codec"]["name"] == "autoencoder"
    # a flow on latents is comparable with one on pixels
    assert "codec" not in result["provenance"]["sampler"]
    assert "run.codec.run" in latent.folder.facts()["identity"]


def test_a_sample_depends_on_its_index_alone(latent):
    from fmcore import stages

    whole = latent.samples()
    again = stages.sample(
        latent.folder.root,
        ("batch_size=5", "count=12"),
        to=latent.folder.root.parent / "other",
        device="cpu",
        quiet=True,
    )
    # decoding in other batches may round a level differently
    assert (again.samples().int() - whole.int()).abs().max() <= 1


def test_a_codec_of_another_shape_is_refused_before_training(autoencoder, tmp_path):
    recipe = load_recipe(
        "digits_latent",
        [
            f"codec.run={autoencoder.folder.root}",
            *LATENT,
            "data={name: blank, channels: 3, image_size: 8}",
        ],
    )
    with pytest.raises(ComponentError, match=r"encodes images of shape \(1, 8, 8\), and the data"):
        fmcore.run(recipe, out=tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_the_likelihood_of_latents_is_refused(autoencoder):
    recipe = load_recipe(
        "digits_latent",
        [f"codec.run={autoencoder.folder.root}", *LATENT, "evaluate={metrics: [bits_per_dim]}"],
    )
    with pytest.raises(ComponentError, match="BitsPerDim measures the density of the data"):
        Components.of(recipe).check()


def test_a_run_without_an_autoencoder_is_no_codec(latent):
    codec = create("codec", "autoencoder", run=str(latent.folder.root))
    with pytest.raises(ComponentError, match="has the model MLP: name a run with model"):
        codec.shape((1, 8, 8))


def test_a_missing_run_is_refused(tmp_path):
    recipe = load_recipe("digits_latent", [f"codec.run={tmp_path / 'none'}", *LATENT])
    with pytest.raises(RunError, match="none"):
        fmcore.run(recipe, out=tmp_path / "run", quiet=True)
    with pytest.raises(RecipeError, match=r"codec\.run must be given"):
        load_recipe("digits_latent", LATENT)


def test_images_that_cannot_be_halved_are_refused():
    with pytest.raises(ComponentError, match="multiples of 4, got"):
        create("model", "autoencoder", shape=(1, 6, 6), channels=[8, 8, 8])


def test_training_noise_is_a_function_of_seed_step_and_row(autoencoder):
    components = autoencoder.components
    batches = components.batches(components.train)
    shapes = {"latent": (2, 4, 4)}
    whole = batches.network_draws(shapes, 3, range(8))["draw/latent"]
    part = batches.network_draws(shapes, 3, range(5, 8))["draw/latent"]
    assert torch.equal(whole[5:], part)
    assert not torch.equal(whole, batches.network_draws(shapes, 4, range(8))["draw/latent"])
