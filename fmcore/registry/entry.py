"""One registered component: its name, its plugin, and how its class is loaded."""

from __future__ import annotations

import importlib
import inspect
import operator
from dataclasses import dataclass
from typing import Any, final

from fmcore.errors import PluginError
from fmcore.registry.failure import describe
from fmcore.registry.kinds import KINDS
from fmcore.registry.needs import missing, pip_line

__all__ = ["Entry", "import_target"]


@final
@dataclass(frozen=True)
class Entry:
    """A component that `plugin` registers as `name`.

    `target` is `"module:Class"`, imported when the component is used, or the class itself; for a
    recipe it is `"package:folder/file.yaml"`.  `needs` are requirements as pip writes them.
    """

    kind: str
    name: str
    target: str | type
    plugin: str
    version: str
    summary: str = ""
    needs: tuple[str, ...] = ()

    @property
    def qualified(self) -> str:
        """`plugin/name`, which is never ambiguous."""
        return f"{self.plugin}/{self.name}"

    @property
    def title(self) -> str:
        """As in messages: `path 'ot' of plugin acme 1.0`."""
        return f"{self.kind} '{self.name}' of plugin {self.plugin} {self.version}"

    @property
    def target_text(self) -> str:
        """`module:Class`, also of a target that is a class."""
        if isinstance(self.target, str):
            return self.target
        return f"{self.target.__module__}:{self.target.__qualname__}"

    def load(self) -> type[Any]:
        """Import and return the class.

        Raises PluginError, with the plugin and the reason, if it cannot be imported, needs a
        distribution that is not installed, or does not implement the interface of its kind.
        """
        self._require_needs()
        loaded = self._import()
        interface = import_target(KINDS[self.kind].interface)
        if not (isinstance(loaded, type) and issubclass(loaded, interface)):
            raise PluginError(
                f"{self.title}: {self.target_text} is not a subclass of fmcore.{interface.__name__}"
            )
        if inspect.isabstract(loaded):
            lacking = ", ".join(sorted(getattr(loaded, "__abstractmethods__")))  # noqa: B009  # untyped
            raise PluginError(f"{self.title}: {self.target_text} does not define {lacking}")
        return loaded

    def _require_needs(self) -> None:
        lacking = missing(self.needs)
        if lacking:
            raise PluginError(
                f"{self.title} needs {', '.join(lacking)}, not installed: {pip_line(lacking)}"
            )

    def _import(self) -> Any:
        if not isinstance(self.target, str):
            return self.target
        try:
            return import_target(self.target)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: a plugin must not end the command
            reason, where = describe(error)
            place = f" ({where})" if where else ""
            raise PluginError(
                f"{self.title}: cannot load {self.target}: {reason}{place}"
            ) from error


def import_target(target: str) -> Any:
    """Import and return the object `"module:Class"`."""
    module, _, attribute = target.partition(":")
    return operator.attrgetter(attribute)(importlib.import_module(module))
