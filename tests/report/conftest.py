"""A run made in a second, a parser of pages, and a real browser."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fmcore
from fmcore.runs.folder import RunFolder

RECIPE = """
seed: 3
data: {name: toy, figure: checkerboard, count: 256}
path: ot
model: {name: mlp, width: 8, depth: 1}
train: {steps: 20, batch_size: 32, log_every: 1, sample_every: 10}
sample: {solver: {name: midpoint, nfe: 8}, count: 24, batch_size: 16}
evaluate: {metrics: [nfe, nll], count: 12}
expect: {nll: {max: -100}}
"""

VOID = {"meta", "img", "source", "br", "link", "hr", "input"}


class Page(HTMLParser):
    """Tags with their attributes, ids of sections, and the text that a person reads."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.source = file.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data

    @property
    def sections(self) -> list[str]:
        return [a["id"] or "" for tag, a in self.tags if tag == "section"]

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> RunFolder:
    """A whole run, whose bound was missed; to be read only."""
    place = tmp_path_factory.mktemp("report")
    (place / "small.yaml").write_text(RECIPE)
    with pytest.raises(fmcore.FmcoreError, match="outside the bounds of expect"):
        fmcore.run(place / "small.yaml", out=place / "run", quiet=True, device="cpu")
    return RunFolder.open(place / "run", lambda line: None)


@pytest.fixture
def copied(finished, tmp_path) -> RunFolder:
    """The same run, to be changed."""
    shutil.copytree(finished.root, tmp_path / "run")
    return RunFolder.open(tmp_path / "run", lambda line: None)


@pytest.fixture
def read():
    return Page


FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--force-device-scale-factor=1"),
)


@dataclass
class Browser:
    """Chromium without a screen, with a profile of its own."""

    program: str
    place: Path

    def browse(self, *words: str) -> str:
        """What Chromium prints when called with `words`."""
        command = [self.program, *FLAGS, f"--user-data-dir={self.place / 'profile'}", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout

    def photographed(self, url: str, width: int, height: int, *words: str):
        """The page as pixels."""
        file = self.place / "shot.png"
        self.browse(f"--screenshot={file}", f"--window-size={width},{height}", *words, url)
        return np.asarray(Image.open(file).convert("RGB")).astype(int)

    def title_of(self, frame: Path) -> str:
        """The title that the script of `frame` leaves."""
        seen = self.browse("--allow-file-access-from-files", "--dump-dom", frame.as_uri())
        return seen.partition("<title>")[2].partition("</title>")[0]


@pytest.fixture
def browser(tmp_path) -> Browser:
    """A real browser, where there is one."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("Chromium is not installed")
    return Browser(program, tmp_path)
