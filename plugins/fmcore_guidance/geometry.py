"""Products of the rows of a batch, and the path that data predictions need."""

from __future__ import annotations

from torch import Tensor

from fmcore import AffinePath, ComponentError, Path, append_dims

__all__ = ["dot", "require_affine"]


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Return <a, b> of each row, `(batch, 1, ...)`, which broadcasts against the rows."""
    return append_dims((a * b).flatten(1).sum(1), a)


def require_affine(name: str, path: Path) -> AffinePath:
    """Return `path`; raise ComponentError unless it has alpha and sigma."""
    if not isinstance(path, AffinePath):
        raise ComponentError(
            f"guidance '{name}' changes the data prediction, which needs an affine path such as "
            f"'ot'; the path is {type(path).__name__}"
        )
    return path
