"""Write values as YAML that reads back as the same values."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from fmcore.recipe.interpolation import escape
from fmcore.recipe.nodes import Reference
from fmcore.recipe.yaml import CORE_SCHEMA

__all__ = ["to_canonical_json", "to_yaml", "to_yaml_line"]

_TAG = "tag:yaml.org,2002:"


class _Dumper(yaml.SafeDumper):
    """Quotes text that this YAML or the older 1.1 reads as something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True  # one list used twice is written twice, not as an anchor


# in addition to PyYAML's own patterns, those of YAML 1.1
for _name, _pattern in CORE_SCHEMA.items():
    _Dumper.add_implicit_resolver(_TAG + _name, re.compile(rf"^(?:{_pattern})$", re.ASCII), None)


def _represent_list(dumper: yaml.SafeDumper, data: list[Any]) -> yaml.Node:
    flat = not any(isinstance(item, dict | list) for item in data)
    return dumper.represent_sequence(_TAG + "seq", data, flow_style=flat)


def _represent_text(dumper: yaml.SafeDumper, data: str) -> yaml.Node:
    style = None if data.isprintable() else '"'  # PyYAML would fold U+0085 into a space
    return dumper.represent_scalar(_TAG + "str", str(data), style=style)


_Dumper.add_representer(list, _represent_list)
_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(Reference, _represent_text)


def to_yaml(values: Any) -> str:
    """Return plain values as YAML, lists of scalars on one line, the order kept."""
    return _dump(values, width=1000)  # PyYAML folds longer texts over several lines


def to_yaml_line(value: Any) -> str:
    """Return a value as YAML on one line."""
    text = _dump(value, width=10**6, default_flow_style=True)
    return text.removesuffix("\n...\n").rstrip("\n")  # the end marker after a bare scalar


def _dump(values: Any, **style: Any) -> str:
    escaped = _escape_references(values)
    return str(yaml.dump(escaped, Dumper=_Dumper, sort_keys=False, allow_unicode=True, **style))


def _escape_references(value: Any) -> Any:
    """Return the values with every text escaped that would be read as a reference but is none."""
    if isinstance(value, dict):
        return {key: _escape_references(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_escape_references(child) for child in value]
    is_text = isinstance(value, str) and not isinstance(value, Reference)
    return escape(value) if is_text else value


def to_canonical_json(values: Any) -> str:
    """Return JSON that is the same for equal values."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
