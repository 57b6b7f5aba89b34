"""The options of a class as its source writes them, read without importing it.

A shell that completes what is being typed cannot wait for torch.  This knows less than
`fmcore.recipe.schema`, which evaluates annotations: names, choices, and what kind of component an
option takes.  Both read the same signatures, so that no list of options is kept anywhere.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import final

from fmcore.registry.entry import Entry
from fmcore.registry.kinds import KINDS

__all__ = ["Outline", "outline", "outline_of"]

MOST_STEPS = 20
"""From a name to where it is defined: imports that lead round in a circle end here."""

_INTERFACES = {kind.interface: kind.name for kind in KINDS.values()}
_SEVERAL = {"list", "tuple", "Sequence"}


@final
@dataclass(frozen=True)
class Outline:
    """One option: its `choices`, the `kind` of component that it takes, or the settings that are
    `inside` it, as `module:Class`; `many` of them in a list.  `default` is kept where it is text.
    """

    name: str
    choices: tuple[str, ...] = ()
    kind: str = ""
    inside: str = ""
    many: bool = False
    default: str = ""


def outline_of(entry: Entry) -> dict[str, Outline]:
    """The options of a registered component, by name."""
    if isinstance(entry.target, str):
        return outline(entry.target)
    from fmcore.recipe.schema import options  # a plugin of one file: it is imported already

    return {option.name: Outline(option.name) for option in options(entry.target)}


@cache
def outline(target: str) -> dict[str, Outline]:
    """The options of the class `module:Class`, by name; empty if its source cannot be had."""
    module, _, name = target.partition(":")
    found = _defined(module, name)
    if found is None or not isinstance(found[1], ast.ClassDef):
        return {}
    return dict(_options(found[0], found[1]))


def _options(module: str, cls: ast.ClassDef) -> Iterator[tuple[str, Outline]]:
    made = [s for s in cls.body if isinstance(s, ast.FunctionDef) and s.name == "__init__"]
    if made:
        arguments = [*made[0].args.args[1:], *made[0].args.kwonlyargs]
        yield from ((a.arg, _outline(module, a.arg, a.annotation, None)) for a in arguments)
        return
    for base in reversed(cls.bases):
        place = _defined(module, base.id) if isinstance(base, ast.Name) else None
        if place and isinstance(place[1], ast.ClassDef):
            yield from _options(place[0], place[1])
    for statement in cls.body if _is_dataclass(cls) else ():
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            name, value = statement.target.id, statement.value
            if "ClassVar" not in ast.unparse(statement.annotation) and not _is_inner(value):
                yield name, _outline(module, name, statement.annotation, value)


def _is_dataclass(cls: ast.ClassDef) -> bool:
    return any(ast.unparse(d).partition("(")[0].endswith("dataclass") for d in cls.decorator_list)


def _is_inner(value: ast.expr | None) -> bool:
    """Whether it is `field(init=False)`, which is no option."""
    return isinstance(value, ast.Call) and any(
        k.arg == "init" and isinstance(k.value, ast.Constant) and k.value.value is False
        for k in value.keywords
    )


def _outline(
    module: str, name: str, annotation: ast.expr | None, default: ast.expr | None
) -> Outline:
    read = Outline(name) if annotation is None else _read(module, annotation, Outline(name))
    text = default.value if isinstance(default, ast.Constant) else ""
    return replace(read, default=text if isinstance(text, str) else "")


def _read(module: str, expression: ast.expr, so_far: Outline) -> Outline:
    """What an annotation says, added to what is known."""
    if isinstance(expression, ast.Constant) and isinstance(expression.value, str):
        return _read(module, ast.parse(expression.value, mode="eval").body, so_far)
    if isinstance(expression, ast.BinOp):
        return _read(module, expression.right, _read(module, expression.left, so_far))
    if isinstance(expression, ast.Name):
        return _named(module, expression.id, so_far)
    if not isinstance(expression, ast.Subscript):
        return so_far
    form = ast.unparse(expression.value).rpartition(".")[2]
    inner = expression.slice
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if form == "Literal":
        texts = [str(p.value) for p in parts if isinstance(p, ast.Constant)]
        return replace(so_far, choices=(*so_far.choices, *texts))
    for part in parts[:1] if form in ("Annotated", *_SEVERAL) else parts:
        so_far = so_far if form in ("dict", "Mapping") else _read(module, part, so_far)
    return replace(so_far, many=so_far.many or form in _SEVERAL)


def _named(module: str, name: str, so_far: Outline) -> Outline:
    if name == "bool":
        return replace(so_far, choices=(*so_far.choices, "true", "false"))
    found = _defined(module, name)
    if found is None:
        return so_far
    place, node = found
    if isinstance(node, ast.expr):
        return _read(place, node, so_far)
    target = f"{place}:{node.name}"
    if target in _INTERFACES:
        return replace(so_far, kind=_INTERFACES[target])
    return replace(so_far, inside=target) if _is_dataclass(node) else so_far


def _defined(module: str, name: str) -> tuple[str, ast.ClassDef | ast.expr] | None:
    """Where `name` of `module` is defined, and as what, its imports followed."""
    for _ in range(MOST_STEPS):
        found = _statements(module).get(name)
        if not isinstance(found, ast.ImportFrom):
            return None if found is None else (module, found)
        source = "." * found.level + (found.module or "")
        module = importlib.util.resolve_name(source, module) if found.level else source
        name = next(a.name for a in found.names if name in (a.asname, a.name))
    return None


@cache
def _statements(module: str) -> dict[str, ast.ClassDef | ast.expr | ast.ImportFrom]:
    """What each name at the top of a module is; names under `if TYPE_CHECKING:` too."""
    found: dict[str, ast.ClassDef | ast.expr | ast.ImportFrom] = {}
    for statement in _flat(_source(module).body):
        if isinstance(statement, ast.ClassDef):
            found[statement.name] = statement
        elif isinstance(statement, ast.ImportFrom):
            found.update({alias.asname or alias.name: statement for alias in statement.names})
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            found[statement.targets[0].id] = statement.value
    return found


def _flat(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in statements:
        yield from _flat(statement.body) if isinstance(statement, ast.If) else (statement,)


def _source(module: str) -> ast.Module:
    """The parsed source; that of an empty module if there is none."""
    try:
        spec = importlib.util.find_spec(module)
        origin = spec.origin if spec else None
        text = Path(origin).read_text("utf-8") if origin and origin.endswith(".py") else ""
        return ast.parse(text)
    except Exception:  # whatever a stranger's package raises while it is looked for
        return ast.parse("")
