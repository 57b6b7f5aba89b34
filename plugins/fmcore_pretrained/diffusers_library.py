"""The two networks of diffusers that are vector fields, built from a configuration."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path as FilePath
from typing import Any

from torch import nn

from fmcore import DataError
from fmcore_pretrained.sinusoids import Sinusoids

__all__ = ["NETWORKS", "build"]

NETWORKS = {
    "UNet2DModel": "UNet2DModel",
    "DiTTransformer2DModel": "DiTTransformer2DModel",
    "Transformer2DModel": "DiTTransformer2DModel",  # what DiT was called before diffusers 0.29
}
"""What `_class_name` may be, and which class that is."""


def build(config: Mapping[str, Any], file: FilePath) -> nn.Module:
    """The network that `config`, read from `file`, describes, with weights at random.

    Raises DataError for another class, and for what cannot be a vector field.
    """
    cls = _class_of(config, file)
    options = _options(cls, config, file)
    try:
        network: nn.Module = cls(**options)
    except Exception as error:  # whatever their constructors raise
        raise DataError(f"{file}: {cls.__name__} cannot be made of it: {error}") from error
    _sharpen(network)
    return network


def _class_of(config: Mapping[str, Any], file: FilePath) -> type[Any]:
    told = config.get("_class_name")
    if told not in NETWORKS:
        raise DataError(
            f"{file}: _class_name is {told!r}; networks that can be read: {', '.join(NETWORKS)}"
        )
    if NETWORKS[told] == "UNet2DModel":
        clock = config.get("time_embedding_type", "positional")
        if clock != "positional":
            raise DataError(
                f"{file}: time_embedding_type is {clock!r}: such a network is asked by noise level "
                "or by whole steps, and cannot be followed in continuous time; only 'positional' "
                "can"
            )
        if config.get("class_embed_type") is not None:
            raise DataError(
                f"{file}: class_embed_type is {config['class_embed_type']!r}: only class indices "
                "(null, with num_class_embeds) can be given as labels"
            )
    elif config.get("norm_type") != "ada_norm_zero":
        raise DataError(f"{file}: norm_type is {config.get('norm_type')!r}; DiT's is ada_norm_zero")
    with _without_broken_torchvision():
        import diffusers

        found: type[Any] = getattr(diffusers, NETWORKS[told])
    return found


def _options(cls: type[Any], config: Mapping[str, Any], file: FilePath) -> dict[str, Any]:
    """The constructor's arguments; what older versions wrote and is unset may stay."""
    known = inspect.signature(cls.__init__).parameters
    given = {k: v for k, v in config.items() if not k.startswith("_")}
    strange = [k for k, v in given.items() if k not in known and v not in (None, False)]
    if strange:
        raise DataError(
            f"{file}: says {strange[0]} = {given[strange[0]]!r}, which {cls.__name__} of the "
            "installed diffusers does not know: install the version that wrote it "
            f"({config.get('_diffusers_version', 'not told')})"
        )
    return {k: v for k, v in given.items() if k in known}


def _sharpen(network: nn.Module) -> None:
    """Let every embedding of time keep the precision that it is given."""
    child: Any
    for module in list(network.modules()):
        for name, child in module.named_children():
            if type(child).__name__ == "Timesteps":
                own = Sinusoids(
                    child.num_channels, child.downscale_freq_shift, child.flip_sin_to_cos
                )
                setattr(module, name, own)


@contextmanager
def _without_broken_torchvision() -> Iterator[None]:
    """Let diffusers import where torchvision is there but does not load, as its CUDA build beside
    a CPU torch: neither network needs it, and diffusers does without one that it cannot find."""
    if {"torchvision", "diffusers"} & sys.modules.keys() or _loads("torchvision"):
        yield
        return
    sys.modules["torchvision"] = None  # type: ignore[assignment]  # how Python says: not there
    try:
        yield
    finally:
        del sys.modules["torchvision"]


def _loads(module: str) -> bool:
    if find_spec(module) is None:
        return True  # nothing to hide
    try:
        __import__(module)
    except (ImportError, RuntimeError):
        for name in [n for n in sys.modules if n.split(".")[0] == module]:
            del sys.modules[name]
        return False
    return True
