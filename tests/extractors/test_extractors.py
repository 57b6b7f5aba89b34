"""The built-in extractors conform, and any extractor serves the metrics."""

from __future__ import annotations

import pytest
import torch

import fmcore
from fmcore import ComponentError, DataError, create
from fmcore.testing import ExtractorSuite


class TestLite0(ExtractorSuite):
    def component(self):
        return create("extractor", "lite0")


class TestLite0OfOneLayer(ExtractorSuite):
    size = (20, 16)  # enlarged

    def component(self):
        return create("extractor", "lite0", layer=192, size=32)


def test_one_layer_alone_has_the_features_of_all_layers():
    images = torch.randint(256, (2, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    images = images.to(torch.uint8)
    every = create("extractor", "lite0").features(images)
    one = create("extractor", "lite0", layer=192).features(images)
    assert list(one) == ["192"]
    torch.testing.assert_close(one["192"], every["192"])


def test_missing_weights_are_refused_with_file_hash_and_place(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(DataError) as refused:
        create("extractor", "inception").check()
    text = str(refused.value)
    assert "from:  https://github.com/toshas/torch-fidelity/releases" in text
    assert "sha256 6726825d" in text
    assert "extractor.file=FILE" in text


def test_a_metric_on_an_extractor_equals_the_one_with_its_own_name(tmp_path, monkeypatch):
    from fmcore.recipe.sections import Measure
    from fmcore.stages.measure import SampleSource, measure

    monkeypatch.setenv("FMCORE_CACHE", str(tmp_path))
    data = create("data", "digits")
    given = SampleSource.of_data(data.with_split("test"))
    metrics = [
        create("metric", "fd_lite0", reference_count=64, count=48),
        create("metric", "frechet_distance", extractor="lite0", reference_count=64, count=48),
    ]
    found = measure(given, data, Measure(metrics=metrics, count=48), quiet=True)
    assert found["frechet_distance"].value == pytest.approx(found["fd_lite0"].value, rel=1e-9)
    made = [dict(found[name].provenance) for name in ("frechet_distance", "fd_lite0")]
    assert made[0].pop("metric") != made[1].pop("metric")  # its name and options
    assert made[0] == made[1]
    # one reference serves both
    assert len(list((tmp_path / "references").iterdir())) == 1


def test_an_extractor_must_be_named():
    with pytest.raises(ComponentError, match="needs the option 'extractor': an extractor"):
        create("metric", "frechet_distance")
    assert fmcore.Extractor.kind == "extractor"
