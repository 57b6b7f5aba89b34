"""Training time until samples of Fashion-MNIST are as good as those of torchcfm's recipe. Hours.

    python benchmarks/time_to_quality.py [--seconds 3600] [--seed 0] [--dir DIR] [--out FILE]

The peer is torchcfm's U-Net and matcher, trained as in its image script: batch 128, Adam at 2e-4,
uniform times, clipping, a moving average of 0.9999, for `--seconds` of CPU time. Ours is
`recipes/fashion_quick.yaml`, all its steps, by the trainer of `fmcore run`. The two take turns on
one thread, for some seconds each, and only CPU seconds of training count, so that other load slows
both. Quality is `fd_lite0` with 112 features against the 10,000 held-out images, of midpoint's
samples from the same noise. For the peer the best of its evaluations counts, with averaged or raw
weights. Both save their state in DIR; the same command resumes.

The peer: pip install pot; pip install --no-deps torchcfm==1.0.7 (its dependencies include Jupyter).
Data: the Debian package dataset-fashion-mnist.
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
SAMPLES, NFE = 1000, 16
PEER_BATCH, PEER_LR, PEER_EMA = 128, 2e-4, 0.9999
RESULTS = Path(__file__).parent / "results" / "time_to_quality.json"


class Contestant(ABC):
    """A training that can be stopped and resumed; `seconds` is its CPU time."""

    name: str
    evaluations: int
    """Number of evaluations, evenly spaced over its budget."""
    dequantize: Dequantize
    """How its images were dequantised, to be inverted for its samples."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / f"{self.name}.pt"
        self.seconds = 0.0
        self.steps = 0

    @property
    @abstractmethod
    def spent(self) -> float:
        """The fraction of its budget that is used."""

    @property
    def evaluations_due(self) -> int:
        """The number of evaluations at this point of the budget."""
        return int(self.evaluations * min(1.0, self.spent))

    @property
    def done(self) -> bool:
        return self.spent >= 1

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

    def train(self, seconds: float) -> None:
        """Train for `seconds` of CPU time, or until the budget is used."""
        began = time.process_time()
        while not self.done and time.process_time() - began < seconds:
            before = time.process_time()
            self.advance()
            self.seconds += time.process_time() - before
            self.steps += 1

    def save(self) -> None:
        kept = {"seconds": self.seconds, "steps": self.steps, **self.state()}
        atomic(self.file, lambda part: torch.save(kept, part))

    def resume(self) -> None:
        if self.file.exists():
            kept = torch.load(self.file, weights_only=True)
            self.seconds, self.steps = kept["seconds"], kept["steps"]
            self.load(kept)


class Ours(Contestant):
    name, evaluations, dequantize = "fmcore", 8, "uniform"

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder)
        self.components = Components.of(load_recipe("fashion_quick", [f"seed={seed}"]))
        made, settings = self.components, self.components.train
        assert settings is not None
        self.batches = Batches(
            made.data, made.path, made.coupling, made.objective, settings.batch_size, made.seed
        )
        self.training = Trainer(made.model(), self.batches, settings, Accelerator(cpu=True))

    @property
    def spent(self) -> float:
        return self.training.step / self.training.settings.steps

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
    name, evaluations, dequantize = "torchcfm", 4, "none"

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
    def spent(self) -> float:
        return self.seconds / self.limit

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
        return {"raw": Turned(self.model), "ema": Turned(self.average)}

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


def judge(one: Contestant, components: Components, cache: Path) -> dict[str, Any]:
    found = {
        name: quality(field, one.dequantize, components, cache)
        for name, field in one.weights().items()
    }
    row = {"seconds": round(one.seconds, 1), "steps": one.steps, "fd_lite0": found}
    print(f"{one.name}: {row}", flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3600.0, help="CPU seconds of the peer")
    parser.add_argument(
        "--seed", type=int, default=0, help="of both trainings, not of the noise of the samples"
    )
    parser.add_argument("--dir", type=Path, default=Path("runs/time_to_quality"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.dir.mkdir(parents=True, exist_ok=True)
    ours = Ours(given.dir, given.seed)
    images = training_images(ours.components)
    peer = Peer(given.dir, images, given.seconds, given.seed)
    ledger = given.dir / "rows.json"
    rows = json.loads(ledger.read_text()) if ledger.exists() else {"fmcore": [], "torchcfm": []}
    for one in (ours, peer):
        one.resume()
    done = {one.name: one.evaluations_due for one in (ours, peer)}
    while not (ours.done and peer.done):
        for one, part in ((ours, 0.5), (peer, 1.0)):
            one.train(SLICE * part)
            if one.evaluations_due > done[one.name]:
                done[one.name] = one.evaluations_due
                rows[one.name].append(judge(one, ours.components, given.dir / "cache"))
                write_json(ledger, rows)
                one.save()
        print(f"{ours.seconds:.0f} s, {peer.seconds:.0f} s", flush=True)
    write_json(given.out, {"seed": given.seed, **summary(rows, ours, peer)})
    print(given.out.read_text())


def training_images(components: Components) -> Tensor:
    """Return all training images on [-1, 1], as the peer's loader does."""
    data = components.data
    levels = data.batch(list(range(data.length)))["x1"]
    return from_levels(levels, 256, "none")


def summary(rows: dict[str, Any], ours: Ours, peer: Peer) -> dict[str, Any]:
    best = min(rows["torchcfm"], key=lambda row: min(row["fd_lite0"].values()))
    goal = min(best["fd_lite0"].values())  # of all evaluations: it did not always improve
    reached = [row for row in rows["fmcore"] if row["fd_lite0"]["ema"] <= goal]
    first = reached[0]["seconds"] if reached else None
    return {
        "machine": machine(),
        "samples": SAMPLES,
        "solver": f"midpoint, {NFE} NFE",
        "parameters": {"fmcore": size(ours.training.model), "torchcfm": size(peer.model)},
        "goal_fd_lite0": goal,
        "cpu_seconds": {"fmcore": first, "torchcfm": best["seconds"]},
        "ratio": None if first is None else first / best["seconds"],
        "rows": rows,
    }


def size(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


if __name__ == "__main__":
    main()
