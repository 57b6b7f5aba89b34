"""The diffusion transformer: laws, published sizes, and diffusers' network weight for weight."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from fmcore import ComponentError, ConditionSpec, create
from fmcore.testing import ModelSuite
from fmcore_nets.dit import DiT
from fmcore_pretrained.diffusers_library import build
from fmcore_pretrained.sinusoids import Sinusoids

SMALL = {"width": 24, "depth": 2, "heads": 2}
VECTOR = ConditionSpec((2,), droppable=True)
IMAGE = ConditionSpec((3, 4, 4), droppable=True)


class TestDiT(ModelSuite):
    def component(self):
        return DiT(shape=self.shape, **SMALL)


class TestDiTWithEveryOption(ModelSuite):
    shape = (1, 8, 4)
    classes = 5
    entries: ClassVar = {"c": VECTOR, "image": IMAGE}

    def component(self):
        return DiT(
            shape=self.shape,
            **SMALL,
            patch=4,
            bottleneck=6,
            qk_norm=True,
            dropout=0.1,
            classes=5,
            recompute=True,
            conditions=("image", "c"),
            entries=self.entries,
        )


class TestDiTOnSequences(ModelSuite):
    shape = (3, 12)
    entries: ClassVar = {"c": VECTOR}

    def component(self):
        return DiT(shape=self.shape, **SMALL, conditions=("c",), entries=self.entries)


@pytest.mark.parametrize(
    ("width", "depth", "heads", "million"),
    # DiT-S, B, L, XL of patch 2 on 4x32x32 latents: Peebles & Xie 2023, table 1, is 33, 130, 458
    # and 675 M with a head of 8 channels and 1001 rows of classes
    [(384, 12, 6, 33), (768, 12, 12, 130), (1024, 24, 16, 458), (1152, 28, 16, 675)],
)
def test_dit_has_the_published_number_of_parameters(width, depth, heads, million):
    with torch.device("meta"):
        model = DiT(shape=(4, 32, 32), width=width, depth=depth, heads=heads, classes=1000)
    count = sum(p.numel() for p in model.parameters())
    learned_variance = (width + 1) * 4 * 4  # their head predicts a variance too
    null_class = width
    assert round((count + learned_variance + null_class) / 1e6) == million


def moved(model):
    """The network with random weights: many are 0 at initialisation."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape, dtype=parameter.dtype)
    return model


def diffusers_weights(model, width):
    """The weights of `model` under the names of diffusers' DiTTransformer2DModel."""
    own, weights = model.state_dict(), {}

    def put(theirs, ours):
        weights[f"{theirs}.weight"] = own[f"{ours}.weight"]
        weights[f"{theirs}.bias"] = own[f"{ours}.bias"]

    stem = own["stem.weight"]
    weights["pos_embed.proj.weight"] = stem.reshape(width, 3, 2, 2)
    weights["pos_embed.proj.bias"] = own["stem.bias"]
    null = torch.zeros(1, width, dtype=stem.dtype)  # here the null class adds nothing
    table = torch.cat([own["embedding.label.weight"], null])
    for i in range(len(model.blocks)):
        block, at = f"transformer_blocks.{i}", f"blocks.{i}"
        put(f"{block}.norm1.emb.timestep_embedder.linear_1", "embedding.inner")
        put(f"{block}.norm1.emb.timestep_embedder.linear_2", "embedding.outer")
        weights[f"{block}.norm1.emb.class_embedder.embedding_table.weight"] = table
        put(f"{block}.norm1.linear", f"{at}.modulation")
        for part, name in enumerate(("to_q", "to_k", "to_v")):
            rows = slice(part * width, (part + 1) * width)
            weights[f"{block}.attn1.{name}.weight"] = own[f"{at}.qkv.weight"][rows]
            weights[f"{block}.attn1.{name}.bias"] = own[f"{at}.qkv.bias"][rows]
        put(f"{block}.attn1.to_out.0", f"{at}.proj")
        put(f"{block}.ff.net.0.proj", f"{at}.inner")
        put(f"{block}.ff.net.2", f"{at}.outer")
    put("proj_out_1", "head.modulation")
    put("proj_out_2", "head.linear")
    return weights


@pytest.mark.skipif(find_spec("diffusers") is None, reason="diffusers is not installed")
def test_dit_equals_the_transformer_of_diffusers_weight_for_weight():
    width, heads = 16, 2
    ours = moved(DiT(shape=(3, 8, 8), width=width, depth=2, heads=heads, classes=4).double())
    config = {
        "_class_name": "DiTTransformer2DModel",
        "norm_type": "ada_norm_zero",
        "num_attention_heads": heads,
        "attention_head_dim": width // heads,
        "in_channels": 3,
        "out_channels": 3,
        "num_layers": 2,
        "sample_size": 8,
        "patch_size": 2,
        "num_embeds_ada_norm": 4,
        "norm_eps": 1e-6,
    }
    theirs = build(config, Path("config.json")).double().eval()
    theirs.load_state_dict(diffusers_weights(ours, width), strict=True)
    for module in theirs.modules():
        if isinstance(module, Sinusoids):
            module.shift = 0.0  # DiT's frequencies; diffusers stretches them by 128/127
    x = torch.randn(5, 3, 8, 8, dtype=torch.float64)
    t = torch.tensor([0.0, 0.2, 0.5, 0.9, 1.0], dtype=torch.float64)
    label = torch.tensor([0, 1, 2, 3, -1])
    with torch.no_grad():
        expected = theirs(x, 1000 * t, class_labels=label.where(label >= 0, 4)).sample
        found = ours(x, t, {"label": label})
    assert float(expected.abs().mean()) > 0.1
    # diffusers holds the positions in float32
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_recompute_changes_no_gradient():
    options = {"shape": (1, 8, 8), **SMALL}
    plain = moved(DiT(**options).double())
    again = DiT(**options, recompute=True).double()
    again.load_state_dict(plain.state_dict())
    gradients = []
    for model in (plain, again):
        torch.manual_seed(1)
        x, t = torch.randn(2, 1, 8, 8, dtype=torch.float64), torch.tensor([0.2, 0.7]).double()
        model(x, t).square().sum().backward()
        gradients.append([p.grad for p in model.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_dit_of_two_times_reads_the_second():
    model = moved(DiT(shape=(1, 4, 4), **SMALL, span=True))
    x, t = torch.randn(2, 1, 4, 4), torch.tensor([0.1, 0.2])
    here = model(x, t)
    torch.testing.assert_close(model(x, t, until=t), here)
    assert not torch.allclose(model(x, t, until=torch.ones(2)), here)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (2,)}, "needs images"),
        ({"shape": (1, 28, 28), "patch": 8}, "patches that do: 1, 2, 4, 7, 14, 28"),
        ({"shape": (1, 8, 8), "width": 20, "heads": 3}, "not a multiple of heads 3"),
        ({"shape": (1, 8, 8), "width": 6, "heads": 3}, "multiple of 4"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ComponentError, match=message):
        create("model", "dit", **options)
