"""A small random AutoencoderKL, compared with diffusers itself."""

from __future__ import annotations

import json

import pytest
import torch

from fmcore import ComponentError, DataError, Rows, create
from fmcore.testing import CodecSuite
from fmcore_pretrained.autoencoder_kl import AutoencoderKL
from fmcore_pretrained.diffusers_library import _without_broken_torchvision

with _without_broken_torchvision():
    diffusers = pytest.importorskip("diffusers")

CONFIG = {
    "in_channels": 3,
    "out_channels": 3,
    "block_out_channels": (8, 16),
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "latent_channels": 4,
    "norm_num_groups": 4,
    "sample_size": 8,
    "scaling_factor": 0.5,
    "shift_factor": 0.25,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = diffusers.AutoencoderKL(**CONFIG)
    root = tmp_path_factory.mktemp("pipeline")
    network.save_pretrained(root / "vae")
    return root


def images(n: int) -> torch.Tensor:
    return torch.rand((n, 3, 8, 8), generator=torch.Generator().manual_seed(1)) * 2 - 1


def rows(n: int) -> Rows:
    return Rows(0, "codec", 0, range(n))


def test_latents_and_images_are_those_of_diffusers(folder):
    codec = AutoencoderKL(folder)
    theirs = diffusers.AutoencoderKL.from_pretrained(folder / "vae")
    with torch.no_grad():
        z = theirs.encode(images(3)).latent_dist.mode()
        decoded = theirs.decode(z).sample
    assert codec.shape((3, 8, 8)) == (4, 4, 4)
    latents = codec.encode(images(3), rows(3))
    torch.testing.assert_close(latents, (z - 0.25) * 0.5, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(codec.decode(latents).values, decoded, rtol=1e-3, atol=1e-3)


def test_a_sampled_posterior_is_a_function_of_the_row(folder):
    codec = AutoencoderKL(folder, posterior="sample")
    whole = codec.encode(images(3), rows(3))
    alone = codec.encode(images(3)[2:], Rows(0, "codec", 0, [2]))
    torch.testing.assert_close(alone, whole[2:], rtol=1e-3, atol=1e-3)
    assert (whole - AutoencoderKL(folder).encode(images(3), rows(3))).abs().max() > 1e-3


def test_options_and_weights_are_in_the_fingerprint(folder):
    names = [
        AutoencoderKL(folder, **options).fingerprint
        for options in ({}, {"posterior": "sample"}, {"scale": 2.0}, {"shift": 1.0})
    ]
    assert len(set(names)) == 4


def test_it_conforms(folder):
    from fmcore.testing import run_suite

    class Suite(CodecSuite):
        def component(self):
            # random weights reconstruct nothing
            return AutoencoderKL(folder, tolerance=10.0)

    assert not [f"{r.name}: {r.message}" for r in run_suite(Suite) if not r.passed]


def test_the_folder_is_recognized(folder, tmp_path):
    assert AutoencoderKL.found_in(folder) == AutoencoderKL(folder)
    assert AutoencoderKL.found_in(tmp_path) is None


def test_images_of_another_shape_are_refused(folder):
    with pytest.raises(ComponentError, match=r"takes images of 3 channels .* \(1, 8, 8\)"):
        AutoencoderKL(folder).shape((1, 8, 8))
    with pytest.raises(ComponentError, match="multiples of 2"):
        AutoencoderKL(folder).shape((3, 8, 7))


def test_the_shape_of_latents_can_be_given_without_the_files(folder, tmp_path):
    assert AutoencoderKL(tmp_path / "none", latents=(4, 4, 4)).shape((3, 8, 8)) == (4, 4, 4)
    assert AutoencoderKL(folder, latents=(4, 4, 4)).shape((3, 8, 8)) == (4, 4, 4)
    with pytest.raises(ComponentError, match=r"latents=\[4, 2, 2\], but .* to \[4, 4, 4\]"):
        AutoencoderKL(folder, latents=(4, 2, 2)).shape((3, 8, 8))


def test_another_network_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": "UNet2DModel"}))
    with pytest.raises(DataError, match="'UNet2DModel', should be AutoencoderKL"):
        create("codec", "autoencoder_kl", folder=str(tmp_path)).shape((3, 8, 8))
    with pytest.raises(DataError, match=r"set codec\.folder=PATH"):
        create("codec", "autoencoder_kl", folder=str(tmp_path / "none")).shape((3, 8, 8))
