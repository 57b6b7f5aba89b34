"""The networks of diffusers that can be velocity fields, built from a configuration."""

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

__all__ = ["AUTOENCODER", "NETWORKS", "build", "build_autoencoder"]

NETWORKS = {
    "UNet2DModel": "UNet2DModel",
    "DiTTransformer2DModel": "DiTTransformer2DModel",
    "Transformer2DModel": "DiTTransformer2DModel",  # DiT's class before diffusers 0.29
}
"""The supported values of `_class_name`, with the class of each."""

AUTOENCODER = "AutoencoderKL"


def build(config: Mapping[str, Any], file: FilePath) -> nn.Module:
    """Return the network that `config`, read from `file`, describes, with random weights.

    Raises DataError for an unsupported class or option.
    """
    cls = _class_of(config, file)
    options = _options(cls, config, file)
    try:
        network: nn.Module = cls(**options)
    except Exception as error:  # their constructors raise exceptions of any class
        raise DataError(f"{file}: diffusers cannot build its {cls.__name__}: {error}") from error
    _replace_time_embeddings(network)
    return network


def build_autoencoder(config: Mapping[str, Any], file: FilePath) -> nn.Module:
    """Return the AutoencoderKL that `config`, read from `file`, describes, with random weights.

    Raises DataError for an unsupported option.
    """
    with _without_broken_torchvision():
        import diffusers

        cls: type[Any] = getattr(diffusers, AUTOENCODER)
    options = _options(cls, config, file)
    try:
        network: nn.Module = cls(**options)
    except Exception as error:  # their constructors raise exceptions of any class
        raise DataError(f"{file}: diffusers cannot build its {AUTOENCODER}: {error}") from error
    return network


def _class_of(config: Mapping[str, Any], file: FilePath) -> type[Any]:
    name = config.get("_class_name")
    if name not in NETWORKS:
        raise DataError(
            f"{file}: _class_name is {name!r}; networks that can be read: {', '.join(NETWORKS)}"
        )
    if NETWORKS[name] == "UNet2DModel":
        embedding = config.get("time_embedding_type", "positional")
        if embedding != "positional":
            raise DataError(
                f"{file}: time_embedding_type is {embedding!r}: such a network takes the noise "
                "level or an integer step, not a continuous time; only 'positional' is supported"
            )
        if config.get("class_embed_type") is not None:
            raise DataError(
                f"{file}: class_embed_type is {config['class_embed_type']!r}: labels are class "
                "indices, which need null here and num_class_embeds"
            )
    elif config.get("norm_type") != "ada_norm_zero":
        raise DataError(
            f"{file}: norm_type is {config.get('norm_type')!r}; only ada_norm_zero can be read"
        )
    with _without_broken_torchvision():
        import diffusers

        found: type[Any] = getattr(diffusers, NETWORKS[name])
    return found


def _options(cls: type[Any], config: Mapping[str, Any], file: FilePath) -> dict[str, Any]:
    """Return the constructor's arguments.  Raises DataError for an option that it does not have,
    unless the option is unset, as older versions of diffusers write it.
    """
    known = inspect.signature(cls.__init__).parameters
    options = {k: v for k, v in config.items() if not k.startswith("_")}
    unknown = [k for k, v in options.items() if k not in known and v not in (None, False)]
    if unknown:
        raise DataError(
            f"{file}: {unknown[0]} = {options[unknown[0]]!r} is no option of {cls.__name__} in the "
            "installed diffusers: install the version that wrote the file "
            f"({config.get('_diffusers_version', 'unknown')})"
        )
    return {k: v for k, v in options.items() if k in known}


def _replace_time_embeddings(network: nn.Module) -> None:
    """Replace every time embedding by one that computes in the precision of its input."""
    child: Any
    for module in list(network.modules()):
        for name, child in module.named_children():
            if type(child).__name__ == "Timesteps":
                embedding = Sinusoids(
                    child.num_channels, child.downscale_freq_shift, child.flip_sin_to_cos
                )
                setattr(module, name, embedding)


@contextmanager
def _without_broken_torchvision() -> Iterator[None]:
    """Hide a torchvision that is installed but fails to import while diffusers is imported.

    torchvision's CUDA build fails with a CPU build of torch.  Neither network needs it, and
    diffusers works without it if it is not installed.
    """
    if {"torchvision", "diffusers"} & sys.modules.keys() or _loads("torchvision"):
        yield
        return
    sys.modules["torchvision"] = None  # type: ignore[assignment]  # Python's mark of a missing module
    try:
        yield
    finally:
        del sys.modules["torchvision"]


def _loads(module: str) -> bool:
    if find_spec(module) is None:
        return True  # not installed: nothing to hide
    try:
        __import__(module)
    except (ImportError, RuntimeError):
        for name in [n for n in sys.modules if n.split(".")[0] == module]:
            del sys.modules[name]
        return False
    return True
