"""The two branches of classifier-free guidance: with the conditions, and without some."""

from __future__ import annotations

from torch import Tensor

from fmcore import Condition, Predictor, branches, without

__all__ = ["with_null_branch"]


def with_null_branch(
    drop: tuple[str, ...] | None, field: Predictor, raw: Condition | None
) -> dict[str, Tensor] | None:
    """Return the prepared conditions of the branches `strong` and `weak`.

    Two, because a network may consume in `prepare` what guidance drops.  None drops the label.
    Raises ComponentError for an entry that is not there.
    """
    weak = without(raw, ("label",) if drop is None else drop)
    return branches(strong=field.prepare(raw), weak=field.prepare(weak))
