"""Every hook is documented, and what the documentation shows works from end to end."""

from __future__ import annotations

import inspect
import re
import warnings
from pathlib import Path

import pytest

from fmcore import hookspecs
from fmcore.recipe.schema import list_options
from fmcore.registry import forget
from fmcore.registry import registry as current
from fmcore.registry.construct import construct
from fmcore.registry.hooks import HOOKS
from fmcore.registry.kinds import KINDS
from fmcore.testing import run_suite, suite_of

DOCS = Path(__file__).parents[2] / "docs" / "hooks.md"
SPECS = [
    name
    for name, function in inspect.getmembers(hookspecs, inspect.isfunction)
    if hasattr(function, "fmcore_spec")
]


@pytest.fixture
def registry():
    """The registry of this process, new, and forgotten afterwards."""
    forget()
    yield current()
    forget()


def example(hook: str) -> str:
    """The plugin that the section of a hook shows."""
    section = re.search(
        rf"^## {hook}\n(.*?)(?=^## |\Z)", DOCS.read_text(), re.MULTILINE | re.DOTALL
    )
    assert section, f"docs/hooks.md has no section '## {hook}'"
    block = re.search(r"^```python\n(.*?)^```", section[1], re.MULTILINE | re.DOTALL)
    assert block, f"the section '## {hook}' shows no plugin"
    return block[1]


def test_there_is_a_hook_for_every_kind():
    assert SPECS
    assert set(SPECS) == set(HOOKS)
    assert {kind.hook: kind.name for kind in KINDS.values()}.items() <= HOOKS.items()


@pytest.mark.parametrize("hook", SPECS)
def test_a_hook_is_documented_with_an_example_and_a_row_of_the_table(hook):
    assert f"def {hook}(register)" in example(hook)
    assert f"| [`{hook}`](#{hook}) |" in DOCS.read_text()
    assert inspect.getdoc(getattr(hookspecs, hook))


@pytest.mark.parametrize("hook", [hook for hook in SPECS if hook != "register_recipes"])
def test_the_documented_plugin_offers_a_component_that_keeps_its_laws(registry, tmp_path, hook):
    kind = HOOKS[hook]
    file = tmp_path / "mine.py"
    file.write_text(example(hook), encoding="utf-8")
    registry.add_file(file)
    suite = suite_of(kind)
    # a constructor need not accept what the framework can give
    own_options = {o.name for o in list_options(registry.entry(kind, "mine").load())}
    given = {n: getattr(suite, n) for n in KINDS[kind].given if n in own_options}
    given |= {"steps": 16} if kind == "solver" else {}
    own = type(
        "Own", (suite,), {"component": lambda _: construct(registry.entry(kind, "mine"), given)}
    )
    with warnings.catch_warnings():
        results = run_suite(own)
    assert results
    assert not [f"{result.name}: {result.message}" for result in results if not result.passed]


def test_the_documented_recipe_is_found_by_its_name(site, fmcore_command):
    site.install("acme", example("register_recipes"))
    package = site.root / "acme"
    (package / "recipes").mkdir(parents=True)
    (site.root / "acme.py").rename(package / "__init__.py")
    recipe = "data: toy\npath: ot\nmodel: mlp\ntrain: {steps: 1}\n"
    (package / "recipes" / "mine.yaml").write_text(recipe, encoding="utf-8")
    done = fmcore_command("recipes", "check", "mine", site=site)
    assert (done.returncode, done.stderr) == (0, "")
