"""The options of a class as its source declares them, read without importing it.

Shell completion cannot wait for torch.  fmcore.recipe.schema evaluates annotations; this reads
their syntax, for names, choices, and the kind of component that an option takes.  Both read the
same signatures, so that no list of options has to be maintained.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import final

from fmcore.recipe.schema import list_options
from fmcore.registry.entry import Entry
from fmcore.registry.kinds import KINDS

__all__ = ["StaticOption", "read_component_options", "read_options"]

MAX_IMPORTS = 20  # from a name to its definition: a circle of imports ends here

_INTERFACES = {kind.interface: kind.name for kind in KINDS.values()}
_LISTS = {"list", "tuple", "Sequence"}


@final
@dataclass(frozen=True)
class StaticOption:
    """One option as its annotation declares it.

    `choices` are its values, where they are few; `kind` is the kind of component that it takes;
    `settings` is the dataclass that holds its keys, as `module:Class`.  `is_list` means a
    list of them.  `default` is kept where it is text.
    """

    name: str
    choices: tuple[str, ...] = ()
    kind: str = ""
    settings: str = ""
    is_list: bool = False
    default: str = ""


def read_component_options(entry: Entry) -> dict[str, StaticOption]:
    """Return the options of a registered component, by name."""
    if isinstance(entry.target, str):
        return read_options(entry.target)
    # the class of a one-file plugin, whose module is imported already
    return {option.name: StaticOption(option.name) for option in list_options(entry.target)}


@cache
def read_options(target: str) -> dict[str, StaticOption]:
    """Return the options of the class `module:Class`, by name; none if it has no source."""
    module, _, name = target.partition(":")
    found = _find_definition(module, name)
    if found is None or not isinstance(found[1], ast.ClassDef):
        return {}
    return dict(_read_class(found[0], found[1]))


def _read_class(module: str, cls: ast.ClassDef) -> Iterator[tuple[str, StaticOption]]:
    own = [s for s in cls.body if isinstance(s, ast.FunctionDef) and s.name == "__init__"]
    if own:
        arguments = [*own[0].args.args[1:], *own[0].args.kwonlyargs]
        yield from ((a.arg, _read_option(module, a.arg, a.annotation, None)) for a in arguments)
        return
    for base in reversed(cls.bases):  # as dataclass collects fields: the first base has priority
        place = _find_definition(module, base.id) if isinstance(base, ast.Name) else None
        if place and isinstance(place[1], ast.ClassDef):
            yield from _read_class(place[0], place[1])
    for statement in cls.body if _is_dataclass(cls) else ():
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            name, value = statement.target.id, statement.value
            if "ClassVar" not in ast.unparse(statement.annotation) and not _is_computed(value):
                yield name, _read_option(module, name, statement.annotation, value)


def _is_dataclass(cls: ast.ClassDef) -> bool:
    return any(ast.unparse(d).partition("(")[0].endswith("dataclass") for d in cls.decorator_list)


def _is_computed(value: ast.expr | None) -> bool:
    """Return whether it is `field(init=False)`, which is no argument of the constructor."""
    return isinstance(value, ast.Call) and any(
        k.arg == "init" and isinstance(k.value, ast.Constant) and k.value.value is False
        for k in value.keywords
    )


def _read_option(
    module: str, name: str, annotation: ast.expr | None, default: ast.expr | None
) -> StaticOption:
    read = StaticOption(name)
    if annotation is not None:
        read = _read_annotation(module, annotation, read)
    text = default.value if isinstance(default, ast.Constant) else ""
    return replace(read, default=text if isinstance(text, str) else "")


def _read_annotation(module: str, expression: ast.expr, so_far: StaticOption) -> StaticOption:
    """Return `so_far` with what an annotation declares."""
    if isinstance(expression, ast.Constant) and isinstance(expression.value, str):
        return _read_annotation(module, ast.parse(expression.value, mode="eval").body, so_far)
    if isinstance(expression, ast.BinOp):  # a union, `A | B`
        left = _read_annotation(module, expression.left, so_far)
        return _read_annotation(module, expression.right, left)
    if isinstance(expression, ast.Name):
        return _read_name(module, expression.id, so_far)
    if not isinstance(expression, ast.Subscript):
        return so_far
    form = ast.unparse(expression.value).rpartition(".")[2]
    inner = expression.slice
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if form == "Literal":
        texts = [str(p.value) for p in parts if isinstance(p, ast.Constant)]
        return replace(so_far, choices=(*so_far.choices, *texts))
    # of Annotated the rest is metadata, of a list or tuple one item type is enough
    for part in parts[:1] if form in ("Annotated", *_LISTS) else parts:
        so_far = so_far if form in ("dict", "Mapping") else _read_annotation(module, part, so_far)
    return replace(so_far, is_list=so_far.is_list or form in _LISTS)


def _read_name(module: str, name: str, so_far: StaticOption) -> StaticOption:
    if name == "bool":
        return replace(so_far, choices=(*so_far.choices, "true", "false"))
    found = _find_definition(module, name)
    if found is None:
        return so_far
    place, node = found
    if isinstance(node, ast.expr):  # an alias, `Positive = Annotated[int, Gt(0)]`
        return _read_annotation(place, node, so_far)
    target = f"{place}:{node.name}"
    if target in _INTERFACES:
        return replace(so_far, kind=_INTERFACES[target])
    return replace(so_far, settings=target) if _is_dataclass(node) else so_far


def _find_definition(module: str, name: str) -> tuple[str, ast.ClassDef | ast.expr] | None:
    """Return the module that defines `name` and its definition, following imports."""
    for _ in range(MAX_IMPORTS):
        found = _index_statements(module).get(name)
        if not isinstance(found, ast.ImportFrom):
            return None if found is None else (module, found)
        source = "." * found.level + (found.module or "")
        module = importlib.util.resolve_name(source, module) if found.level else source
        name = next(a.name for a in found.names if name in (a.asname, a.name))
    return None


@cache
def _index_statements(module: str) -> dict[str, ast.ClassDef | ast.expr | ast.ImportFrom]:
    """Return the statement of each name at the top of a module, and under `if TYPE_CHECKING:`."""
    found: dict[str, ast.ClassDef | ast.expr | ast.ImportFrom] = {}
    for statement in _flatten(_parse(module).body):
        if isinstance(statement, ast.ClassDef):
            found[statement.name] = statement
        elif isinstance(statement, ast.ImportFrom):
            found.update({alias.asname or alias.name: statement for alias in statement.names})
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            found[statement.targets[0].id] = statement.value
    return found


def _flatten(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in statements:
        yield from _flatten(statement.body) if isinstance(statement, ast.If) else (statement,)


def _parse(module: str) -> ast.Module:
    """Return the parsed source, that of an empty module if there is none."""
    try:
        spec = importlib.util.find_spec(module)
        origin = spec.origin if spec else None
        text = Path(origin).read_text("utf-8") if origin and origin.endswith(".py") else ""
        return ast.parse(text)
    except Exception:  # a broken package may raise any exception, and completion shows no errors
        return ast.parse("")
