"""fid, kid, prc and isc with an Inception of random weights, and without weights."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from fmcore import ComponentError, DataError
from fmcore.recipe.sections import Measure
from fmcore.stages.measure import SampleSource, measure
from fmcore_extractors import inception, vision_ops
from fmcore_extractors.vision_ops import import_torchvision
from fmcore_metrics import chunks
from fmcore_metrics.fid import FID
from fmcore_metrics.isc import ISC
from fmcore_metrics.kid import KID
from fmcore_metrics.prc import PRC

from .conftest import Evaluate, Pictures, Points, Stream, measured, measured_together


def random_inception() -> dict[str, torch.Tensor]:
    """A state dict of torch-fidelity's Inception whose features vary with the picture."""
    import_torchvision()
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3 as Theirs

    class Empty(Theirs):
        def load_state_dict(self, *_: Any, **__: Any) -> Any:
            return None

    with torch.random.fork_rng(devices=[]), pytest.MonkeyPatch.context() as patch:
        torch.manual_seed(0)
        patch.setattr(torch, "load", lambda *_, **__: {})
        network = Empty("random", ["2048"], feature_extractor_weights_path="none")
        for layer in network.modules():
            if isinstance(layer, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(layer.weight)
    state: dict[str, torch.Tensor] = network.state_dict()
    return state


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The options that name a file of random weights."""
    file = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(random_inception(), file)
    yield {
        "weights": str(file),
        "weights_sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
    }
    inception.inception.cache_clear()


@pytest.mark.slow
def test_every_inception_metric_equals_torch_fidelity(
    weights: dict[str, str], evaluation: Evaluate
) -> None:
    import torch_fidelity

    data = Pictures(shape=(1, 8, 8), length=24)
    given = evaluation(data)
    rows = Stream(given.data).rows(range(20))
    first, second = rows.rows(torch.arange(7, 20)), rows.rows(torch.arange(7))
    metrics: list[Any] = [
        FID(**weights),
        KID(**weights, subsets=3, subset_size=15),
        PRC(**weights),
        ISC(**weights, splits=2),
    ]
    found = measured_together(metrics, given, first, second)

    class Shown(torch.utils.data.Dataset[torch.Tensor]):
        def __init__(self, levels: torch.Tensor) -> None:
            stretched = (levels.float() * 255 / 16).round().to(torch.uint8)
            self.pictures = stretched.expand(-1, 3, -1, -1)

        def __len__(self) -> int:
            return len(self.pictures)

        def __getitem__(self, i: int) -> torch.Tensor:
            return self.pictures[i]

    assert rows.levels is not None
    theirs = torch_fidelity.calculate_metrics(
        input1=Shown(rows.levels),
        input2=Shown(data.batch(range(24))["x1"]),
        cuda=False,
        feature_extractor="inception-v3-compat",
        feature_extractor_weights_path=weights["weights"],
        fid=True,
        kid=True,
        prc=True,
        isc=True,
        kid_subsets=3,
        kid_subset_size=15,
        isc_splits=2,
        save_cpu_ram=True,
        cache=False,
        verbose=False,
    )
    assert theirs["frechet_inception_distance"] > 1e-3
    assert found["fid"].value == pytest.approx(theirs["frechet_inception_distance"], rel=1e-3)
    assert found["kid"].value == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-3)
    assert found["prc_precision"].value == pytest.approx(theirs["precision"], abs=1e-6)
    assert found["prc_recall"].value == pytest.approx(theirs["recall"], abs=1e-6)
    assert found["isc"].value == pytest.approx(theirs["inception_score_mean"], rel=1e-5)

    made = found["fid"].provenance
    assert made["extractor"] == "inception-v3-compat"
    assert made["extractor_sha256"] == weights["weights_sha256"]
    assert made["extractor_package"].startswith("torch-fidelity ")
    assert made["uint8"] == "round(255 k / (levels - 1))"
    assert made["reference_flips"] == "none"
    assert (made["count"], made["reference_count"], made["layer"]) == (20, 24, "pool")
    assert "only 20 rows for 2048 features" in found["fid"].details["biased"]
    assert found["isc"].provenance["extractor_sha256"] == weights["weights_sha256"]


def test_samples_are_measured_on_a_file_of_weights_from_end_to_end(
    weights: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in `fmcore measure`: the file's hash, the network, tallies, reference, results."""
    monkeypatch.setenv("FMCORE_CACHE", str(tmp_path))
    monkeypatch.setattr(chunks, "CHUNK", 4)
    chunks.features_of.cache_clear()
    metrics = [FID(**weights), KID(**weights, subsets=2), ISC(**weights, splits=1)]
    data = Pictures(shape=(3, 8, 8), length=4)
    given = SampleSource.of_data(data.with_split("test"))
    found = measure(given, data, Measure(metrics=metrics, batch_size=2), quiet=True)
    assert set(found) == {"fid", "kid", "isc"}
    assert found["fid"].value > 0
    assert "only 4 rows for 2048 features" in found["fid"].details["biased"]
    assert found["fid"].provenance["extractor_sha256"] == weights["weights_sha256"]
    assert (tmp_path / "references" / found["fid"].details["reference_file"]).is_file()
    assert not list((tmp_path / "partial_metrics").iterdir())
    itself = measure(SampleSource.of_data(data), data, Measure(metrics=metrics[:1]), quiet=True)
    assert itself["fid"].value == pytest.approx(0, abs=1e-3 * found["fid"].value)


@pytest.mark.parametrize("metric", [FID, KID, PRC, ISC])
def test_without_weights_the_message_names_the_file_its_source_and_its_place(
    metric: Any, evaluation: Evaluate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    data = Pictures()
    with pytest.raises(DataError) as caught:
        metric().check(data, evaluation(data).path)
    message = str(caught.value)
    file = tmp_path / "hub" / "checkpoints" / "weights-inception-2015-12-05-6726825d.pth"
    assert f"{file} is not there" in message
    assert "from:  https://github.com/toshas/torch-fidelity/releases/" in message
    assert f"to:    {file}" in message
    assert "fd_lite0" in message


def test_weights_of_another_hash_are_refused_before_training(
    evaluation: Evaluate, tmp_path: Path
) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(b"other")
    data = Pictures()
    with pytest.raises(
        DataError, match=r"Inception weights are not what they should be: .* 672682"
    ):
        FID(weights=str(file)).check(data, evaluation(data).path)


def test_weights_of_another_network_are_refused(evaluation: Evaluate, tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    torch.save({"layer": torch.ones(1)}, file)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    data = Pictures()
    metric = FID(weights=str(file), weights_sha256=sha256)
    with pytest.raises(DataError, match="not those of torch-fidelity's Inception"):
        measured(metric, evaluation(data), Stream(data).rows(range(3)))


def test_points_are_refused(evaluation: Evaluate) -> None:
    with pytest.raises(ComponentError, match="fid compares images; Points gives points"):
        FID().check(Points(), evaluation(Points()).path)


def test_torchvision_imports_with_a_cpu_build_of_torch() -> None:
    import_torchvision()
    import_torchvision()
    from torchvision.transforms import functional

    assert functional.hflip(torch.tensor([[[1, 2]]])).tolist() == [[[2, 1]]]


def test_another_error_of_torchvision_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> Any:
        raise RuntimeError("something else")

    monkeypatch.setattr(importlib, "import_module", broken)
    declared = len(vision_ops._declared)
    with pytest.raises(RuntimeError, match="something else"):
        import_torchvision()
    assert len(vision_ops._declared) == declared
