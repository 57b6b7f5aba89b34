"""The distributions that a component needs."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

__all__ = ["check_needs", "missing", "pip_line"]


def check_needs(needs: Sequence[str]) -> tuple[str, ...]:
    """Return `needs` as a tuple.  Raises ValueError if one is not a requirement as pip reads it."""
    if isinstance(needs, str):  # a sequence of letters
        raise ValueError(f"needs takes a list of requirements: needs=[{needs!r}]")
    for text in needs:
        _check(text)
    return tuple(needs)


def missing(needs: Iterable[str]) -> tuple[str, ...]:
    """Return those of `needs` that are not installed, or not in a version that satisfies them."""
    return tuple(text for text in needs if not _installed(text))


def pip_line(needs: Iterable[str]) -> str:
    """Return the command that installs `needs`."""
    return f"pip install {shlex.join(needs)}"


def _check(text: str) -> None:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        Requirement(text)
    except InvalidRequirement as error:
        raise ValueError(f"needs: {text!r} is not a requirement as pip writes it") from error


def _installed(text: str) -> bool:
    from importlib.metadata import PackageNotFoundError, version

    from packaging.requirements import Requirement

    requirement = Requirement(text)
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True  # needed on other platforms
    try:
        return requirement.specifier.contains(version(requirement.name), prereleases=True)
    except PackageNotFoundError:
        return False
