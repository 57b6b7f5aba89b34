"""`fmcore measure`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fmcore.cli.console import complain, print_json
from fmcore.cli.data.source import open_dataset
from fmcore.cli.options import json_option, plugin_option, quiet_option
from fmcore.cli.output_file import OutputFile
from fmcore.cli.summary import numbers

if TYPE_CHECKING:
    from fmcore.recipe.sections import Measure
    from fmcore.stages.measure import SampleSource

__all__ = ["measure"]

SAMPLES, REFERENCE = "samples.", "reference."


@click.command(short_help="Measure a folder of images, or other samples, without a run.")
@click.argument("samples")
@click.argument("reference")
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--out",
    metavar="FILE",
    type=OutputFile(".json"),
    help="Write the results to FILE, as JSON.",
)
@click.option("--device", metavar="DEVICE", default="cpu", help="cpu, cuda or mps; cpu by default.")
@plugin_option
@json_option
@quiet_option
def measure(
    samples: str,
    reference: str,
    settings: tuple[str, ...],
    out: Path | None,
    device: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure SAMPLES against REFERENCE, without a network.

    Each is a folder or file of a known format, the name of a dataset, or a recipe; SAMPLES may also
    be a run folder.  KEY=VALUE sets metrics (required), count, batch_size or seed; samples.KEY and
    reference.KEY set options of either side.

    \b
      fmcore measure generated/ /data/cifar10 metrics=fid
      fmcore measure drawn/ idx metrics=[fd_lite0,kid_lite0] samples.channels=1 count=10000
    """
    from fmcore.recipe.typed_words import require_whole
    from fmcore.runs.files import write_json
    from fmcore.runs.results import as_json as plain
    from fmcore.stages.devices import usable
    from fmcore.stages.measure import measure as measured

    require_whole(settings)
    _refuse_split(settings)
    chosen = _settings([s for s in settings if not s.startswith((SAMPLES, REFERENCE))])
    _, data = open_dataset(reference, _of(REFERENCE, settings))
    given = _given(samples, _of(SAMPLES, settings))
    usable(device)
    emit = _warnings if quiet else complain
    results = plain(measured(given, data, chosen, device=device, quiet=quiet, emit=emit))
    if out is not None:
        write_json(out, results)
        complain(f"written to {out}")
    if as_json:
        print_json(results)
    else:
        click.echo("\n".join(numbers(results)))


def _refuse_split(settings: Sequence[str]) -> None:
    """Raise RecipeError for reference.split: metrics have an option for the split."""
    from fmcore.errors import RecipeError

    for setting in settings:
        key, _, value = setting.partition("=")
        if key == f"{REFERENCE}split":
            raise RecipeError(
                f"command line: {key}: the split is an option of each metric: "
                f"metrics='[{{name: fd_lite0, reference: {value or 'test'}}}]'"
            )


def _of(side: str, settings: Sequence[str]) -> list[str]:
    return [s.removeprefix(side) for s in settings if s.startswith(side)]


def _given(source: str, settings: Sequence[str]) -> SampleSource:
    from fmcore.errors import RunError
    from fmcore.runs.folder import RunFolder
    from fmcore.stages.measure import SampleSource

    if not (Path(source) / "recipe.yaml").is_file():
        return SampleSource.of_data(open_dataset(source, settings)[1])
    if settings:
        raise RunError(f"{source} is a run, whose samples have no options: remove samples.*")
    return SampleSource.of_run(RunFolder.open(Path(source)))


def _settings(given: Sequence[str]) -> Measure:
    """Return the settings; `metrics=fid` means `metrics=[fid]`."""
    from fmcore.cli.settings import typed_settings
    from fmcore.errors import RecipeError
    from fmcore.recipe.sections import Measure

    if not any(setting.startswith("metrics=") for setting in given):
        raise RecipeError(
            "command line: name the metrics, as in metrics=fid or metrics=[fd_lite0,kid_lite0]; "
            "`fmcore plugins ls --kind metric` lists them"
        )
    listed = [
        f"metrics=[{s.removeprefix('metrics=')}]"
        if s.startswith("metrics=") and not s.startswith("metrics=[")
        else s
        for s in given
    ]
    made: Measure = typed_settings(Measure, listed, "a measurement")
    return made


def _warnings(line: str) -> None:
    if line.startswith("warning:"):
        complain(line)
