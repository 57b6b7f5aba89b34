"""A conformance suite: a class of checks of one component, run by pytest or without it."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from unittest import SkipTest

__all__ = ["CheckResult", "Suite", "run_suite"]


class Suite:
    """Checks that every component of a kind must pass; each is a method `test_...` whose docstring
    states the law.

    A plugin author subclasses the suite in a test module and overrides `component`:

        class TestMyPath(fmcore.testing.PathSuite):
            def component(self):
                return MyPath()
    """

    def component(self) -> Any:
        """Return the component to test, built anew at each call."""
        raise NotImplementedError(
            f"{type(self).__name__} must override component() to return the component to test"
        )


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one check: `message` is the failure or the reason for skipping, `law` the
    requirement.
    """

    name: str
    passed: bool
    message: str = ""
    skipped: bool = False
    law: str = ""


def run_suite(suite: Suite | type[Suite]) -> list[CheckResult]:
    """Run every check of `suite` in the order of definition, without pytest; exceptions become
    failed results.
    """
    built = suite() if isinstance(suite, type) else suite
    return [_run(built, name) for name in _checks(type(built))]


def _checks(suite: type[Suite]) -> Iterator[str]:
    """Yield the names of the checks once each, base classes first."""
    seen: dict[str, None] = {}
    for owner in reversed(suite.__mro__):
        for name in vars(owner):
            if name.startswith("test_") and callable(getattr(suite, name)):
                seen[name] = None
    return iter(seen)


def _run(suite: Suite, name: str) -> CheckResult:
    check = getattr(suite, name)
    law = " ".join((check.__doc__ or "").split())
    try:
        check()
    except SkipTest as reason:
        return CheckResult(name, True, str(reason), skipped=True, law=law)
    except AssertionError as failure:
        return CheckResult(name, False, str(failure), law=law)
    except Exception as error:  # raised by the component: report it with its location
        return CheckResult(name, False, _located(error), law=law)
    return CheckResult(name, True, law=law)


def _located(error: Exception) -> str:
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {where.filename}:{where.lineno}: {error}"
