"""Training time until samples of Fashion-MNIST are as good as those of torchcfm's recipe. An hour.

    python benchmarks/time_to_quality.py [--seconds 1800] [--every 60] [--seed 0] [--set KEY=VALUE]
                                         [--dir DIR] [--out FILE]

The peer is torchcfm's U-Net and matcher, trained as in its image script: batch 128, Adam at 2e-4,
uniform times, clipping, a moving average of 0.9999, for `--seconds` of CPU time. Ours is
`recipes/fashion_quick.yaml` with half its channels and a shorter schedule (`SHORTER`), all its
steps, by the trainer of `fmcore run`. The two take turns on one thread, for some seconds each, so
that other load slows both. Only CPU seconds of training count. Both are evaluated after every
`--every` of their seconds, and at their ends: `fd_lite0` with 112 features against the 10,000
held-out images, of midpoint's samples from the same noise. For the peer the best of all its
evaluations counts. Its averaged weights, which stay close to the initial ones for thousands of
steps, are evaluated at its end only. The result is written after each evaluation, and the state is
saved in DIR: the same command resumes.

The peer: pip install pot; pip install --no-deps torchcfm==1.0.7 (its dependencies include Jupyter).
Data: the Debian package dataset-fashion-mnist, or --set data.root=FOLDER.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from machine import machine
from torch import Tensor, nn

from fmcore import Evaluation, MetricBatch, Problem, create, load_recipe
from fmcore.interfaces.levels import Dequantize, from_levels, to_levels
from fmcore.interfaces.randomness import noise_of
from fmcore.runs.files import atomic, write_json
from fmcore.stages.components import Components
from fmcore.training.batches import Batches
from fmcore.training.trainer import Trainer

SLICE = 20.0
SAMPLES, NFE = 400, 8
PEER_BATCH, PEER_LR, PEER_EMA = 128, 2e-4, 0.9999
SHORTER = (
    "model.channels=16",
    "model.head_channels=16",
    "train.steps=900",
    "train.lr_schedule.warmup=50",
)
RESULTS = Path(__file__).parent / "results" / "time_to_quality.json"


class Contestant(ABC):
    """A training that can be stopped and resumed; `seconds` is its CPU time."""

    name: str
    dequantize: Dequantize
    """How its images were dequantised, to be inverted for its samples."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / f"{self.name}.pt"
        self.seconds = 0.0
        self.steps = 0
        self.rows: list[dict[str, Any]] = []

    @property
    @abstractmethod
    def done(self) -> bool:
        """Whether its budget is used."""

    @abstractmethod
    def advance(self) -> None:
        """Train for one step."""

    @abstractmethod
    def weights(self) -> dict[str, nn.Module]:
        """Return the velocity fields `(x, t)` to evaluate, by name."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return the state to save."""

    @abstractmethod
    def load(self, state: dict[str, Any]) -> None:
        """Restore a saved state."""

    def train(self, until: float) -> None:
        """Train until `until` CPU seconds in all, or until the budget is used."""
        while not self.done and self.seconds < until:
            before = time.process_time()
            self.advance()
            self.seconds += time.process_time() - before
            self.steps += 1

    def save(self) -> None:
        kept = {
            "seconds": self.seconds,
            "steps": self.steps,
            "rows": json.dumps(self.rows),
            **self.state(),
        }
        atomic(self.file, lambda part: torch.save(kept, part))

    def resume(self) -> None:
        if self.file.exists():
            kept = torch.load(self.file, weights_only=True)
            self.seconds, self.steps = kept["seconds"], kept["steps"]
            self.rows = json.loads(kept["rows"])
            self.load(kept)


class Ours(Contestant):
    name, dequantize = "fmcore", "uniform"

    def __init__(self, folder: Path, overrides: list[str]) -> None:
        super().__init__(folder)
        self.components = Components.of(load_recipe("fashion_quick", overrides))
        made, settings = self.components, self.components.train
        assert settings is not None
        self.batches = Batches(
            made.data, made.path, made.coupling, made.objective, settings.batch_size, made.seed
        )
        self.training = Trainer(made.model(), self.batches, settings, Accelerator(cpu=True))

    @property
    def done(self) -> bool:
        return self.training.step >= self.training.settings.steps

    def advance(self) -> None:
        self.training.train_step()

    def weights(self) -> dict[str, nn.Module]:
        averaged = copy.deepcopy(self.training.model)
        averaged.load_state_dict(self.training.checkpoint().part("ema"))
        return {"ema": averaged}

    def state(self) -> dict[str, Any]:
        checkpoint = self.training.checkpoint()
        return {"step": checkpoint.step, "tensors": checkpoint.tensors}

    def load(self, state: dict[str, Any]) -> None:
        checkpoint = self.training.checkpoint()
        kept = type(checkpoint)(state["step"], state["tensors"], checkpoint.facts)
        self.training.resume(kept, str(self.file))


class Peer(Contestant):
    name, dequantize = "torchcfm", "none"

    def __init__(self, folder: Path, images: Tensor, seconds: float, seed: int) -> None:
        from torchcfm import ConditionalFlowMatcher
        from torchcfm.models.unet.unet import UNetModelWrapper

        super().__init__(folder)
        self.images, self.limit = images, seconds
        torch.manual_seed(seed)
        self.model = UNetModelWrapper(
            dim=(1, 28, 28),
            num_channels=32,
            num_res_blocks=1,
            channel_mult=(1, 2, 2),
            attention_resolutions="14",
        )
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=PEER_LR)
        self.matcher = ConditionalFlowMatcher(sigma=0.0)
        self.draws = torch.Generator().manual_seed(seed)

    @property
    def done(self) -> bool:
        return self.seconds >= self.limit

    def advance(self) -> None:
        self.optimizer.zero_grad()
        chosen = torch.randint(len(self.images), (PEER_BATCH,), generator=self.draws)
        x1 = self.images[chosen]
        t, xt, ut = self.matcher.sample_location_and_conditional_flow(torch.randn_like(x1), x1)
        loss = torch.mean((self.model(t, xt) - ut) ** 2)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        # fused, which favours the peer: torchcfm's script loops over the state dict
        mine, theirs = list(self.average.parameters()), list(self.model.parameters())
        torch._foreach_lerp_(mine, [p.detach() for p in theirs], 1 - PEER_EMA)

    def weights(self) -> dict[str, nn.Module]:
        last = {"ema": Turned(self.average)} if self.done else {}
        return {"raw": Turned(self.model), **last}

    def state(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "draws": self.draws.get_state(),
        }

    def load(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.draws.set_state(state["draws"])


class Turned(nn.Module):
    """torchcfm's network as a field `(x, t)`; its arguments are (t, x)."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        velocity: Tensor = self.inner(t, x)
        return velocity


@torch.no_grad()
def quality(field: nn.Module, dequantize: Dequantize, components: Components, cache: Path) -> float:
    """Return FD-lite0 of midpoint's samples from noise that is the same in every call."""
    field.eval()
    path, data = create("path", "linear"), components.data
    solver = create("solver", "midpoint", nfe=NFE, grid="uniform")
    parts = []
    for first in range(0, SAMPLES, 100):
        x0 = noise_of(path.prior(), range(first, first + 100), data.shape, seed=0)
        parts.append(solver.solve(Problem(field=field, x0=x0, path=path)).x)
    field.train()
    metric = create("metric", "fd_lite0", reference="test")
    test = data.with_split("test")
    metric.begin(
        Evaluation(
            data=test,
            train_data=data,
            path=path,
            field=None,
            seed=0,
            batch_size=250,
            cache=cache,
        )
    )
    levels = to_levels(torch.cat(parts), data.levels, dequantize)
    metric.update(MetricBatch(torch.arange(SAMPLES), None, levels))
    return metric.compute()["fd_lite0"].value


def evaluate(one: Contestant, components: Components, cache: Path) -> None:
    """Append the quality of the current weights to the rows of `one`."""
    found = {
        name: quality(field, one.dequantize, components, cache)
        for name, field in one.weights().items()
    }
    row = {"seconds": round(one.seconds, 1), "steps": one.steps, "fd_lite0": found}
    one.rows.append(row)
    print(f"{one.name}: {row}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1800.0, help="CPU seconds of the peer")
    parser.add_argument(
        "--every", type=float, default=60.0, help="CPU seconds of training between evaluations"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of both trainings, not of the noise of the samples"
    )
    parser.add_argument("--set", action="append", default=[], help="override a key of our recipe")
    parser.add_argument("--dir", type=Path, default=Path("runs/time_to_quality"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.dir.mkdir(parents=True, exist_ok=True)
    ours = Ours(given.dir, [f"seed={given.seed}", *SHORTER, *given.set])
    peer = Peer(given.dir, training_images(ours.components), given.seconds, given.seed)
    for one in (ours, peer):
        one.resume()
    while not (ours.done and peer.done):
        for one in (ours, peer):
            if one.done:
                continue
            due = given.every * (int(one.seconds / given.every) + 1)
            one.train(min(one.seconds + SLICE, due))
            if one.done or one.seconds >= due:
                evaluate(one, ours.components, given.dir / "cache")
                one.save()
                write_json(given.out, {"seed": given.seed, **summary(ours, peer)})
    print(given.out.read_text())


def training_images(components: Components) -> Tensor:
    """Return all training images on [-1, 1], as the peer's loader does."""
    data = components.data
    levels = data.batch(list(range(data.length)))["x1"]
    return from_levels(levels, 256, "none")


def summary(ours: Ours, peer: Peer) -> dict[str, Any]:
    compared: dict[str, Any] = {"goal_fd_lite0": None, "cpu_seconds": None, "ratio": None}
    if peer.rows:
        best = min(peer.rows, key=lambda row: min(row["fd_lite0"].values()))
        goal = min(best["fd_lite0"].values())  # of all evaluations: it did not always improve
        reached = [row["seconds"] for row in ours.rows if row["fd_lite0"]["ema"] <= goal]
        first = reached[0] if reached else None
        compared = {
            "goal_fd_lite0": goal,
            "cpu_seconds": {ours.name: first, peer.name: best["seconds"]},
            "ratio": None if first is None else first / best["seconds"],
        }
    return {
        "machine": machine(),
        "finished": ours.done and peer.done,
        "samples": SAMPLES,
        "solver": f"midpoint, {NFE} NFE",
        "steps": ours.training.settings.steps,
        "parameters": {ours.name: size(ours.training.model), peer.name: size(peer.model)},
        **compared,
        "rows": {one.name: one.rows for one in (ours, peer)},
    }


def size(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


if __name__ == "__main__":
    main()
