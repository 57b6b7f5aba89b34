from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from fmcore import DataError
from fmcore_metrics.fd_lite0 import FDLite0
from fmcore_metrics.kid_lite0 import KIDLite0
from fmcore_metrics.moments import Moments
from fmcore_metrics.reference import Reference, load_reference, save_reference

from .conftest import Evaluate, Pictures, Stream, measured


def flat(levels: Tensor) -> Tensor:
    flat.calls += 1  # type: ignore[attr-defined]
    return levels.flatten(1).float()


@pytest.fixture
def reference() -> Reference:
    flat.calls = 0  # type: ignore[attr-defined]
    space = {"extractor": "pixels", "resize": "none"}
    return Reference(Pictures(length=300, shape=(1, 2, 2)), flat, space)


def test_moments_are_those_of_the_features(reference: Reference, tmp_path: Path) -> None:
    x = reference.data.batch(range(300))["x1"].flatten(1).double()
    found = reference.moments(tmp_path)
    torch.testing.assert_close(found.mean, x.mean(0))
    torch.testing.assert_close(found.covariance, x.T.cov())
    assert torch.equal(reference.rows(tmp_path).double(), x)


def test_they_are_computed_once(reference: Reference, tmp_path: Path) -> None:
    first = reference.moments(tmp_path)
    calls = flat.calls  # type: ignore[attr-defined]
    second = reference.moments(tmp_path)
    assert calls == flat.calls  # type: ignore[attr-defined]
    assert torch.equal(first.scatter, second.scatter)
    assert first.count == second.count == 300


@pytest.mark.parametrize(
    "change",
    [
        {"count": 100},
        {"space": {"extractor": "pixels", "resize": "other"}},
        {"data": Pictures(length=300, shape=(1, 2, 2), split="test")},
    ],
)
def test_other_settings_have_another_file(
    change: dict[str, object], reference: Reference, tmp_path: Path
) -> None:
    reference.moments(tmp_path)
    replace(reference, **change).moments(tmp_path)  # type: ignore[arg-type]
    assert len(list(tmp_path.glob("pixels-moments-*.safetensors"))) == 2


def test_reference_examples_are_spread_over_the_split(reference: Reference, tmp_path: Path) -> None:
    part = replace(reference, count=3)
    expected = reference.data.batch([0, 100, 200])["x1"].flatten(1).float()
    assert torch.equal(part.rows(tmp_path), expected)
    assert replace(reference, count=1000).length == 300


def test_a_corrupt_file_in_the_cache_is_computed_again(
    reference: Reference, tmp_path: Path
) -> None:
    first = reference.moments(tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-7])
    assert torch.equal(reference.moments(tmp_path).mean, first.mean)
    load_reference(file, {"holds": "moments", **reference.provenance})


@pytest.fixture
def given_file(reference: Reference, tmp_path: Path) -> Path:
    file = tmp_path / "given" / "reference.safetensors"
    file.parent.mkdir()
    reference.moments(tmp_path / "cache")
    (made,) = (tmp_path / "cache").iterdir()
    return made.rename(file)


def test_a_reference_file_replaces_the_computation(
    reference: Reference, given_file: Path, tmp_path: Path
) -> None:
    flat.calls = 0  # type: ignore[attr-defined]
    found = reference.moments(tmp_path / "none", str(given_file))
    assert isinstance(found, Moments)
    assert flat.calls == 0  # type: ignore[attr-defined]
    assert not (tmp_path / "none").exists()


def test_a_result_names_its_reference_file(evaluation: Evaluate) -> None:
    given = evaluation(Pictures(length=30))
    batch = Stream(given.data).rows(range(20))
    fd = measured(FDLite0(), given, batch)["fd_lite0"]
    kid = measured(KIDLite0(subsets=2), given, batch)["kid_lite0"]
    moments, features = (given.cache / r.details["reference_file"] for r in (fd, kid))
    assert moments.is_file()
    assert features.is_file()
    again = measured(FDLite0(reference_file=str(moments)), given, batch)["fd_lite0"]
    assert again.value == pytest.approx(fd.value, rel=1e-9)  # within LAPACK's rounding
    assert again.provenance == fd.provenance
    with pytest.raises(DataError, match="holds: features in the file, moments wanted"):
        measured(FDLite0(reference_file=str(features)), given, batch)


def test_a_file_of_other_data_is_refused_with_the_difference(
    reference: Reference, given_file: Path, tmp_path: Path
) -> None:
    other = replace(reference, data=Pictures(length=300, shape=(1, 2, 2), noise=2.0))
    with pytest.raises(
        DataError, match=r"computed with other settings:\n  reference_data: .* in the file, .*"
    ):
        other.moments(tmp_path, str(given_file))


def test_a_corrupt_file_is_refused(reference: Reference, given_file: Path, tmp_path: Path) -> None:
    content = bytearray(given_file.read_bytes())
    content[-1] ^= 1
    given_file.write_bytes(content)
    with pytest.raises(DataError, match="damaged: its checksum does not hold"):
        reference.moments(tmp_path, str(given_file))


def test_a_file_with_values_that_are_not_finite_is_refused(
    reference: Reference, tmp_path: Path
) -> None:
    settings = {"holds": "moments", **reference.provenance}
    tensors = {"mean": torch.zeros(4), "scatter": torch.full((4, 4), torch.inf)}
    save_reference(tmp_path / "bad.safetensors", tensors, settings)
    with pytest.raises(DataError, match="holds values that are not finite"):
        reference.moments(tmp_path, str(tmp_path / "bad.safetensors"))


def test_a_file_of_another_program_is_refused(
    reference: Reference, given_file: Path, tmp_path: Path
) -> None:
    save_file(load_file(given_file), given_file)
    with pytest.raises(DataError, match="is no reference file of fmcore"):
        reference.moments(tmp_path, str(given_file))
    given_file.write_text("mean: 0")
    with pytest.raises(DataError, match="unreadable"):
        reference.moments(tmp_path, str(given_file))
    with pytest.raises(DataError, match="there is no reference file"):
        reference.moments(tmp_path, str(tmp_path / "none"))


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        save_reference(tmp_path / "file" / "x", {"a": torch.ones(1)}, {})
