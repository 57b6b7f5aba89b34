"""`fmcore plugins ls` and `show`: installed components, and plugins that failed."""

from __future__ import annotations

import json

import pytest

from fmcore.errors import RecipeError

GOOD = """
@hookimpl
def register_sources(register):
    target = "fmcore.interfaces.gaussian:Gaussian"
    register("mine", target, summary="of acme", needs=["no-such-dist>=2"])
"""
BAD = "raise ValueError('out of cheese')"


def test_ls_lists_components_and_after_them_the_plugins_that_failed(call, site):
    site.install("acme", GOOD, version="1.5")
    bad = site.install("bad", BAD)
    ended = call("plugins", "ls", "--kind", "source")
    lines = [line.split() for line in ended.out.splitlines()]
    assert lines[0] == ["KIND", "NAME", "PLUGIN", "VERSION", "SUMMARY", "NEEDS"]
    assert ["source", "mine", "acme", "1.5", "of", "acme", "[no-such-dist>=2]"] in lines
    tail = f"Failed\nplugin bad 1.0: ValueError: out of cheese ({bad}:4)\n"
    assert ended.out.endswith(tail)
    assert (ended.code, ended.err) == (0, "")


def test_plugins_without_a_command_is_ls_with_its_options(call):
    assert call("plugins").out == call("plugins", "ls").out
    assert call("plugins", "--kind", "path").out == call("plugins", "ls", "--kind", "path").out


def test_ls_prints_json_for_other_programs(call, site):
    site.install("acme", GOOD, version="1.5")
    bad = site.install("bad", BAD)
    printed = json.loads(call("plugins", "--json", "--kind", "source").out)
    assert {
        "kind": "source",
        "name": "mine",
        "plugin": "acme",
        "version": "1.5",
        "target": "fmcore.interfaces.gaussian:Gaussian",
        "summary": "of acme",
        "needs": ["no-such-dist>=2"],
        "missing": ["no-such-dist>=2"],
    } in printed["components"]
    assert printed["failures"] == [
        {
            "plugin": "bad",
            "version": "1.0",
            "error": "ValueError: out of cheese",
            "where": f"{bad}:4",
        }
    ]
    assert printed["left_out"] == []


def test_ls_names_the_plugins_that_the_allow_list_leaves_out(call, site, monkeypatch):
    site.install("acme", GOOD)
    monkeypatch.setenv("FMCORE_PLUGINS", "none")
    assert call("plugins").out.endswith("Left out by FMCORE_PLUGINS: acme\n")
    assert json.loads(call("plugins", "--json").out)["left_out"] == ["acme"]


def test_ls_shows_tracebacks_when_debugging(call, site, monkeypatch):
    site.install("bad", BAD)
    monkeypatch.setenv("FMCORE_DEBUG", "1")
    assert "Traceback (most recent call last)" in call("plugins").out


COMMANDS = (
    ["--help"],
    ["recipes", "ls"],
    ["recipes", "check", "checkerboard"],
    ["plugins", "show", "ot"],
)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_broken_plugin_changes_no_result(call, site, words):
    from fmcore.registry import forget

    intact = call(*words)
    forget()
    site.install("bad", "raise SystemExit(9)")
    broken = call(*words)
    assert broken.out == intact.out
    assert broken.code == intact.code == 0


def test_commands_that_use_components_warn_in_a_line_of_a_failed_plugin(call, site):
    site.install("bad", BAD)
    assert call("plugins", "show", "ot").err == (
        "warning: failed plugins: bad; see `fmcore plugins`\n"
    )


OT = """\
path ot: straight, constant speed, width sigma_min at the data (eq. 20)
plugin fmcore_paths 0.1.0, fmcore_paths.ot:OTPath
{code}

Conditional optimal transport: every sample moves in a straight line at constant speed.
"""


def test_show_prints_docstring_options_yaml_and_code(call):
    import inspect

    from fmcore_paths.ot import OTPath

    ended = call("plugins", "show", "ot")
    code = f"{inspect.getsourcefile(OTPath)}:{inspect.getsourcelines(OTPath)[1]}"
    assert ended.out.startswith(OT.format(code=code))
    rows = [line.split("  ") for line in ended.out.splitlines()]
    assert ["sigma_min", "a number >= 0 and < 1"] in [[c.strip() for c in r if c][:2] for r in rows]
    assert "\npath:\n  name: ot\n  sigma_min: 0.0001\n" in ended.out


@pytest.mark.parametrize(
    ("kind", "name", "begins"),
    [
        ("source", "gaussian", "path:\n  source:\n    name: gaussian\n"),
        ("solver", "euler", "sample:\n  solver:\n    name: euler\n"),
        ("model", "mlp", "model:\n  name: mlp\n  width: "),
        ("data", "toy", "data:\n  name: toy\n"),
    ],
)
def test_show_prints_yaml_under_the_key_of_the_kind(call, kind, name, begins):
    printed = json.loads(call("plugins", "show", name, "--kind", kind, "--json").out)
    assert printed["yaml"].startswith(begins)


def test_the_yaml_of_every_path_is_a_part_of_a_valid_recipe(call, tmp_path):
    from fmcore.recipe.load import load_recipe
    from fmcore.registry import registry

    base = "data: toy\npath: ot\nmodel: mlp\n"
    for entry in registry().entries("path"):
        text = json.loads(call("plugins", "show", entry.name, "--kind", "path", "--json").out)
        file = tmp_path / "part.yaml"
        file.write_text(base.replace("path: ot\n", text["yaml"]), encoding="utf-8")
        if any(option["required"] for option in text["options"]):
            with pytest.raises(RecipeError, match="must be given"):
                load_recipe(file)
        else:
            assert load_recipe(file).values["path"]["name"] == entry.name


def test_show_prints_json_with_options(call):
    printed = json.loads(call("plugins", "show", "mlp", "--json").out)
    options = {option["name"]: option for option in printed["options"]}
    assert options["width"]["type"] == "an integer > 0"
    assert options["width"]["required"] is False
    assert isinstance(options["width"]["default"], int)
    assert "default" not in options["shape"]


def test_show_asks_for_the_kind_of_a_name_that_several_have(call, site):
    site.install("acme", GOOD.replace("mine", "ot").replace(', needs=["no-such-dist>=2"]', ""))
    ended = call("plugins", "show", "ot")
    assert (ended.code, ended.err) == (
        2,
        "error: 'ot' is a path and a source: add --kind path or --kind source\n",
    )
    assert call("plugins", "show", "ot", "--kind", "source").out.startswith("source ot: of acme")
    assert call("plugins", "show", "acme/ot").out.startswith("source ot: of acme")


def test_show_of_an_unknown_name_suggests_another(call):
    assert call("plugins", "show", "dopri55").err == (
        "error: no component is named 'dopri55'; did you mean 'dopri5'? see `fmcore plugins`\n"
    )


def test_show_of_a_plugin_lists_its_components(call):
    ended = call("plugins", "show", "fmcore_couplings")
    assert ended.code == 2
    assert "'fmcore_couplings': it is a plugin; its components: independent, " in ended.err


ONE_FILE = '''
from dataclasses import dataclass
import torch
from fmcore import Source, hookimpl

@dataclass(frozen=True)
class Still(Source):
    """A constant."""
    level: float = 0.5
    def sample(self, rows, shape, condition=None, dtype=torch.float32):
        return torch.full((len(rows), *shape), self.level, dtype=dtype)
    def log_prob(self, x, condition=None):
        return x.flatten(1).sum(1)

@hookimpl
def register_sources(register):
    register("still", Still, summary="still, constant")
'''


def test_one_file_plugins_are_loaded_from_the_command_line(call, tmp_path):
    (tmp_path / "one.py").write_text(ONE_FILE)
    (tmp_path / "two.py").write_text(ONE_FILE.replace("still", "calm"))
    words = ("--plugin", "one.py", "--plugin", "two.py")
    assert "plugin one sha256:" in call("plugins", "show", "still", *words).out
    assert "calm, constant" in call("plugins", "show", "two/calm", *words).out


@pytest.mark.parametrize("command", ["show", "check"])
def test_a_name_of_two_plugins_is_refused_with_both_full_names(call, tmp_path, command):
    (tmp_path / "one.py").write_text(ONE_FILE)
    (tmp_path / "two.py").write_text(ONE_FILE)
    ended = call("plugins", command, "still", "--plugin", "one.py", "--plugin", "two.py")
    assert (ended.code, ended.out) == (2, "")
    assert "source 'still' is registered by 2 plugins" in ended.err
    assert "one/still, two/still" in ended.err


def test_a_plugin_file_that_is_missing_or_wrong_is_an_error(call, tmp_path):
    ended = call("plugins", "show", "ot", "--plugin", "gone.py")
    gone = (tmp_path / "gone.py").resolve()
    assert ended.code == 2
    assert ended.err == f"error: {gone}: no plugin can be read here: No such file or directory\n"
    (tmp_path / "bad.py").write_text("1 / 0\n")
    ended = call("plugins", "show", "ot", "--plugin", "bad.py")
    bad = (tmp_path / "bad.py").resolve()
    assert ended.err == f"error: {bad}: ZeroDivisionError: division by zero ({bad}:1)\n"


def test_show_of_a_recipe_names_the_command_for_recipes(call, site):
    hook = "@hookimpl\ndef register_recipes(register): register('first', 'acme:first.yaml')"
    site.install("acme", hook)
    assert "see: fmcore recipes show acme/first" in call("plugins", "show", "first").out
