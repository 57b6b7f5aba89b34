from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NewType, Optional

import pytest
from annotated_types import Ge, Gt, Interval, Len, Lt, MaxLen, MultipleOf, Predicate
from torch import nn

from fmcore import ComponentError, PluginError, load_recipe
from fmcore.recipe.schema import check_options, list_options, prepare_arguments
from fmcore.recipe.signatures import REQUIRED

if TYPE_CHECKING:
    from fractions import Fraction as Unsupported

    from fmcore.interfaces.metric import Metric
    from fmcore.interfaces.solver import Solver as Steps

Seconds = NewType("Seconds", float)


@dataclass(frozen=True, kw_only=True)
class Inner:
    """Settings of an option."""

    low: float = 0.0
    high: float = 1.0


class Everything:
    """One option of each type."""

    def __init__(
        self,
        whole: int,
        number: float,
        flag: bool,
        text: str,
        file: FilePath,
        choice: Literal["a", 2, None],
        maybe: int | None,
        older: Optional[int],  # noqa: UP045
        either: int | str,
        many: list[float],
        any_number: tuple[int, ...],
        sequence: Sequence[str],
        pair: tuple[int, str],
        table: dict[str, list[int]],
        mapping: Mapping[str, int],
        open_interval: Annotated[float, Gt(0), Lt(1)],
        closed: Annotated[int, Interval(ge=1, le=3)] | None,
        even: Annotated[int, MultipleOf(2)],
        short: Annotated[list[int], Len(1, 2)],
        lower: Annotated[str, Predicate(str.islower)],
        seconds: Seconds,
        inner: Inner,
        steps: Steps,
        metrics: list[Metric],
    ) -> None:
        pass


def test_every_type_has_a_description():
    assert {option.name: option.type_text for option in list_options(Everything)} == {
        "whole": "an integer",
        "number": "a number",
        "flag": "true or false",
        "text": "text",
        "file": "a file path",
        "choice": "'a', 2 or null",
        "maybe": "an integer or null",
        "older": "an integer or null",
        "either": "an integer or text",
        "many": "a list of numbers",
        "any_number": "a list of integers",
        "sequence": "a list of texts",
        "pair": "a list of an integer, text",
        "table": "a mapping of names to lists of integers",
        "mapping": "a mapping of names to integers",
        "open_interval": "a number > 0 and < 1",
        "closed": "an integer >= 1 and <= 3 or null",
        "even": "an integer in multiples of 2",
        "short": "a list of integers of length at least 1 and of length at most 2",
        "lower": "text for which islower holds",
        "seconds": "a number",
        "inner": "a mapping of options",
        "steps": "a solver (its name, or a mapping with `name`)",
        "metrics": "a list of metrics (names, or mappings with `name`)",
    }


WHOLE = {
    "whole": 1,
    "number": 1,
    "flag": True,
    "text": "x",
    "file": "a/b",
    "choice": None,
    "maybe": None,
    "older": 3,
    "either": "x",
    "many": [1, 2.5],
    "any_number": [1, 2],
    "sequence": ["x"],
    "pair": [1, "x"],
    "table": {"k": [1]},
    "mapping": {"k": 1},
    "open_interval": 0.5,
    "closed": 3,
    "even": -4,
    "short": [1],
    "lower": "x",
    "seconds": 2,
    "inner": {"high": 2},
    "steps": "fixed",
    "metrics": ["likelihood", {"name": "likelihood", "n_probes": 2}],
}


def test_values_are_built_by_their_annotations(kit):
    fixed, likelihood = (
        kit.entry("solver", "fixed").load(),
        kit.entry("metric", "likelihood").load(),
    )
    built = prepare_arguments(Everything, WHOLE, "thing")
    assert built == WHOLE | {
        "number": 1.0,
        "file": FilePath("a/b"),
        "many": [1.0, 2.5],
        "any_number": (1, 2),
        "sequence": ("x",),
        "pair": (1, "x"),
        "seconds": 2.0,
        "inner": Inner(high=2.0),
        "steps": fixed(),
        "metrics": [likelihood(), likelihood(n_probes=2)],
    }
    assert type(built["number"]) is float


def test_values_made_in_python_pass_as_they_are(kit):
    solver = kit.entry("solver", "fixed").load()(steps=3)
    inner = Inner(low=0.5)
    given = WHOLE | {"steps": solver, "inner": inner, "file": FilePath("x"), "any_number": (1,)}
    built = prepare_arguments(Everything, given, "thing")
    assert built["steps"] is solver
    assert built["inner"] is inner
    assert built["file"] == FilePath("x")
    assert built["any_number"] == (1,)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("whole", 1.5, "whole: expected an integer, got 1.5"),
        ("whole", True, "whole: expected an integer, got true"),
        ("whole", 1e5, "whole: expected an integer, got 100000.0; write 100000"),
        ("whole", 2**63, f"whole: expected an integer, got {2**63}; it has to fit in 64 bits"),
        ("whole", "1", 'whole: expected an integer, got the text "1"'),
        ("number", float("nan"), "number: expected a number, got nan"),
        ("number", 10**400, "number: expected a number, got a huge number"),
        ("number", False, "number: expected a number, got false"),
        ("flag", 1, "flag: expected true or false, got 1"),
        ("flag", "off", 'flag: expected true or false, got the text "off"; write false'),
        ("text", 3, "text: expected text, got 3; put it in quotes if it is meant as text"),
        ("text", None, "text: expected text, got null"),
        ("choice", "b", "choice: expected 'a', 2 or null, got the text \"b\""),
        ("choice", 2.0, "choice: expected 'a', 2 or null, got 2.0"),
        ("either", 1.5, "either: expected an integer or text, got 1.5"),
        ("many", 3, "many: expected a list of numbers, got 3; a list is written [3]"),
        ("many", [1, "x"], 'many.1: expected a number, got the text "x"'),
        ("pair", [1], "pair: expected a list of an integer, text, got a list of 1"),
        ("table", {"k": 1}, "table.k: expected a list of integers, got 1; a list is written [1]"),
        ("table", [1], "table: expected a mapping of names to lists of integers, got a list"),
        ("open_interval", 1, "open_interval: expected a number > 0 and < 1, got 1"),
        ("closed", 4, "closed: expected an integer >= 1 and <= 3 or null, got 4"),
        ("even", 3, "even: expected an integer in multiples of 2, got 3"),
        (
            "short",
            [],
            "short: expected a list of integers of length at least 1 and of length at most 2, "
            "got an empty list",
        ),
        ("lower", "X", 'lower: expected text for which islower holds, got the text "X"'),
        ("inner", {"hihg": 1}, "inner has no option 'hihg'; did you mean 'high'?"),
        ("inner", 3, "inner: expected a mapping of options, got 3"),
        ("steps", "fixd", "no solver named 'fixd'; did you mean 'fixed'?"),
        ("steps", 3, "steps: expected a solver (its name, or a mapping with `name`), got 3"),
        ("steps", {"steps": 3}, "steps needs a name; installed: adaptive, fixed"),
        ("steps", {"name": "fixed", "stesp": 3}, "solver 'fixed' has no option 'stesp'"),
        ("whole", "???", "thing: whole must be given"),
    ],
)
def test_a_wrong_value_is_reported(name, value, message):
    (found,) = check_options(Everything, WHOLE | {name: value}, "thing")
    assert found.startswith(message)


def test_unknown_and_missing_options_are_reported_together():
    found = check_options(
        Everything, {k: v for k, v in WHOLE.items() if k != "flag"} | {"flug": 1}, "it"
    )
    assert found == [
        "it has no option 'flug'; did you mean 'flag'?",
        "it needs the option 'flag': true or false",
    ]
    with pytest.raises(ComponentError, match=r"has no option 'flug'.*\nit needs"):
        prepare_arguments(Everything, {"flug": 1}, "it")


@pytest.mark.parametrize(
    ("source", "name", "temperature"),
    [
        ("normal", "Normal", 0.5),
        ({"temperature": 2}, "Normal", 2.0),
        ("heavy", "Heavy", None),
        (None, "Normal", 0.5),
    ],
)
def test_a_component_given_in_python_is_what_a_recipe_would_make_of_it(
    kit, source, name, temperature
):
    given = {} if source is None else {"source": source}
    made = kit.entry("path", "vp").load()(
        **prepare_arguments(kit.entry("path", "vp").load(), given, "it")
    )
    recipe = load_recipe({"data": "toy", "model": "net", "path": {"name": "vp", **given}})
    assert recipe.build("path") == made
    assert type(made.source).__name__ == name
    assert getattr(made.source, "temperature", None) == temperature


def test_an_option_without_likeness_is_answered_by_the_list():
    assert check_options(Inner, {"xyz": 1}, "it") == ["it has no option 'xyz'; options: low, high"]


def test_right_options_have_nothing_wrong():
    assert check_options(Everything, WHOLE, "thing") == []


@dataclass(frozen=True)
class Base:
    """A dataclass whose annotations are evaluated where they were written."""

    kind_of: ClassVar[int] = 3
    steps: Steps | None = field(default=None, kw_only=True)
    hidden: int = field(default=0, init=False)
    several: list[int] = field(default_factory=lambda: [1, 2], kw_only=True)


def test_a_dataclass_has_its_fields_and_its_bases_as_options():
    @dataclass(frozen=True)
    class Derived(Base):
        width: int = 3
        seed: InitVar[int] = 0

    found = {option.name: option.default for option in list_options(Derived)}
    assert found == {"steps": None, "several": [1, 2], "width": 3, "seed": 0}


def test_a_module_has_the_arguments_of_its_constructor_as_options():
    class Net(nn.Module):
        def __init__(self, shape: tuple[int, ...], *, width: int = 3) -> None:
            super().__init__()

    shape, width = list_options(Net, given=("shape",))
    assert (shape.required, shape.given, shape.default is REQUIRED) == (False, True, True)
    assert (width.required, width.given, width.default) == (False, False, 3)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the statement `type` is Python 3.12's")
def test_a_type_alias_is_its_type():
    names: dict[str, Any] = {}
    source = "type Count = int\ndef init(self, a: Count) -> None: ..."
    exec(compile(source, "alias.py", "exec", dont_inherit=True), names)
    (option,) = list_options(type("It", (), {"__init__": names["init"]}))
    assert option.type_text == "an integer"


def test_a_class_without_constructor_has_no_options():
    class Nothing:
        pass

    assert list_options(Nothing) == ()


def _swallowing():
    class It:
        def __init__(self, **rest: int) -> None: ...

    return It


def _rest():
    class It:
        def __init__(self, *rest: int) -> None: ...

    return It


def _positional():
    class It:
        def __init__(self, a: int, /) -> None: ...

    return It


def _bare():
    class It:
        def __init__(self, a=1) -> None: ...

    return It


def _unknown_name():
    class It:
        def __init__(self, a: Nowhere) -> None: ...  # noqa: F821

    return It


def _checking_only():
    class It:
        def __init__(self, a: Unsupported) -> None: ...

    return It


def _anything():
    class It:
        def __init__(self, a: Any) -> None: ...

    return It


def _untyped_list():
    class It:
        def __init__(self, a: list) -> None: ...

    return It


def _integer_keys():
    class It:
        def __init__(self, a: dict[int, str]) -> None: ...

    return It


def _broken():
    class It:
        def __init__(self, a: int[str]) -> None: ...

    return It


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_swallowing, r"takes \*\*rest, which would swallow misspelt options; its author has to"),
        (_rest, r"takes \*rest, which would swallow"),
        (_positional, "takes 'a' by position only; its author has to"),
        (_bare, "option 'a' has no type annotation; its author has to add one"),
        (_unknown_name, "option 'a' uses the name 'Nowhere', which its module does not import"),
        (_checking_only, "option 'a' has the type Fraction, which a recipe cannot write"),
        (_anything, r"option 'a' has the type Any, which a recipe cannot write"),
        (_untyped_list, "option 'a' has the type list, which a recipe cannot write"),
        (_integer_keys, r"option 'a' has the type dict\[int, str\], which a recipe cannot write"),
        (_broken, "the annotation of option 'a', 'int\\[str\\]', cannot be evaluated"),
    ],
)
def test_a_signature_that_is_no_schema_is_explained_to_its_author(make, message):
    with pytest.raises(PluginError, match=message) as caught:
        list_options(make())
    assert "test_schema:" in str(caught.value)
    assert ".It" in str(caught.value)


def test_names_of_the_fmcore_face_need_no_import():
    class It:
        def __init__(self, a: Coupling) -> None: ...  # noqa: F821

    (option,) = list_options(It)
    assert option.type_text == "a coupling (its name, or a mapping with `name`)"


def test_a_narrower_interface_is_required_of_the_component():
    from fmcore import AffinePath

    class It:
        def __init__(self, a: AffinePath) -> None: ...

    assert check_options(It, {"a": "ot"}, "it") == ["path 'ot' is not an AffinePath"]


@dataclass(frozen=True)
class Bounds:
    """Bounds on what has no size or order are void."""

    either: Annotated[int | str, Ge(3)] = 3
    names: Annotated[dict[str, int], MaxLen(1)] = field(default_factory=dict)


def test_bounds_apply_where_they_mean_something():
    assert check_options(Bounds, {"either": "x", "names": {"a": 1}}, "it") == []
    assert len(check_options(Bounds, {"either": 2, "names": {"a": 1, "b": 2}}, "it")) == 2
