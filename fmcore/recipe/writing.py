"""Values as YAML that reads back as the same values."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from fmcore.recipe.interpolation import escaped
from fmcore.recipe.yaml_text import CORE_SCHEMA

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
    return dumper.represent_scalar("tag:yaml.org,2002:str", escaped(data))


_Dumper.add_representer(list, _list)
_Dumper.add_representer(str, _text)


def to_yaml(values: Any) -> str:
    """YAML text of plain values, lists of scalars on one line, the order kept."""
    return str(yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000))


def scalar(value: Any) -> str:
    """A value on one line."""
    text = yaml.dump(
        value,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=10**6,
        default_flow_style=True,
    )
    return str(text).removesuffix("\n...\n").rstrip("\n")


def canonical(values: Any) -> str:
    """JSON text that is the same for the same values."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
