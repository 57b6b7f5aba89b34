"""Build the distribution, and try it in an empty environment.

    python tools/release.py dist             sdist and wheel into dist/, and a check of their files
    python tools/release.py dist --install   then also, in an empty environment and without network:
                                             install from a folder of wheels, `pip check`, commands

`build` makes the wheel from the sdist, so that the sdist is complete. `--install` downloads every
dependency once, as for machines without network (docs/cluster.md).
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
    """Build the sdist and the wheel.  Raises SystemExit if one lacks a file."""
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("fmcore_flow-*"):
        old.unlink()
    # Without isolation: hatchling is installed already, and a machine may have no network.
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", out.resolve(), ROOT]
    subprocess.run(command, check=True, capture_output=True)
    (sdist,), (wheel,) = out.resolve().glob("*.tar.gz"), out.resolve().glob("*.whl")
    with tarfile.open(sdist) as archive:
        _require({name.partition("/")[2] for name in archive.getnames()}, IN_SDIST, sdist)
    with zipfile.ZipFile(wheel) as opened:
        _require(set(opened.namelist()), IN_WHEEL, wheel)
    return sdist, wheel


def try_out(wheel: Path) -> None:
    """Install `wheel` in an empty environment without network, and run commands."""
    with tempfile.TemporaryDirectory() as place:
        home, wheels = Path(place), Path(place) / "wheels"
        known = ["--constraint", str(ROOT / "constraints.txt")]
        _run("download", [sys.executable, "-m", "pip", "wheel", "-q", "-w", wheels, *known, wheel])
        _run("environment", [sys.executable, "-m", "venv", home / "venv"])
        python = home / "venv" / "bin" / "python"
        offline = ["--no-index", "--find-links", wheels]
        alone = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1"}
        pip = [*_without_network(), python, "-m", "pip"]
        _run("install", [*pip, "install", "-q", *offline, "fmcore-flow"], home, alone)
        _run("pip check", [*pip, "check"], home, alone)
        command = [*_without_network(), home / "venv" / "bin" / "fmcore"]
        for words in (["--version"], ["--help"], ["plugins", "--json"], ["recipes"], ["doctor"]):
            _run(f"fmcore {' '.join(words)}", [*command, *words], home)
        _run(f"fmcore {' '.join(TINY)}", [*command, *TINY, "--out", "run"], home)
        if not (home / "run" / "report.html").is_file():
            raise SystemExit("the run left no report.html")


def _require(inside: set[str], wanted: Sequence[str], archive: Path) -> None:
    if lacking := [name for name in wanted if name not in inside]:
        raise SystemExit(f"{archive.name} lacks {', '.join(lacking)}")


def _without_network() -> list[str]:
    """Return the command prefix for a namespace without network; empty where none is allowed."""
    command = ["unshare", "--net", "--map-root-user"]
    if shutil.which("unshare") and not subprocess.run([*command, "true"], check=False).returncode:
        return command
    return []


def _run(
    what: str,
    command: Sequence[str | Path],
    folder: Path = ROOT,
    environment: dict[str, str] | None = None,
) -> None:
    """Run a command and print its duration.  Raises SystemExit with its output if it fails."""
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
    built = build(asked.out)
    for file in built:
        print(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}")
    if asked.install:
        print("without network" if _without_network() else "with network: cannot cut it off here")
        try_out(built[1])


if __name__ == "__main__":
    main()
