"""The command line: `fmcore`, or `python -m fmcore`.

    fmcore run | sample | evaluate | recipes | plugins | data | doctor

stdout is the result, stderr progress and log.  Exit codes: 0 ok; 1 the run failed; 2 wrong recipe
or usage; 3 an `expect:` bound was missed; 130 interrupted.  `FMCORE_DEBUG=1` shows tracebacks.

A command's module is imported when the command is called, torch only when it computes.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click

from fmcore.cli.guess import guess_command
from fmcore.cli.imports import own_process
from fmcore.cli.lazy import LazyGroup, Target
from fmcore.cli.outcome import exit_code_of

__all__ = ["COMMANDS", "command_line", "main"]

COMMANDS = {
    "run": Target("fmcore.cli.run:run", "Train, sample and evaluate, as a recipe describes."),
    "sample": Target("fmcore.cli.sample:sample", "Draw samples from a finished run again."),
    "samples": Target("fmcore.cli.samples:samples", "Export the samples of a run."),
    "evaluate": Target("fmcore.cli.evaluate:evaluate", "Measure a finished run again."),
    "measure": Target(
        "fmcore.cli.measure:measure", "Measure a folder of images, or other samples, without a run."
    ),
    "compare": Target("fmcore.cli.compare:compare", "Compare the results of runs."),
    "report": Target("fmcore.cli.report:report", "Write the page of a run again."),
    "table1": Target("fmcore.cli.table1:table1", "The paper's Table 1 on a recipe's data."),
    "table2": Target(
        "fmcore.cli.table2:table2", "The paper's Table 2 on a recipe of super-resolution."
    ),
    "benchmark": Target(
        "fmcore.cli.benchmark:benchmark", "Measure solvers, or the runs of a recipe, over axes."
    ),
    "recipes": Target(
        "fmcore.cli.recipes:recipes", "List, show, check, copy, compare and write recipes."
    ),
    "plugins": Target("fmcore.cli.plugins:plugins", "List, show, check and create plugins."),
    "data": Target("fmcore.cli.data:data", "Describe data, and pack images for training."),
    "explain": Target(
        "fmcore.cli.explain:explain", "Explain paths: formulas, schedule, a picture."
    ),
    "doctor": Target(
        "fmcore.cli.doctor:doctor", "Check the installation: versions, devices, plugins, data."
    ),
    "completion": Target(
        "fmcore.cli.completion:completion", "Print what makes a shell complete fmcore's words."
    ),
}


@click.group(
    cls=LazyGroup,
    targets=COMMANDS,
    guess=guess_command,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="fmcore-flow", message="fmcore %(version)s")
def command_line() -> None:
    """Train, sample and evaluate flow-matching models from recipes and plugins.

    \b
      fmcore recipes                        recipes that can be run by name
      fmcore run digits                     train, sample, evaluate
      fmcore plugins                        components that a recipe can use
      fmcore doctor                         check the installation
    """


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    _open_closed_streams()
    own_process()
    if "_FMCORE_COMPLETE" in os.environ:  # set by a shell that completes a command
        from fmcore.cli.shells import register

        register()
    sys.exit(exit_code_of(lambda: command_line.main(prog_name="fmcore", standalone_mode=False)))


def _open_closed_streams() -> None:
    """Discard output where Python found no stdout or stderr, as in `fmcore ... >&-`."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
