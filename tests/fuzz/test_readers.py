"""Broken and hostile files of every kind are read or refused: nothing runs, hangs or crashes."""

from __future__ import annotations

import os
import shutil
import string
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fmcore import RecipeError, load_recipe
from fmcore.errors import FmcoreError

from .formats import CANARY
from .guard import guarded
from .mutations import Folder
from .targets import TARGETS, target

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the limits are those of Linux"),
    pytest.mark.filterwarnings("ignore"),  # of libraries, about the broken files
]
quick = settings(
    derandomize=True,
    max_examples=40,
    deadline=None,  # the guard has its own, in processor time
    suppress_health_check=list(HealthCheck),
)
thorough = settings(quick, derandomize=False, max_examples=5_000, print_blob=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "case"


def write(folder: Folder, place: Path) -> None:
    """Make `folder` the only content of `place`."""
    shutil.rmtree(place, ignore_errors=True)
    for name, content in folder.items():
        file = place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def read(name: str, folder: Folder, place: Path) -> None:
    """Read `folder` under the guard; only an FmcoreError with a message may come out."""
    write(folder, place)
    message = "none, since it was read"
    with guarded(place):
        try:
            target(name).read(place)
        except FmcoreError as error:
            message = str(error)
    assert message.strip()
    assert not (place / CANARY).exists()


@pytest.mark.parametrize("name", TARGETS)
def test_valid_files_are_read(name, place):
    """Otherwise the tests below would see nothing but the first check of each reader."""
    write(target(name).valid, place)
    with guarded(place):
        target(name).read(place)


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.data())
@quick
def test_broken_files_are_read_or_refused(name, place, data):
    read(name, data.draw(target(name).broken), place)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", TARGETS)
@given(data=st.data())
@thorough
def test_many_broken_files_are_read_or_refused(name, place, data):
    read(name, data.draw(target(name).broken), place)


@given(st.text(string.printable, max_size=20) | st.text(max_size=20))
@quick
def test_any_text_names_a_recipe_or_is_refused(source):
    with suppress(RecipeError):
        load_recipe(source.replace(os.sep, "-"), partial=True)
