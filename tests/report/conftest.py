"""A run made in a second, and what a browser would see of a page."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

import fmcore
from fmcore.runs.folder import RunFolder

RECIPE = """
seed: 3
data: {name: toy, figure: checkerboard, count: 256}
path: ot
model: {name: mlp, width: 8, depth: 1}
train: {steps: 20, batch_size: 32, log_every: 1, warmup: 0, sample_every: 10}
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
    with pytest.raises(fmcore.FmcoreError, match="expected otherwise"):
        fmcore.run(place / "small.yaml", out=place / "run", quiet=True, device="cpu")
    return RunFolder.open(place / "run", lambda line: None)


@pytest.fixture
def copied(finished, tmp_path) -> RunFolder:
    """The same run, to be spoilt."""
    import shutil

    shutil.copytree(finished.root, tmp_path / "run")
    return RunFolder.open(tmp_path / "run", lambda line: None)


@pytest.fixture
def read():
    return Page
