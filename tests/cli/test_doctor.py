"""`fmcore doctor`: something absent is a note, something broken fails."""

from __future__ import annotations

import json
from importlib import metadata

import pytest

from fmcore.cli.doctor import environment, files, machine, plugins, software
from fmcore.cli.doctor.finding import Finding, run_check


def by_name(findings) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


@pytest.fixture
def versions(monkeypatch):
    """Versions that replace those of the installed distributions; None for one not installed."""
    real, other = metadata.version, {}

    def version(name: str) -> str:
        found = other.get(name, real(name) if name not in other else None)
        if found is None:
            raise metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(software, "_cannot_import", lambda module: "")
    return other


def test_software_in_order_is_reported_with_versions(versions):
    versions["torchvision"] = "9.9"
    found = by_name(software.software())
    assert {finding.state for finding in found.values()} == {"ok"}
    assert {"python", "fmcore", "torch", "numpy", "click", "torchvision"} <= set(found)
    assert "pytest" not in found  # of an extra


def test_the_unrelated_distribution_named_fmcore_is_broken(versions):
    versions["fmcore"] = "0.3"
    finding = by_name(software.software())["fmcore (unrelated)"]
    assert finding.state == "broken"
    assert "pip uninstall fmcore" in finding.text


def test_a_missing_or_old_dependency_is_broken_and_has_a_remedy(versions):
    versions["rich"] = "1.0"
    versions["safetensors"] = None
    found = by_name(software.software())
    assert found["rich"].text == "1.0, but fmcore needs rich>=13: pip install 'rich>=13'"
    assert found["safetensors"].state == "broken"
    assert found["safetensors"].text.startswith("not installed, but fmcore needs safetensors")


def test_a_torchvision_of_another_torch_is_a_note(versions, monkeypatch):
    versions["torchvision"] = "9.9"
    fault = {"torchvision": "RuntimeError: operator torchvision::nms does not exist"}
    monkeypatch.setattr(software, "_cannot_import", lambda module: fault.get(module, ""))
    finding = by_name(software.software())["torchvision"]
    assert finding.state == "note"
    assert "operator torchvision::nms does not exist" in finding.text
    versions["torchvision"] = None
    assert "not installed" in by_name(software.software())["torchvision"].text


def test_little_disk_space_is_a_note(monkeypatch):
    assert by_name(machine.machine())["cpu"].state == "ok"
    usage = type("Usage", (), {"free": 2**20})
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda folder: usage)
    assert by_name(machine.machine())["disk"].state == "note"


def test_failed_plugins_are_broken_and_the_components_of_others_are_counted(site, monkeypatch):
    site.install("bad", "1 / 0")
    site.install(
        "acme",
        "@hookimpl\ndef register_sources(register): register('mine', 'fmcore:Gaussian')",
    )
    monkeypatch.setattr(plugins, "registry", site.registry)
    found = by_name(plugins.plugins())
    assert (found["bad"].state, found["acme"].state) == ("broken", "ok")
    assert found["acme"].text == "1.0, 1 component"
    assert "ZeroDivisionError" in found["bad"].text


def test_weights_are_absent_corrupt_or_present(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    finding = by_name(files.weights())["inception"]
    folder = tmp_path / "hub" / "checkpoints"
    assert finding.state == "note"
    assert finding.text.endswith(f"{files.INCEPTION} to {folder}")
    folder.mkdir(parents=True)
    (folder / files.INCEPTION).write_bytes(b"half a download")
    assert by_name(files.weights())["inception"].state == "broken"
    monkeypatch.setattr(files, "INCEPTION", "weights-2cf24dba.pth")  # sha256 of "hello"
    (folder / files.INCEPTION).write_bytes(b"hello")
    assert by_name(files.weights())["inception"].state == "ok"


DATA = """
from dataclasses import dataclass
from fmcore import DataError, Dataset, hookimpl

@dataclass(frozen=True)
class Gone(Dataset):
    shape = (2,)
    fingerprint = "00000000"
    @property
    def length(self): raise DataError("copy the files to data.root")
    def batch(self, indices): raise DataError("gone")

@dataclass(frozen=True)
class Placed(Gone):
    root: str
    def __init__(self, *, root: str) -> None: ...

@hookimpl
def register_datasets(register):
    register("gone", Gone)
    register("placed", Placed)
    register("tall", "fmcore_data.toy:Toy")
"""


def test_datasets_are_opened_unless_an_option_is_required(site, tmp_path, monkeypatch):
    registry = site.registry()
    (tmp_path / "mine.py").write_text(DATA)
    registry.add_file(tmp_path / "mine.py")
    monkeypatch.setattr(files, "registry", lambda: registry)
    found = {finding.name: (finding.state, finding.text) for finding in files.data()}
    assert found == {
        "gone": ("note", "not available: copy the files to data.root"),
        "placed": (
            "note",
            "not checked: data.root=... is required; check it with `fmcore data show`",
        ),
        "tall": ("ok", "50,000 examples"),
    }


def test_a_check_that_raises_is_a_finding():
    def check():
        yield Finding("topic", "first", "ok", "fine")
        raise OSError("lost")

    first, second = run_check("topic", check)
    assert (first.state, second.state) == ("ok", "broken")
    assert second.text.startswith("OSError: lost")


@pytest.mark.parametrize(("state", "code"), [("ok", 0), ("note", 0), ("broken", 1)])
def test_only_what_is_broken_fails(call, monkeypatch, state, code):
    from fmcore.cli import doctor

    monkeypatch.setattr(doctor, "_check", lambda: [Finding("data", "toy", state, "some text")])
    ended = call("doctor")
    assert ended.code == code
    assert ended.out.splitlines()[0] == "data"
    assert ended.out.endswith(" toy: some text\n")
    printed = json.loads(call("doctor", "--json").out)
    assert printed["broken"] is (code == 1)
    assert printed["findings"] == [
        {"topic": "data", "name": "toy", "state": state, "text": "some text"}
    ]


def test_every_topic_is_checked(call):
    printed = json.loads(call("doctor", "--json").out)
    topics = {finding["topic"] for finding in printed["findings"]}
    assert topics == {"plugins", "software", "machine", "weights", "data", "environment"}
    assert not [f for f in printed["findings"] if f["name"] == "check"]


def test_optional_packages_the_cache_and_completion_come_with_a_remedy(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", "/bin/bash")
    monkeypatch.setenv("FMCORE_CACHE", str(tmp_path / "cache"))
    found = by_name(environment.environment())
    cache = tmp_path / "cache"
    assert found["cache"].text == (f"{cache}: created when a metric needs it; set by FMCORE_CACHE")
    assert found["completion"].state == "note"
    (tmp_path / ".bashrc").write_text('eval "$(fmcore completion bash)"\n')
    assert by_name(environment.environment())["completion"].text == "set up for bash"
    monkeypatch.setattr(environment, "missing", lambda needs: tuple(needs))
    pyarrow = by_name(environment.environment())["pyarrow"]
    assert "pip install 'fmcore-flow[parquet]'" in pyarrow.text
    assert "pytest" not in found


def test_without_fmcore_cache_the_default_folder_and_the_variable_are_named(monkeypatch, tmp_path):
    monkeypatch.delenv("FMCORE_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert "FMCORE_CACHE sets another folder" in by_name(environment.environment())["cache"].text


@pytest.mark.parametrize(
    ("cuda", "text"), [(None, "is a build without CUDA"), ("12.8", "is built for CUDA 12.8")]
)
def test_the_build_of_torch_is_explained(monkeypatch, cuda, text):
    import torch

    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    finding = by_name(machine.machine())["cuda"]
    assert finding.state == "note"
    assert f"torch {torch.__version__} {text}" in finding.text


def test_without_the_distribution_the_dependencies_are_not_looked_up(versions):
    versions["fmcore-flow"] = None
    found = by_name(software.software())
    assert (found["fmcore"].state, "torch" in found) == ("broken", False)
