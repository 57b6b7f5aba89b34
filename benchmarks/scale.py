"""Time and memory against the amount of work: images, batches, samples, examples, sweeps, reports.

    OMP_NUM_THREADS=1 python benchmarks/scale.py [SERIES...] [--out FILE]

Each point is measured in a process of its own: its CPU seconds, and the growth of its memory after
a first measurement of the smallest point.  The exponent p of a growth ~ work^p is the slope of a
line through the logarithms; memory below 1 MiB counts as 1 MiB.  Series that are not named keep
their rows in the file.  Takes less than 10 minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from accelerate import Accelerator
from machine import machine
from torch import Tensor

import fmcore
from fmcore import Dataset, ImageDataset, create, load_recipe
from fmcore.benchmark import engines
from fmcore.benchmark import recipes as recipe_benchmark
from fmcore.recipe.sections import Train
from fmcore.report.page import make_report
from fmcore.runs.folder import RunFolder
from fmcore.training.batches import Batches
from fmcore.training.trainer import Trainer
from fmcore_nets.unet import UNet

RESULTS = Path(__file__).parent / "results" / "scale.json"
MIB = 2**20
STEPS = 2
"""Training steps that are timed, after one that is not."""

BASE = {"mib": 0.0}
"""The memory above which a process is measured."""

RECIPE = """
data: {name: toy, figure: checkerboard, count: 256}
path: ot
model: {name: mlp, width: 16, depth: 1}
train: {steps: 6, batch_size: 16, keep_last: 1}
sample: {solver: {name: midpoint, nfe: 8}, count: 8}
evaluate: {metrics: [nfe]}
"""


@dataclass(frozen=True)
class Images(ImageDataset):
    """Images of noise, each computed from its index."""

    size: int = 16
    levels = 256
    fingerprint = "0" * 16
    length = 4096

    @property
    def shape(self) -> tuple[int, ...]:
        return (3, self.size, self.size)

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        random = torch.Generator().manual_seed(indices[0])
        x1 = torch.randint(256, (len(indices), *self.shape), generator=random)
        return {"x1": x1.to(torch.uint8)}


@dataclass(frozen=True)
class Points(Dataset):
    """`count` points, each computed from its index: no example is in memory."""

    count: int = 1000
    shape: ClassVar[tuple[int, ...]] = (2,)
    fingerprint = "0" * 16

    @property
    def length(self) -> int:
        return self.count

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        angle = torch.tensor(indices)[:, None] * torch.tensor([0.1, 0.7])
        return {"x1": angle.sin().float()}


def batches(data: Dataset, size: int) -> Batches:
    path, coupling = create("path", "ot"), create("coupling", "independent")
    return Batches(data, path, coupling, create("objective", "flow_matching"), size, seed=0)


def step_seconds(size: int, batch: int) -> float:
    """Return the CPU seconds of a training step of a U-Net with 32 channels."""
    trainer = trainer_of(size, batch)
    trainer.train_step()
    began = time.process_time()
    for _ in range(STEPS):
        trainer.train_step()
    return (time.process_time() - began) / STEPS


def trainer_of(size: int, batch: int) -> Trainer:
    network = UNet(
        shape=(3, size, size),
        channels=32,
        depth=1,
        channel_mult=(1, 2, 2),
        attention_resolutions=(size // 4,),
        updown="conv",
    )
    settings = Train(steps=10**6, batch_size=batch, lr=2e-4)
    return Trainer(network, batches(Images(size), batch), settings, Accelerator(cpu=True))


def of_images(size: int) -> float:
    return step_seconds(size, 4)


def of_batch(batch: int) -> float:
    return step_seconds(16, batch)


def of_examples(count: int) -> float:
    """Return the CPU seconds of 200 batches of 256, the first ones of an epoch."""
    began = time.process_time()
    drawn = batches(Points(count), 256)
    for step in range(200):
        drawn.pairs(step, range(256))
    return time.process_time() - began


def recipe_in(folder: str) -> Path:
    file = Path(folder, "small.yaml")
    file.write_text(RECIPE)
    return file


def of_samples(count: int) -> float:
    """Return the CPU seconds of `fmcore sample`, files and pictures included."""
    with tempfile.TemporaryDirectory() as folder:
        run = fmcore.run(recipe_in(folder), out=Path(folder, "run"), quiet=True)
        began = time.process_time()
        options = [f"count={count}", "batch_size=1000"]
        fmcore.sample(run, options, to=Path(folder, "more"), quiet=True)
        return time.process_time() - began


def of_processes(count: int) -> float:
    """Return the CPU seconds of a training step of recipe `digits` of all processes together."""
    with tempfile.TemporaryDirectory() as folder:
        few, many = (torchrun(count, steps, Path(folder, str(steps))) for steps in (5, 35))
    return (many - few) / 30


def torchrun(processes: int, steps: int, out: Path) -> float:
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    recipe = ["run", "digits", "sample=null", "evaluate=null", "expect={}", f"train.steps={steps}"]
    command += ["-m", "fmcore", *recipe, "--out", str(out), "--device", "cpu", "-q"]
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime


def of_members(count: int) -> float:
    """Return the CPU seconds of a sweep whose runs write their results and do nothing else."""

    def run(recipe: Any, *, out: Path, device: str | None, quiet: bool) -> None:
        folder = RunFolder.begin(recipe, out, lambda line: None)
        nfe = {"value": 8.0, "error": None, "provenance": {}, "details": {}}
        folder.save_results({"nfe": nfe})

    engines.run = run
    seeds = ",".join(map(str, range(count)))
    with tempfile.TemporaryDirectory() as folder:
        file, out = recipe_in(folder), Path(folder, "out")
        began = time.process_time()
        recipe_benchmark.benchmark_recipe(
            file, [f"seed={seeds}"], out=out, quiet=True, emit=lambda line: None
        )
        return time.process_time() - began


def of_lines(count: int) -> float:
    """Return the CPU seconds of the page of a run whose training logged `count` lines."""
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder.begin(
            load_recipe(recipe_in(folder)), Path(folder, "run"), lambda line: None
        )
        write_curve(run.curve_file, count)
        began = time.process_time()
        make_report(run)
        return time.process_time() - began


def write_curve(file: Path, count: int) -> None:
    """Write a training curve of `count` lines; lines without a checksum are valid too."""
    noise = torch.randn(count, generator=torch.Generator().manual_seed(0)).tolist()
    with file.open("w", encoding="utf-8") as stream:
        for step, value in enumerate(noise, 1):
            line = {"step": step, "loss": step**-0.5 + 0.01 * value, "lr": 1e-3}
            stream.write(json.dumps({**line, "grad_norm": abs(value)}) + "\n")


@dataclass(frozen=True)
class Series:
    """Points of one growth: its work, and what the seconds are of."""

    work: str
    seconds: str
    points: tuple[int, ...]
    measure: Callable[[int], float]
    power: int = 1
    """The work is a point to this power: an image of 32 px has 32^2 pixels."""


SERIES: Mapping[str, Series] = {
    "images": Series("pixels of an image", "a training step", (16, 32, 64, 128), of_images, 2),
    "batch": Series("batch size", "a training step", (1, 4, 16, 64, 256), of_batch),
    "samples": Series(
        "samples", "`fmcore sample`", (10**2, 10**3, 10**4, 10**5, 10**6), of_samples
    ),
    "examples": Series(
        "examples of the data", "200 batches", tuple(10**n for n in range(3, 9)), of_examples
    ),
    "processes": Series("processes", "a training step, all processes", (1, 2), of_processes),
    "members": Series(
        "members of a sweep", "the sweep without runs", (1, 10, 100, 1000), of_members
    ),
    "lines": Series("lines of a training curve", "the page", (10**3, 10**4, 10**5), of_lines),
}


def memory_mib(key: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:")) / 1024


def memory_from_here() -> None:
    """Measure the memory of this process as its growth from now on."""
    Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak counts from here
    BASE["mib"] = memory_mib("VmRSS")


def measure_here(series: Series, point: int, result: Any) -> None:
    starts_others = series is SERIES["processes"]
    if not starts_others:
        # a forked process has few of the pages of its libraries yet, which are not of the work
        series.measure(series.points[0])
    memory_from_here()
    seconds = series.measure(point)
    mib = memory_mib("VmHWM") - BASE["mib"]
    if (
        starts_others
    ):  # elsewhere it is that of git, which Linux counts with the pages of its parent
        mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    result.put((seconds, mib))


def in_a_process(series: Series, point: int) -> dict[str, float]:
    """Return the CPU seconds, and the MiB above those of the smallest point; of processes that it
    started, all MiB of the largest.
    """
    context = multiprocessing.get_context("fork")
    result = context.SimpleQueue()
    child = context.Process(target=measure_here, args=(series, point, result))
    child.start()
    child.join()
    if child.exitcode:
        raise SystemExit(f"{series.work}: {point} failed")
    seconds, mib = result.get()
    return {"point": point, "work": point**series.power, "cpu_s": seconds, "mib": mib}


def exponents(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the fitted exponents, and those between the last two points, of time and memory.

    The first of several points is what memory is measured above: it does not count there.
    """
    later = rows[1:] if len(rows) > 2 else rows
    costs = {
        "time": [(row["work"], row["cpu_s"]) for row in rows],
        "memory": [(row["work"], max(row["mib"], 1.0)) for row in later],
    }
    found = {}
    for name, pairs in costs.items():
        work, values = ([math.log(value) for value in own] for own in zip(*pairs, strict=True))
        found[name] = statistics.linear_regression(work, values).slope
        found[f"{name}_last"] = (values[-1] - values[-2]) / (work[-1] - work[-2])
    return found


def table(report: Mapping[str, Any]) -> list[str]:
    """Return the rows of the table of docs/scale.md."""
    lines = []
    for name, found in report["series"].items():
        rows, fit, series = found["rows"], found["exponents"], SERIES[name]
        points = f"{number(rows[0]['point'])} to {number(rows[-1]['point'])}"
        points += " px" if series.power == 2 else ""
        time_s = " to ".join(f"{rows[i]['cpu_s']:.2g}" for i in (0, -1))
        mib = " to ".join(f"{rows[i]['mib']:.0f}" for i in (1 if len(rows) > 2 else 0, -1))
        slopes = [f"{fit[k]:.2f} ({fit[f'{k}_last']:.2f})" for k in ("time", "memory")]
        cells = (series.work, points, series.seconds, time_s, slopes[0], mib, slopes[1])
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def number(value: float) -> str:
    return f"{value:,.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("series", nargs="*", choices=[*SERIES, []], metavar="SERIES")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    of_members(1), of_lines(10)  # the imports of all series, which no point must pay for
    report: dict[str, Any] = {"machine": machine(), "series": {}}
    if given.out.exists():
        report["series"] = json.loads(given.out.read_text(encoding="utf-8"))["series"]
    for name in given.series or SERIES:
        rows = []
        for point in SERIES[name].points:
            rows.append(in_a_process(SERIES[name], point))
            print(name, rows[-1], flush=True)
        report["series"][name] = {"rows": rows}
        # in the order of the page
        known = {n: report["series"][n]["rows"] for n in SERIES if n in report["series"]}
        report["series"] = {n: {"rows": r, "exponents": exponents(r)} for n, r in known.items()}
        given.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print("\n".join(table(report)))


if __name__ == "__main__":
    main()
