"""A broken plugin is recorded as a failure and does not affect the others."""

from __future__ import annotations

import sys

import pytest

GOOD = """
@hookimpl
def register_sources(register):
    register("good", "fmcore.interfaces.gaussian:Gaussian")
"""

AT_IMPORT = {
    "raises": ("raise ValueError('out of\\n cheese')", "ValueError: out of cheese"),
    "missing": ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    "exits": ("raise SystemExit(7)", "SystemExit: 7"),
    "syntax": ("def broken(:", "SyntaxError: invalid syntax"),
    "base": ("class Stop(BaseException): pass\nraise Stop", "Stop"),
}


@pytest.mark.parametrize("name", AT_IMPORT)
def test_what_a_plugin_raises_at_import_is_kept_with_its_line(site, name):
    source, error = AT_IMPORT[name]
    file = site.install("bad", source, version="2.5")
    site.install("good", GOOD)
    registry = site.registry()
    assert registry.names("source") == ["good"]
    (failure,) = registry.failures
    assert (failure.plugin, failure.version) == ("bad", "2.5")
    assert failure.error.startswith(error)
    line = 4 + source.count("\nraise")
    assert failure.where == f"{file}:{line}"
    assert "Traceback" in failure.traceback or "SyntaxError" in failure.traceback


def test_ctrl_c_while_plugins_are_found_is_not_swallowed(site):
    site.install("bad", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        site.registry()


def test_an_entry_point_to_a_module_that_is_not_there_is_a_failure(site):
    site.declare("acme", "1.0", {"acme": "acme_moved"})
    (failure,) = site.registry().failures
    assert str(failure) == "plugin acme 1.0: ModuleNotFoundError: No module named 'acme_moved'"


HALF = """
@hookimpl
def register_paths(register):
    register("lost", "somewhere:Lost")
    raise RuntimeError("changed its mind")

@hookimpl
def register_sources(register):
    register("kept", "fmcore.interfaces.gaussian:Gaussian")
"""


def test_a_hook_that_raises_registers_nothing_and_the_others_are_kept(site):
    file = site.install("half", HALF)
    registry = site.registry()
    assert registry.names("path") == []
    assert registry.names("source") == ["kept"]
    (failure,) = registry.failures
    assert failure.error == "RuntimeError: changed its mind"
    assert failure.where == f"{file}:8"


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (
            "@hookimpl\ndef register_path(register): pass",
            "there is no hook 'register_path'; did you mean 'register_paths'? hooks: ",
        ),
        (
            "@hookimpl(specname='register_solver')\ndef mine(register): pass",
            "there is no hook 'register_solver'; did you mean 'register_solvers'? hooks: ",
        ),
        (
            "def register_paths(register): pass\n" + GOOD,
            "'register_paths' lacks its decorator @hookimpl (from fmcore import hookimpl)",
        ),
        ("x = 1", "no hooks found: a plugin has functions under @hookimpl, of register_paths, "),
    ],
)
def test_a_hook_that_would_pass_in_silence_is_reported(site, source, error):
    site.install("acme", source)
    assert site.registry().failures[0].error.startswith(error)


def test_a_hook_marked_optional_may_be_unknown(site):
    site.install("acme", GOOD + "\n@hookimpl(optionalhook=True)\ndef register_moods(register): 1/0")
    registry = site.registry()
    assert registry.failures == []
    assert registry.names("source") == ["good"]


def test_a_misspelt_hook_does_not_affect_the_others(site):
    site.install("acme", GOOD + "\n@hookimpl\ndef register_path(register): pass")
    registry = site.registry()
    assert registry.names("source") == ["good"]
    assert len(registry.failures) == 1


def test_a_hook_with_a_foreign_argument_is_a_failure(site):
    site.install("acme", "@hookimpl\ndef register_paths(registrar): pass")
    (failure,) = site.registry().failures
    assert "registrar" in failure.error


def test_a_hook_may_leave_its_argument_out(site):
    site.install("acme", "@hookimpl\ndef register_paths(): pass")
    assert site.registry().failures == []


WRONG_CALLS = {
    "'Mine', 'a:B'": "'Mine' cannot name a source: use lower-case letters",
    "'a/b', 'a:B'": "'a/b' cannot name a source: use lower-case letters",
    "'', 'a:B'": "'' cannot name a source: use lower-case letters",
    "3, 'a:B'": "3 cannot name a source: use lower-case letters",
    "'mine', 'a.B'": "source 'mine': target must be 'module:Class' or a class, got 'a.B'",
    "'mine', 'a/b.py:B'": "source 'mine': target must be 'module:Class' or a class",
    "'mine', 5": "source 'mine': target must be 'module:Class' or a class, got 5",
    "'mine', 'a:B', needs='POT'": "needs takes a list of requirements: needs=['POT']",
    "'mine', 'a:B', needs=['two words']": "needs: 'two words' is not a requirement",
    "'mine', 'a:B', summry='x'": "got an unexpected keyword argument 'summry'",
}


@pytest.mark.parametrize("call", WRONG_CALLS)
def test_a_wrong_registration_is_a_failure_at_its_line(site, call):
    file = site.install("acme", f"@hookimpl\ndef register_sources(register):\n    register({call})")
    registry = site.registry()
    assert registry.entries("source") == []
    (failure,) = registry.failures
    assert WRONG_CALLS[call] in failure.error
    assert failure.where == f"{file}:6"


@pytest.mark.parametrize("name", ["ot", "torchdiffeq:dopri5", "a.b-c", "rk4_38", "_x"])
def test_a_name_may_have_parts(site, name):
    site.install("acme", f"@hookimpl\ndef register_paths(register): register('{name}', 'a:B')")
    assert site.registry().names("path") == [name]


def test_the_same_name_twice_by_one_plugin_is_its_failure(site):
    twice = "@hookimpl\ndef register_paths(register):\n" + "    register('ot', 'a:B')\n" * 2
    site.install("acme", twice)
    registry = site.registry()
    assert registry.names("path") == []
    assert "path 'ot' is registered twice" in registry.failures[0].error


def test_what_a_plugin_prints_does_not_reach_stdout(site, capsys):
    hook = "@hookimpl\ndef register_paths(register): print('hook')"
    site.install("acme", f"print('import')\n{hook}")
    site.registry()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "import" in printed.err
    assert "hook" in printed.err


def test_a_plugin_may_be_an_object(site):
    source = """
class Plugin:
    __slots__ = ()
    @hookimpl
    def register_sources(self, register):
        register("mine", "fmcore.interfaces.gaussian:Gaussian")

plugin = Plugin()
"""
    site.install("acme", source)
    site.declare("acme", "1.0", {"acme": "acme:plugin"})
    registry = site.registry()
    assert registry.failures == []
    assert registry.names("source") == ["mine"]


def test_a_plugin_that_imports_torch_when_found_is_remembered(site):
    site.install("acme", "import sys\nsys.modules['torch'] = sys\n" + GOOD)
    torch = sys.modules.pop("torch", None)
    try:
        registry = site.registry()
    finally:
        del sys.modules["torch"]
        if torch is not None:
            sys.modules["torch"] = torch
    assert registry.heavy == "acme"
