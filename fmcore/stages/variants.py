"""Other samples of a run: which folder they go to, and what it records."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

from fmcore.errors import RunError
from fmcore.recipe.load import overridden_options
from fmcore.runs.folder import RunFolder
from fmcore.stages.components import Components
from fmcore.stages.sample import provenance_of, shards_of
from fmcore.stages.weights import shared_field

__all__ = ["adopt_variant", "sample_root"]

MAX_NAME = 80
"""Letters of the name of a folder of variants."""


def sample_root(
    folder: RunFolder,
    components: Components,
    overrides: Sequence[str],
    to: str | Path | None,
    device: torch.device,
) -> Path:
    """Return the folder that samples go to: `to`, or the run's own if nothing there would be
    replaced, or RUN/variants/NAME.

    Raises RunError if `to` is the run's own folder and other samples are there.
    """
    settings = components.sample
    if settings is None:
        raise components.missing("sample")
    if to is not None and Path(to).resolve() != folder.root.resolve():
        return Path(to)
    # the samples' provenance holds the step, so the checkpoint has to be known; sampling reuses
    # the network
    _, checkpoint = shared_field(components, folder, settings.weights, device)
    provenance = provenance_of(components, settings, checkpoint)
    if not overrides or not shards_of(settings, folder).would_replace(provenance):
        return folder.root
    if to is not None:
        raise RunError(f"{folder.root}: has other samples: give another folder with --to")
    return folder.root / "variants" / _name_of(overrides)


def _name_of(overrides: Sequence[str]) -> str:
    """Return a folder's name for `overrides`, readable where they are short and plain."""
    text = ",".join(overrides)
    name = re.sub(r"[^A-Za-z0-9=.,_+-]+", "-", text)[:MAX_NAME].strip(".-")
    # a shortened name gets a hash of all options, so that no two share a folder
    exact = name == text
    return name if exact else f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def adopt_variant(folder: RunFolder, components: Components, parent: RunFolder) -> None:
    """Make `folder` one of samples drawn with the network of `parent`.

    Raises RunError if it holds samples of another run.
    """
    network = parent.parent or parent.root
    # relative, so that a run and its variants can be moved together
    above = os.path.relpath(network.resolve(), folder.root.resolve())
    facts = {**parent.facts(), "recipe": components.recipe.name, "checkpoints_of": above}
    # what is of the parent's own files and stages, not of its training
    for own in ("sha256", "seconds", "measured", "history"):
        facts.pop(own, None)
    facts |= {"began": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "command": sys.argv}
    # what the parent was trained with is compared with what is there now; runs that these sampling
    # options name are not the parent's
    identity = dict(facts.get("identity", {}))
    if components.recipe.values["sample"] != parent.recipe().values["sample"]:
        identity = {k: v for k, v in identity.items() if not k.startswith("run.sample.")}
    facts["identity"] = identity
    known = facts.get("overridden", [])
    facts["overridden"] = list(dict.fromkeys([*known, *overridden_options(components.recipe)]))
    folder.adopt(components.recipe, facts)
    if folder.parent is None or folder.parent.resolve() != network.resolve():
        raise RunError(f"{folder.root}: is no folder of samples of {network}; give another --to")
