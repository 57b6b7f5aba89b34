"""Small recipes that expand to large ones, or try to run code."""

from __future__ import annotations

import pytest

from fmcore import RecipeError, load_recipe
from fmcore.cli.console import table

REST = "data: {name: toy, figure: rings}\nmodel: {name: mlp}\n"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def error_of(tmp_path, text: str) -> str:
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(RecipeError) as caught:
        load_recipe(tmp_path / "r.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.mkdir [pwned]",
        "!!python/object/new:os.mkdir [pwned]",
        "!!python/name:os.mkdir",
        "!!python/module:os",
        "!!binary cHduZWQ=",
        "!include /etc/passwd",
    ],
)
def test_tags_build_nothing(tag, tmp_path):
    assert "builds no objects" in error_of(tmp_path, f"{REST}path: {tag}\n")
    assert not (tmp_path / "pwned").exists()


def test_aliases_that_expand_to_a_billion_values_are_refused(tmp_path):
    wide = "\n".join(
        f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]"
        for a, b in zip("abcdefghi", "bcdefghij", strict=True)
    )
    assert "more than 10000 values" in error_of(tmp_path, f"a: &a [x]\n{wide}\n")
    assert "nested more than 50" in error_of(tmp_path, "path: &a {source: *a}\n")


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 50_000, "- " * 100_000, "? " * 50_000])
def test_nesting_is_refused_where_it_gets_too_deep(text, tmp_path):
    """And not after the whole line has been read, which takes seconds."""
    assert "r.yaml:1:" in (message := error_of(tmp_path, f"path: {text}"))
    assert "nested more than 50 levels deep" in message or "not valid YAML" in message


def test_integers_too_long_to_write_out_are_refused(tmp_path):
    huge = "0x" + "f" * 10_000
    for key in ("betas", "ema", "steps", "lr"):
        message = error_of(tmp_path, f"{REST}path: ot\ntrain: {{steps: 1, {key}: {huge}}}\n")
        assert key in message
        assert len(message) < 1_000


@pytest.mark.parametrize("base", ["a" * 5_000, "../" * 2_000, '"\\0"', "~nobody/x"])
def test_a_base_that_cannot_be_a_file_is_reported_with_its_place(base, tmp_path):
    message = error_of(tmp_path, f"extends: {base}\n")
    assert message.startswith("r.yaml:1:10: ")
    assert len(message) < 1_000


def test_a_recipe_cannot_send_commands_to_the_terminal(capsys):
    table(("RUN",), [("a\x1b]0;owned\x07\x1b[2Jb\u202e",)])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "\u202e" not in out
