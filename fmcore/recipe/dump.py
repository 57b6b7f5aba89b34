"""Values as YAML that reads back as the same values."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from fmcore.recipe.interpolation import escaped
from fmcore.recipe.yaml import CORE_SCHEMA

__all__ = ["canonical", "scalar", "to_yaml"]


class _Dumper(yaml.SafeDumper):
    """Quotes whatever this or an older YAML would read as something else than text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _name, _pattern in CORE_SCHEMA.items():
    _Dumper.add_implicit_resolver(
        f"tag:yaml.org,2002:{_name}", re.compile(rf"^(?:{_pattern})$", re.ASCII), None
    )


def _list(dumper: yaml.SafeDumper, data: list[Any]) -> yaml.Node:
    flat = not any(isinstance(item, dict | list) for item in data)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=flat)


def _text(dumper: yaml.SafeDumper, data: str) -> yaml.Node:
    style = None if data.isprintable() else '"'  # where PyYAML would fold U+0085 into a space
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(list, _list)
_Dumper.add_representer(str, _text)


def to_yaml(values: Any) -> str:
    """YAML text of plain values, lists of scalars on one line, the order kept."""
    return _dumped(values, width=1000)


def scalar(value: Any) -> str:
    """A value on one line."""
    text = _dumped(value, width=10**6, default_flow_style=True)
    return text.removesuffix("\n...\n").rstrip("\n")


def _dumped(values: Any, **style: Any) -> str:
    plain = _without_references(values)
    return str(yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, **style))


def _without_references(value: Any) -> Any:
    """The values with every text escaped that would be read as a reference."""
    if isinstance(value, dict):
        return {key: _without_references(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_without_references(child) for child in value]
    return escaped(value) if isinstance(value, str) else value


def canonical(values: Any) -> str:
    """JSON text that is the same for the same values."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
