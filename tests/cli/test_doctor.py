"""`fmcore doctor`: what is absent is a note, what is wrong fails."""

from __future__ import annotations

import json
from importlib import metadata

import pytest

from fmcore.cli.doctor import around, files, machine, plugins, software
from fmcore.cli.doctor.finding import Finding, examined


def by_name(findings) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


@pytest.fixture
def versions(monkeypatch):
    """Distributions that are installed besides the real ones, or instead."""
    real, other = metadata.version, {}

    def version(name: str) -> str:
        found = other.get(name, real(name) if name not in other else None)
        if found is None:
            raise metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(software, "_cannot_import", lambda module: "")
    return other


def test_a_sound_machine_is_told_with_versions(versions):
    versions["torchvision"] = "9.9"
    found = by_name(software.software())
    assert {finding.state for finding in found.values()} == {"ok"}
    assert {"python", "fmcore", "torch", "numpy", "click", "torchvision"} <= set(found)
    assert "pytest" not in found  # of an extra


def test_the_unrelated_distribution_called_fmcore_is_pointed_out(versions):
    versions["fmcore"] = "0.3"
    finding = by_name(software.software())["fmcore (unrelated)"]
    assert finding.state == "broken"
    assert "pip uninstall fmcore" in finding.text


def test_a_dependency_that_is_missing_or_old_comes_with_its_remedy(versions):
    versions["rich"] = "1.0"
    versions["safetensors"] = None
    found = by_name(software.software())
    assert found["rich"].text == "1.0, but fmcore needs rich>=13: pip install 'rich>=13'"
    assert found["safetensors"].state == "broken"
    assert found["safetensors"].text.startswith("not installed, but fmcore needs safetensors")


def test_a_torchvision_that_does_not_fit_is_told(versions, monkeypatch):
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


def test_plugins_that_fail_are_broken_and_the_others_counted(site, monkeypatch):
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


def test_weights_are_absent_damaged_or_there(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    finding = by_name(files.weights())["inception"]
    folder = tmp_path / "hub" / "checkpoints"
    assert finding.state == "note"
    assert str(folder / files.INCEPTION) in finding.text
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
    def length(self): raise DataError("put the files at data.root")
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


def test_data_sets_are_looked_for(site, tmp_path, monkeypatch):
    registry = site.registry()
    (tmp_path / "mine.py").write_text(DATA)
    registry.add_file(tmp_path / "mine.py")
    monkeypatch.setattr(files, "registry", lambda: registry)
    found = {finding.name: (finding.state, finding.text) for finding in files.data()}
    assert found == {
        "gone": ("note", "put the files at data.root"),
        "placed": ("note", "looked for when a recipe says root"),
        "tall": ("ok", "50,000 examples"),
    }


def test_an_examination_that_fails_is_a_finding():
    def examine():
        yield Finding("topic", "first", "ok", "fine")
        raise OSError("lost")

    first, second = examined("topic", examine)
    assert (first.state, second.state) == ("ok", "broken")
    assert second.text.startswith("OSError: lost")


@pytest.mark.parametrize(("state", "code"), [("ok", 0), ("note", 0), ("broken", 1)])
def test_only_what_is_broken_fails(call, monkeypatch, state, code):
    from fmcore.cli import doctor

    monkeypatch.setattr(doctor, "_examine", lambda: [Finding("data", "toy", state, "as told")])
    ended = call("doctor")
    assert ended.code == code
    assert ended.out.splitlines()[0] == "data"
    assert ended.out.endswith(" toy: as told\n")
    told = json.loads(call("doctor", "--json").out)
    assert told["broken"] is (code == 1)
    assert told["findings"] == [{"topic": "data", "name": "toy", "state": state, "text": "as told"}]


def test_the_doctor_looks_at_everything_here(call):
    told = json.loads(call("doctor", "--json").out)
    topics = {finding["topic"] for finding in told["findings"]}
    assert topics == {"plugins", "software", "machine", "weights", "data", "optional"}
    assert not [f for f in told["findings"] if f["name"] == "examination"]


def test_what_is_around_is_told_with_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", "/bin/bash")
    monkeypatch.setenv("FMCORE_CACHE", str(tmp_path / "cache"))
    found = by_name(around.around())
    assert "made when it is needed" in found["cache"].text
    assert found["completion"].state == "note"
    (tmp_path / ".bashrc").write_text('eval "$(fmcore completion bash)"\n')
    assert by_name(around.around())["completion"].text == "set up for bash"
    monkeypatch.setattr(around, "missing", lambda needs: tuple(needs))
    assert "pip install 'fmcore-flow[parquet]'" in by_name(around.around())["pyarrow"].text
    assert "pytest" not in found
