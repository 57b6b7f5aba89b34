"""Components are found by kind and name; the error for an unknown name lists what is installed."""

from __future__ import annotations

import pytest

from fmcore.errors import PluginError
from fmcore.registry.kinds import KINDS


def paths(*names: str) -> str:
    lines = "".join(f"    register('{name}', 'no_module:{name}')\n" for name in names)
    return f"@hookimpl\ndef register_paths(register):\n{lines}"


def error_of(registry, kind: str, name: str) -> str:
    with pytest.raises(PluginError) as caught:
        registry.entry(kind, name)
    return str(caught.value)


def test_an_entry_knows_whose_it_is(site):
    source = "register('ot', 'a:B', summary='a  straight\\nline', needs=['numpy>=1'])"
    site.install("acme", f"@hookimpl\ndef register_paths(register): {source}", version="3.1")
    entry = site.registry().entry("path", "ot")
    assert (entry.kind, entry.name, entry.plugin, entry.version) == ("path", "ot", "acme", "3.1")
    assert (entry.target, entry.summary, entry.needs) == ("a:B", "a straight line", ("numpy>=1",))
    assert entry.qualified == "acme/ot"


def test_an_unknown_name_lists_what_is_installed(site):
    site.install("acme", paths("cosine", "linear", "ot"))
    registry = site.registry()
    assert error_of(registry, "path", "ott") == (
        "no path named 'ott'; did you mean 'ot'? installed: cosine, linear, ot"
    )
    assert error_of(registry, "path", "zebra") == (
        "no path named 'zebra'; installed: cosine, linear, ot"
    )
    assert error_of(registry, "solver", "ot") == (
        "no solver named 'ot'; there is a path of that name; installed: none"
    )


def test_an_unknown_kind_lists_the_kinds(site):
    assert error_of(site.registry(), "pth", "ot") == (
        "no kind of component is called 'pth'; did you mean 'path'? "
        f"kinds: {', '.join(KINDS)}, recipe"
    )


def test_a_name_that_two_plugins_register_is_an_error_only_when_used(site):
    site.install("acme", paths("ot", "mine"))
    site.install("zeta", paths("ot"))
    registry = site.registry()
    assert registry.failures == []
    assert registry.names("path") == ["mine", "ot"]
    assert error_of(registry, "path", "ot") == (
        "path 'ot' is registered by 2 plugins; write one of: acme/ot, zeta/ot"
    )
    assert registry.entry("path", "mine").plugin == "acme"
    assert registry.entry("path", "zeta/ot").plugin == "zeta"


def test_a_qualified_name_works_without_a_conflict_and_suggests_its_like(site):
    site.install("acme", paths("ot"))
    registry = site.registry()
    assert registry.entry("path", "acme/ot") == registry.entry("path", "ot")
    assert "did you mean 'acme/ot'?" in error_of(registry, "path", "acmee/ot")


def test_one_plugin_may_use_a_name_for_several_kinds(site):
    source = paths("ot") + "@hookimpl\ndef register_solvers(register): register('ot', 'a:B')"
    site.install("acme", source)
    assert [entry.kind for entry in site.registry().find("ot")] == ["path", "solver"]


def test_an_unknown_name_mentions_plugins_that_might_have_had_it(site):
    site.install("acme", paths("ot"))
    site.install("bad", "1/0")
    site.install("shy", paths("shy_path"))
    assert error_of(site.registry(allow="acme,bad"), "path", "shy_path") == (
        "no path named 'shy_path'; installed: ot; not loaded, see `fmcore plugins`: bad; "
        "left out by FMCORE_PLUGINS: shy"
    )


def test_the_allow_list_keeps_other_plugins_from_being_imported(site):
    site.install("acme", paths("ot"))
    site.install("bomb", "raise SystemExit('imported')")
    registry = site.registry(allow=" acme ,")
    assert [plugin.name for plugin in registry.plugins] == ["acme"]
    assert registry.failures == []
    assert [plugin.name for plugin in registry.left_out] == ["bomb"]


def test_the_allow_list_never_leaves_out_the_built_in_plugins(site):
    site.install("fmcore_some", paths("ot"), distribution="fmcore-flow")
    site.install("acme", paths("mine"))
    assert site.registry(allow="none").names("path") == ["ot"]
    assert site.registry(allow="").names("path") == ["mine", "ot"]


def test_the_allow_list_reports_a_plugin_that_is_not_installed(site):
    site.install("acme", paths("ot"))
    (failure,) = site.registry(allow="acmee").failures
    assert failure.plugin == "acmee"
    assert failure.error == (
        "FMCORE_PLUGINS names it, but it is not installed; did you mean 'acme'?"
    )


def test_two_distributions_with_a_plugin_of_one_name_are_both_refused(site):
    site.install("acme", paths("ot"), distribution="acme-one")
    site.declare("acme-two", "2.0", {"acme": "acme"})
    registry = site.registry()
    assert registry.names("path") == []
    assert [failure.version for failure in registry.failures] == ["1.0", "2.0"]
    assert {failure.error for failure in registry.failures} == {
        "2 distributions have a plugin of this name: acme-one, acme-two"
    }


def test_the_name_of_a_built_in_plugin_is_reserved(site):
    site.install("fmcore_some", paths("ot"), distribution="fmcore-flow")
    site.declare("aaa", "6.6", {"fmcore_some": "no_such_module"})
    registry = site.registry()
    assert registry.names("path") == ["ot"]
    assert [failure.version for failure in registry.failures] == ["6.6"]


def test_what_is_installed_survives_a_distribution_with_damaged_metadata(site, monkeypatch):
    from fmcore.registry.discovery import find_entry_points

    site.install("acme", paths("ot"))
    site.declare("ruin", "1.0", {})
    (site.root / "ruin-1.0.dist-info" / "entry_points.txt").write_text("[fmcore]\nno equals sign")
    points, failures = find_entry_points()
    assert "acme" in [point.name for point in points]
    assert "fmcore_paths" in [point.name for point in points]
    assert [failure.plugin for failure in failures] == ["ruin-1.0.dist-info"]
    assert "its metadata is damaged" in failures[0].error


def test_a_distribution_that_lost_its_metadata_has_no_version(site):
    site.install("acme", paths("ot"))
    (site.root / "acme-1.0.dist-info" / "METADATA").unlink()
    assert site.registry().entry("path", "ot").version == "unknown"
