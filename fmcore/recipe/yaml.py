"""Read YAML text into nodes with places.  Nothing is constructed, so that no recipe can run code.

Scalars follow the core schema of YAML 1.2: `1e-5` is a number, `yes` and `12:30` are text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

import yaml

from fmcore.errors import RecipeError
from fmcore.recipe.nodes import (
    MISSING,
    Diagnostics,
    MappingNode,
    Mark,
    Node,
    ScalarNode,
    SequenceNode,
)

__all__ = ["CORE_SCHEMA", "MAX_BYTES", "read_bytes", "read_text"]

MAX_BYTES = 256 * 1024  # a recipe is a page; a larger file is data, given by mistake
MAX_NODES = 10_000  # after expanding aliases: nine lines of them can expand to a billion values
MAX_DEPTH = 50  # far below Python's recursion limit, and far above any recipe

CORE_SCHEMA: dict[str, str] = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
}
"""The types of plain scalars, tried in this order (section 10.3.2 of
https://yaml.org/spec/1.2.2); all else is text."""

_TAG = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """PyYAML up to its nodes, with the scalars of YAML 1.2, and with `???` inside `{...}` too."""

    # an own table: PyYAML's holds the scalars of YAML 1.1
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    # In `{...}`, PyYAML reads `?` as the beginning of a complex key.
    def check_key(self) -> bool:
        return bool(self.prefix(3) != MISSING and super().check_key())

    def check_plain(self) -> bool:
        return bool(self.prefix(3) == MISSING or super().check_plain())

    def fetch_flow_collection_start(self, kind: type[yaml.Token]) -> None:
        self._check_depth(self.flow_level)
        super().fetch_flow_collection_start(kind)

    def add_indent(self, column: int) -> bool:
        self._check_depth(len(self.indents))
        return bool(super().add_indent(column))

    def _check_depth(self, depth: int) -> None:
        """Raise ScannerError if the text is nested too deeply.

        While scanning, since a line of 100,000 brackets takes seconds to become a tree.
        """
        if depth > MAX_DEPTH:
            problem = f"nested more than {MAX_DEPTH} levels deep"
            raise yaml.scanner.ScannerError(None, None, problem, self.get_mark())

    def scan_plain(self) -> yaml.ScalarToken:
        if not (self.flow_level and self.prefix(3) == MISSING):
            return super().scan_plain()
        start = self.get_mark()
        self.forward(3)
        self.allow_simple_key = False  # as after any plain scalar in `{...}`
        return yaml.ScalarToken(MISSING, True, start, self.get_mark())


for _name, _pattern in CORE_SCHEMA.items():
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(rf"^(?:{_pattern})$", re.ASCII), None)


def read_bytes(data: bytes, source: str, diagnostics: Diagnostics, folder: str = "") -> Node | None:
    """Return the nodes of a file's content; None if it is empty.

    `folder` is the file's, which relative paths in it are relative to.  Raises RecipeError if the
    content is not YAML.
    """
    if len(data) > MAX_BYTES:
        raise RecipeError(f"{source}: longer than {MAX_BYTES // 1024} KiB, which is no recipe")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        byte = data[error.start]
        raise RecipeError(
            f"{source}:{line}:{column}: not UTF-8 text (byte 0x{byte:02x}); save the file as UTF-8"
        ) from None
    return read_text(text, source, diagnostics, folder)


def read_text(text: str, source: str, diagnostics: Diagnostics, folder: str = "") -> Node | None:
    """Return the nodes of YAML text; None if it is empty.

    Syntax errors and limits raise RecipeError.  Duplicate keys, tags and the like are added to
    `diagnostics`, and reading continues.
    """
    try:
        root = _compose(text)
    except yaml.MarkedYAMLError as error:
        raise RecipeError(_syntax_error(error, source, text)) from None
    except yaml.reader.ReaderError as error:
        line, column = _position(text, error.position)
        character = (
            error.character if isinstance(error.character, int) else ord(error.character[:1])
        )
        raise RecipeError(
            f"{source}:{line}:{column}: the character U+{character:04X} is not allowed in YAML"
        ) from None
    except RecursionError:
        raise RecipeError(f"{source}: nested too deeply") from None
    except (ValueError, OverflowError) as error:  # PyYAML does not catch them: "\UFFFFFFFF"
        raise RecipeError(f"{source}: not valid YAML: {error}") from None
    return None if root is None else _Builder(source, folder, diagnostics).build(root)


def _compose(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def _syntax_error(error: yaml.MarkedYAMLError, source: str, text: str) -> str:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return f"{source}: not valid YAML: {error.problem}"
    context = f" ({error.context})" if error.context else ""
    line = text[: mark.index].rpartition("\n")[2] + text[mark.index :].partition("\n")[0]
    hint = "; inside braces, ${...} has to be in quotes" if "${" in line else ""
    where = f"{source}:{mark.line + 1}:{mark.column + 1}"
    return f"{where}: not valid YAML: {error.problem}{context}{hint}"


def _position(text: str, index: int) -> tuple[int, int]:
    before = text[:index]
    return before.count("\n") + 1, index - before.rfind("\n")


@dataclass
class _Builder:
    """Converts PyYAML's graph, in which an alias is the anchored node itself, into a tree."""

    source: str
    folder: str
    diagnostics: Diagnostics
    count: int = field(default=0, init=False)

    def build(self, node: yaml.Node, depth: int = 0) -> Node:
        mark = self._mark(node)
        self.count += 1
        if self.count > MAX_NODES:
            raise RecipeError(
                f"{mark}: more than {MAX_NODES} values once its aliases are written out"
            )
        if depth > MAX_DEPTH:  # an alias inside its own anchor
            raise RecipeError(f"{mark}: nested more than {MAX_DEPTH} levels deep")
        if isinstance(node, yaml.MappingNode):
            return self._build_mapping(node, mark, depth)
        if isinstance(node, yaml.SequenceNode):
            self._check_tag(node, "seq", mark)
            return SequenceNode(mark, tuple(self.build(item, depth + 1) for item in node.value))
        return self._build_scalar(node, mark)

    def _build_mapping(self, node: yaml.MappingNode, mark: Mark, depth: int) -> MappingNode:
        self._check_tag(node, "map", mark)
        entries: dict[str, Node] = {}
        for key_node, value_node in node.value:
            key = self._read_key(key_node, entries)
            child = self.build(value_node, depth + 1)
            if key is not None:
                entries[key] = replace(child, key=self._mark(key_node))
        return MappingNode(mark, entries, clears=not node.value)

    def _read_key(self, node: yaml.Node, entries: dict[str, Node]) -> str | None:
        """Return the key, or None after adding the reason why it cannot be one."""
        mark = self._mark(node)
        if not isinstance(node, yaml.ScalarNode) or node.tag != _TAG + "str":
            self.diagnostics.add(mark, "a key must be text; put it in quotes")
        elif node.value == "<<" and node.style is None:
            self.diagnostics.add(
                mark, "merge keys (<<) are not used in recipes; use `extends: file`"
            )
        elif node.value in entries:
            first = entries[node.value].key
            self.diagnostics.add(mark, f"duplicate key '{node.value}', first given at {first}")
        else:
            return str(node.value)
        return None

    def _build_scalar(self, node: yaml.Node, mark: Mark) -> ScalarNode:
        kind = node.tag.removeprefix(_TAG)
        try:
            value = _parse_scalar(kind, node.value)
        except KeyError:  # text, or a tag that is refused
            self._check_tag(node, "str", mark)
            value = node.value
        except ValueError:
            self.diagnostics.add(mark, f"{node.value[:40]!r} cannot be read as {kind}")
            value = node.value
        return ScalarNode(mark, value)

    def _check_tag(self, node: yaml.Node, expected: str, mark: Mark) -> None:
        if node.tag != _TAG + expected:
            tag = node.tag.replace(_TAG, "!!")
            self.diagnostics.add(
                mark, f"the tag {tag} is refused: a recipe is plain data and builds no objects"
            )

    def _mark(self, node: yaml.Node) -> Mark:
        start = node.start_mark
        return Mark(self.source, start.line + 1, start.column + 1, self.folder)


def _parse_scalar(kind: str, text: str) -> str | int | float | bool | None:
    """Return the value of a scalar.

    Raises KeyError for a tag outside the core schema, ValueError for text that is not of the type.
    """
    if kind == "str":
        return text
    if not re.fullmatch(CORE_SCHEMA[kind], text, re.ASCII):
        raise ValueError
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "int":
        # base 0 reads 0o and 0x, but refuses 007, which is decimal here
        return int(text, 10 if text[:2] not in ("0o", "0x") else 0)
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
