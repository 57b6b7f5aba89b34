"""A target is imported when it is used; one that is no component says whose it is and why."""

from __future__ import annotations

import sys

import pytest

from fmcore.errors import ComponentError, PluginError
from fmcore.recipe.create import create_from

MODULE = """
from dataclasses import dataclass
import torch
from fmcore import ComponentError, Source

class NotASource:
    pass

class HalfASource(Source):
    def sample(self, rows, shape, condition=None, dtype=torch.float32):
        return torch.zeros(len(rows), *shape, dtype=dtype)

@dataclass(frozen=True)
class Whole(HalfASource):
    level: float = 0.0
    class Inner(HalfASource):
        def log_prob(self, x, condition=None): return x
    def __post_init__(self):
        if self.level > 1: raise KeyError("level")
        if self.level < 0: raise ComponentError("source 'whole': level is negative")
    def log_prob(self, x, condition=None): return x

@dataclass(frozen=True)
class Needy(Whole):
    amount: float = None
    def __init__(self, *, amount: float) -> None: pass

number = 3
"""


@pytest.fixture
def register(site):
    (site.root / "acme_code.py").write_text(MODULE, encoding="utf-8")
    (site.root / "acme_bad.py").write_text("import os\nraise SystemExit(0)\n", encoding="utf-8")

    def register(target: str, **more):
        rest = "".join(f", {key}={value!r}" for key, value in more.items())
        call = f"register('mine', '{target}'{rest})"
        site.install("acme", f"@hookimpl\ndef register_sources(register): {call}", version="1.2")
        return site.registry().entry("source", "mine")

    return register


def test_a_target_is_imported_when_it_is_used_and_no_sooner(register):
    entry = register("acme_code:Whole")
    assert "acme_code" not in sys.modules
    assert entry.load().__name__ == "Whole"


def test_a_target_may_be_a_class_in_a_class(register):
    assert register("acme_code:Whole.Inner").load().__name__ == "Inner"


WRONG_TARGETS = {
    "no_such_module:A": "cannot load no_such_module:A: ModuleNotFoundError: "
    "No module named 'no_such_module'",
    "acme_code:Hole": "cannot load acme_code:Hole: AttributeError: "
    "module 'acme_code' has no attribute 'Hole'",
    "acme_code:NotASource": "acme_code:NotASource is not a subclass of fmcore.Source",
    "acme_code:number": "acme_code:number is not a subclass of fmcore.Source",
    "acme_code:HalfASource": "acme_code:HalfASource does not define log_prob",
}


@pytest.mark.parametrize("target", WRONG_TARGETS)
def test_a_target_that_is_no_component_is_reported_with_its_plugin_and_the_reason(register, target):
    with pytest.raises(PluginError) as caught:
        register(target).load()
    assert str(caught.value) == f"source 'mine' of plugin acme 1.2: {WRONG_TARGETS[target]}"


def test_a_module_that_exits_when_imported_ends_nothing_and_is_located(register, site):
    with pytest.raises(PluginError) as caught:
        register("acme_bad:A").load()
    assert str(caught.value) == (
        "source 'mine' of plugin acme 1.2: cannot load acme_bad:A: SystemExit: 0 "
        f"({site.root / 'acme_bad.py'}:2)"
    )


def test_a_class_that_is_registered_itself_is_checked_like_any_other(site):
    hook = "@hookimpl\ndef register_sources(register): register('mine', dict)"
    site.install("acme", hook)
    entry = site.registry().entry("source", "mine")
    assert entry.target_text == "builtins:dict"
    with pytest.raises(PluginError, match=r"builtins:dict is not a subclass of fmcore.Source"):
        entry.load()


def test_missing_needs_are_named_with_the_line_that_installs_them(register):
    entry = register("acme_code:Whole", needs=["numpy", "no-such-dist>=2", "click>=999"])
    with pytest.raises(PluginError) as caught:
        entry.load()
    assert str(caught.value) == (
        "source 'mine' of plugin acme 1.2 needs no-such-dist>=2, click>=999, not installed: "
        "pip install 'no-such-dist>=2' 'click>=999'"
    )


def test_needs_of_another_platform_do_not_count(register):
    entry = register("acme_code:Whole", needs=["no-such-dist; sys_platform == 'mars'"])
    assert entry.load().__name__ == "Whole"


def test_options_reach_the_constructor(register):
    assert create_from(register("acme_code:Whole"), {"level": 0.5}).level == 0.5


def test_an_unknown_option_is_an_error_with_a_suggestion(register):
    with pytest.raises(ComponentError) as caught:
        create_from(register("acme_code:Whole"), {"levl": 0.5})
    assert "source 'mine' has no option 'levl'; did you mean 'level'?" in str(caught.value)


def test_a_required_option_is_asked_for(register):
    with pytest.raises(ComponentError, match=r"source 'mine'.*amount"):
        create_from(register("acme_code:Needy"), {})


def test_what_a_constructor_raises_names_component_and_plugin(register, site):
    with pytest.raises(ComponentError) as caught:
        create_from(register("acme_code:Whole"), {"level": 2.0})
    line = MODULE.split("raise KeyError")[0].count("\n") + 1
    assert str(caught.value) == (
        "source 'mine' of plugin acme 1.2 cannot be made: KeyError: 'level' "
        f"({site.root / 'acme_code.py'}:{line})"
    )
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_constructor_that_speaks_for_itself_is_quoted_as_it_is(register):
    with pytest.raises(ComponentError, match=r"^source 'whole': level is negative$"):
        create_from(register("acme_code:Whole"), {"level": -1.0})


def test_a_component_is_traced_to_its_entry_without_importing(register, site):
    entry = register("acme_code:Whole")
    registry = site.registry()
    assert registry.entry_of(dict) is None
    assert "acme_code" not in sys.modules
    made = create_from(entry, {})
    assert registry.entry_of(made) == entry
    assert registry.entry_of(type(made)) == entry


def test_a_lazy_module_that_raises_does_not_hinder_the_others(register, site):
    lazy = "def __getattr__(name): raise OSError(name)"
    site.install(
        "lazy", "@hookimpl\ndef register_sources(register): register('a', 'lazy:A')\n" + lazy
    )
    entry = register("acme_code:Whole")
    assert site.registry().entry_of(entry.load()) == entry
