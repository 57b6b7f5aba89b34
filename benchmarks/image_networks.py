"""Networks for images at equal CPU time: U-Net, transformer and latent transformer, emoji 64x64.

    python benchmarks/image_networks.py --root FOLDER [--minutes 15] [--seeds 0,1] [--dir DIR]

Each network trains for `--minutes` of CPU time on one thread, in as many steps as fit by the
median of its step on this machine.  The latent transformer trains its autoencoder first, for a
third of the time, and the transformer for the rest.  Quality is FD-lite0 of as many samples as
there are held-out images, to those images, after each third of the steps: averaged weights,
`midpoint` with 16 NFE, the same noise for each look.  `autoencoder` is the distance of the decoded
latents of those images: no latent flow can be expected to be better.  The same command resumes runs
and reuses finished ones.  Writes results/image_networks.json and docs/pictures/image_networks.png.

Data: the folder package/img/google/64 of the npm package emoji-datasource-google 16.0.0.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from machine import machine
from step_cost import step_seconds
from torch import Tensor

import fmcore
from fmcore.cli import command_line
from fmcore.interfaces.levels import to_levels
from fmcore.interfaces.randomness import noise_of
from fmcore.interfaces.rows import Rows
from fmcore.report.plots.method_curves import STYLES, CurvePoint, Panel, save_panels
from fmcore.runs.files import write_json
from fmcore.stages.weights import trained_field

NETWORKS = {"unet": "emoji64", "dit": "emoji64_dit", "latent_dit": "emoji64_latent"}
HELD_OUT, BATCH = 386, 32
NFE = 16
LOOKS = 3
AUTOENCODER = 1 / 3
"""The share of the time that the autoencoder has."""
TIMED = 12
"""Steps whose median is the cost of a step."""
RESULTS = Path(__file__).parent / "results" / "image_networks.json"
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "image_networks.png"
TITLES = {"unet": "U-Net", "dit": "DiT", "latent_dit": "DiT on latents"}


class Experiment:
    """The trainings of one seed, with their folders."""

    def __init__(self, given: argparse.Namespace, seed: int) -> None:
        self.given, self.seed = given, seed
        self.dir = given.dir / str(seed)
        self.images = fmcore.create(
            "data",
            "image_folder",
            root=str(given.root),
            labels="none",
            held_out=HELD_OUT,
            dequantize="none",
        )

    def train(self, name: str, minutes: float, overrides: Sequence[str], out: Path) -> fmcore.Run:
        """Train recipe `name` for `minutes` of CPU time."""
        steps = self._steps(name, minutes, overrides, out)
        every = max(1, steps // LOOKS)
        more = [f"train.steps={every * LOOKS}", f"train.keep_every={every}"]
        more += [f"train.checkpoint_every={every}", "sample=null", "evaluate=null"]
        recipe = fmcore.load_recipe(name, [*overrides, f"seed={self.seed}", *more])
        return fmcore.run(recipe, out=out, device="cpu", quiet=True)

    def _steps(self, name: str, minutes: float, overrides: Sequence[str], out: Path) -> int:
        file = out.with_suffix(".cost.json")
        if not file.exists():
            more = [f"train.steps={TIMED}", "sample=null", "evaluate=null"]
            recipe = fmcore.load_recipe(name, [*overrides, *more])
            write_json(file, step_seconds(recipe, out.with_suffix(".timing")))
        return int(60 * minutes / float(json.loads(file.read_text(encoding="utf-8"))))

    def network(self, kind: str) -> dict[str, Any]:
        """Train one network and measure it after each third of its steps."""
        minutes, root = self.given.minutes, self.given.root
        spent, found = 0.0, dict[str, Any]()
        own = [f"data.root={root}"]
        if kind == "latent_dit":
            spent = AUTOENCODER * minutes
            coder = self._autoencoder(spent)
            own = [f"data.root={coder / 'latents'}", f"codec.run={coder}"]
            found["autoencoder"] = self._reconstructed(open_codec(coder))
        run = self.train(NETWORKS[kind], minutes - spent, own, self.dir / kind)
        looks = sorted(run.folder.checkpoints.steps())[-LOOKS:]
        each = (minutes - spent) / len(looks)
        found["parameters"] = sum(p.numel() for p in run.components.model().parameters())
        found["steps"] = looks[-1]
        found["minutes"] = [round(spent + each * (i + 1), 2) for i in range(len(looks))]
        found["fd_lite0"] = [self._look(run, step) for step in looks]
        return found

    def _look(self, run: fmcore.Run, step: int) -> float:
        """Return FD-lite0 of the samples of a step, measured once."""
        file = run.folder.root.with_suffix(f".{step}.json")
        if not file.exists():
            write_json(file, self.distance(self.samples(run, step)))
        return float(json.loads(file.read_text(encoding="utf-8")))

    def _autoencoder(self, minutes: float) -> Path:
        """Train the autoencoder and pack the latents of the images; return its folder."""
        out = self.dir / "autoencoder"
        root = f"data.root={self.given.root}"
        self.train("emoji64_autoencoder", minutes, [root], out)
        latents = out / "latents"
        if not latents.exists():
            options = [f"root={self.given.root}", "labels=none", f"held_out={HELD_OUT}"]
            arguments = ["data", "pack", "image_folder", str(latents), *options]
            packing = [*arguments, "dequantize=none", "--codec", str(out)]
            command_line.main(packing, standalone_mode=False)
        return out

    def _reconstructed(self, codec: fmcore.Codec) -> float:
        test = self.images.with_split("test")
        x1 = test.batch(list(range(test.length)))["x1"].float() / 127.5 - 1
        with torch.no_grad():
            latents = codec.encode(x1, Rows(0, "latents", 0, range(len(x1))))
            decoded = codec.decode(latents).values
        return self.distance(to_levels(decoded, 256, "none"))

    @torch.no_grad()
    def samples(self, run: fmcore.Run, step: int) -> Tensor:
        """Return samples as levels, with the averaged weights of a step."""
        components = run.components
        field, _ = trained_field(components, run.folder, "ema", "cpu", step)
        solver, found = fmcore.create("solver", "midpoint", nfe=NFE), list[Tensor]()
        codec = components.codec
        for first in range(0, HELD_OUT, BATCH):
            rows = range(first, min(first + BATCH, HELD_OUT))
            shape = components.state_shape
            x0 = noise_of(components.path.prior(), rows, shape, seed=0)
            x = solver.solve(fmcore.Problem(field=field, x0=x0, path=components.path)).x
            found.append(x if codec is None else codec.decode(x).values)
        return to_levels(torch.cat(found), 256, "none")

    def distance(self, levels: Tensor) -> float:
        """Return FD-lite0 between images and the held-out images."""
        metric = fmcore.create("metric", "fd_lite0", reference="test")
        metric.begin(
            fmcore.Evaluation(
                data=self.images.with_split("test"),
                train_data=self.images,
                path=fmcore.create("path", "linear"),
                field=None,
                seed=0,
                batch_size=64,
                cache=self.given.dir / "cache",
            )
        )
        metric.update(fmcore.MetricBatch(torch.arange(len(levels)), None, levels))
        return round(float(metric.compute()["fd_lite0"].value), 1)


def open_codec(run: Path) -> fmcore.Codec:
    """Return the codec of an autoencoder's run."""
    codec: fmcore.Codec = fmcore.create("codec", "autoencoder", run=str(run))
    return codec


def draw(result: dict[str, Any]) -> None:
    """Draw FD-lite0 over CPU time: the mean over seeds, with the standard deviation as a band."""
    curves = {
        kind: [
            CurvePoint(minutes, tuple(row["fd_lite0"][look] for row in rows.values()))
            for look, minutes in enumerate(next(iter(rows.values()))["minutes"])
        ]
        for kind, rows in result["networks"].items()
    }
    panel = Panel("quality", "Emoji, 64x64", "CPU minutes", "FD-lite0", curves, log_y=True)
    styles = dict(zip(curves, STYLES, strict=False))
    how = (
        f"one thread; {result['held_out']} samples by midpoint, {NFE} NFE; "
        "the time of the autoencoder counts"
    )
    save_panels(PICTURE, [panel], TITLES, styles, how, kinds=("png",))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="folder of the 64x64 PNG files")
    parser.add_argument("--minutes", type=float, default=15.0, help="CPU time of each training")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--dir", type=Path, default=Path("runs/image_networks"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.root = given.root.resolve()
    table: dict[str, Any] = {}
    for seed in map(int, given.seeds.split(",")):
        experiment = Experiment(given, seed)
        for kind in given.networks.split(","):
            row = experiment.network(kind)
            table.setdefault(kind, {})[str(seed)] = row
            print(kind, seed, json.dumps(row), flush=True)
    train = experiment.images.batch([8 * i for i in range(HELD_OUT)])["x1"]
    about = {"minutes": given.minutes, "held_out": HELD_OUT, "data": experiment.distance(train)}
    result = {"machine": machine(), **about, "networks": table}
    write_json(RESULTS, result)
    draw(result)
    print(RESULTS.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
