"""Build what is published, and see that a stranger can install and use it.

    python tools/release.py dist             sdist and wheel into dist/, and what is in them
    python tools/release.py dist --install   then in an empty environment, from a folder of wheels,
                                             without network: install, `pip check`, try the commands

The wheel is built from the checkout and again from the unpacked sdist: the bytes must be the same.
`--install` downloads every dependency once, as someone does for machines without network; there
`pip install --no-index --find-links wheels fmcore-flow` is all it takes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
IN_SDIST = ("tests/conftest.py", "docs/recipes.md", "recipes/digits.yaml", "benchmarks/machine.py",
            "examples/one_file_path.py", "constraints.txt", "LICENSE", "Makefile")  # fmt: skip
IN_WHEEL = ("fmcore/py.typed", "fmcore/_recipes/digits.yaml", "fmcore_paths/ot.py")
TINY = ("run", "checkerboard", "train.steps=20", "sample.count=16", "evaluate=null", "expect={}")


def build(out: Path) -> tuple[Path, Path]:
    """The sdist and the wheel.  Raises SystemExit if one is not what it should be."""
    out.mkdir(parents=True, exist_ok=True)
    sdist, wheel = _built(ROOT, "sdist", out), _built(ROOT, "wheel", out)
    with tempfile.TemporaryDirectory() as place:
        with tarfile.open(sdist) as archive:
            archive.extractall(place, filter="data")
            inside = {name.partition("/")[2] for name in archive.getnames()}
        _require(inside, IN_SDIST, sdist)
        again = _built(next(Path(place).iterdir()), "wheel", Path(place) / "again")
        if _sha256(again) != _sha256(wheel):
            raise SystemExit(f"{wheel.name}: built from the sdist it has other bytes")
    with zipfile.ZipFile(wheel) as opened:
        _require(set(opened.namelist()), IN_WHEEL, wheel)
    return sdist, wheel


def try_out(wheel: Path) -> None:
    """Install `wheel` in an empty environment without network, and use it."""
    with tempfile.TemporaryDirectory() as place:
        home, wheels = Path(place), Path(place) / "wheels"
        known = ["--constraint", str(ROOT / "constraints.txt")]
        _said("download", [sys.executable, "-m", "pip", "wheel", "-q", "-w", wheels, *known, wheel])
        _said("environment", [sys.executable, "-m", "venv", home / "venv"])
        python = home / "venv" / "bin" / "python"
        offline = ["--no-index", "--find-links", wheels]
        alone = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1"}
        pip = [*_without_network(), python, "-m", "pip"]
        _said("install", [*pip, "install", "-q", *offline, "fmcore-flow"], home, alone)
        _said("pip check", [*pip, "check"], home, alone)
        command = [*_without_network(), home / "venv" / "bin" / "fmcore"]
        for words in (["--version"], ["--help"], ["plugins", "--json"], ["recipes"], ["doctor"]):
            _said(f"fmcore {' '.join(words)}", [*command, *words], home)
        _said(f"fmcore {' '.join(TINY)}", [*command, *TINY, "--out", "run"], home)
        if not (home / "run" / "report.html").is_file():
            raise SystemExit("the run left no report.html")


def _built(source: Path, kind: str, out: Path) -> Path:
    before = set(out.glob("*")) if out.exists() else set()
    for old in before:
        if old.name.startswith("fmcore_flow-") and (old.suffix == ".whl") == (kind == "wheel"):
            old.unlink()
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(out)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (made,) = out.glob("fmcore_flow-*.whl" if kind == "wheel" else "fmcore_flow-*.tar.gz")
    return made.resolve()


def _require(inside: set[str], wanted: Sequence[str], archive: Path) -> None:
    if lacking := [name for name in wanted if name not in inside]:
        raise SystemExit(f"{archive.name} lacks {', '.join(lacking)}")


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _without_network() -> list[str]:
    """A namespace without network, where this user may make one."""
    command = ["unshare", "--net", "--map-root-user"]
    if shutil.which("unshare") and not subprocess.run([*command, "true"], check=False).returncode:
        return command
    return []


def _said(
    what: str,
    command: Sequence[str | Path],
    folder: Path = ROOT,
    environment: dict[str, str] | None = None,
) -> None:
    """Run a command, and say how long it took.  Raises SystemExit with what it said if it fails."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "FMCORE_"))}
    began = time.monotonic()
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=clean | (environment or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{what}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    print(f"{time.monotonic() - began:6.1f} s  {what}", flush=True)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--install", action="store_true")
    asked = parser.parse_args()
    for made in (built := build(asked.out)):
        print(f"{_sha256(made)}  {made.name}")
    if asked.install:
        print("without network" if _without_network() else "with the network left as it is")
        try_out(built[1])


if __name__ == "__main__":
    main()
