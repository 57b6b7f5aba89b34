"""Reflow: pairs of a flow are written, read and trained on."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from fmcore import DataError, create, write_pairs
from fmcore.testing import DatasetSuite


@pytest.fixture(scope="module")
def pairs_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("pairs") / "pairs.safetensors"
    g = torch.Generator().manual_seed(0)
    x0 = torch.randn(40, 2, generator=g)
    save_file({"x0": x0, "x1": 3 * x0 + 1, "label": torch.arange(40) % 3}, file)
    return file


class TestPairs(DatasetSuite):
    @pytest.fixture(autouse=True)
    def _file(self, pairs_file):
        self.file = str(pairs_file)

    def component(self):
        return create("data", "pairs", file=self.file, held_out=10)

    def missing(self):
        return create("data", "pairs", file="nowhere.safetensors")


def test_rows_of_a_pair_keep_their_index(pairs_file):
    batch = create("data", "pairs", file=str(pairs_file)).batch([5, 3, 11])
    torch.testing.assert_close(batch["x1"], 3 * batch["x0"] + 1)
    assert batch["label"].tolist() == [2, 0, 2]


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"x1": torch.zeros(3, 2)}, "must hold x0 and x1; it holds x1"),
        ({"x0": torch.zeros(3, 2), "x1": torch.zeros(3, 4)}, "must have one shape"),
    ],
)
def test_files_without_pairs_are_refused(tmp_path, tensors, message):
    save_file(tensors, tmp_path / "other.safetensors")
    with pytest.raises(DataError, match=message):
        _ = create("data", "pairs", file=str(tmp_path / "other.safetensors")).length


def test_a_corrupt_file_is_a_data_error(tmp_path):
    (tmp_path / "corrupt.safetensors").write_bytes(b"\x08\x00")
    with pytest.raises(DataError, match="not a whole safetensors file"):
        _ = create("data", "pairs", file=str(tmp_path / "corrupt.safetensors")).length


def test_more_held_out_than_there_are_pairs_is_an_error(pairs_file):
    with pytest.raises(DataError, match="held_out must be below its 40 pairs"):
        _ = create("data", "pairs", file=str(pairs_file), held_out=40).length


def velocity(x, t):
    """The marginal velocity of the linear path from N(0, 1) to N(2, 0.5^2)."""
    t = t[:, None]
    variance = (0.5 * t) ** 2 + (1 - t) ** 2
    return 2 + (0.25 * t - (1 - t)) / variance * (x - 2 * t)


def written(file, **options):
    path, solver = create("path", "linear"), create("solver", "rk4", steps=50)
    write_pairs(file, velocity, path, solver, shape=(1,), count=24, **options)
    return load_file(file)


def test_a_flow_writes_the_start_and_the_end_of_each_sample(tmp_path):
    made = written(tmp_path / "p.safetensors")
    assert made["x0"].shape == (24, 1)
    torch.testing.assert_close(made["x1"], 2 + 0.5 * made["x0"], rtol=1e-3, atol=1e-3)


def test_pair_i_is_a_function_of_seed_and_i(tmp_path):
    whole = written(tmp_path / "a.safetensors", seed=3)
    pieces = written(tmp_path / "b.safetensors", seed=3, batch_size=7)
    other = written(tmp_path / "c.safetensors", seed=4)
    assert torch.equal(whole["x0"], pieces["x0"])
    torch.testing.assert_close(whole["x1"], pieces["x1"])
    assert not torch.equal(whole["x0"], other["x0"])


def test_noise_is_written_in_units_of_the_path(tmp_path):
    """The prior of ve is 50 times its noise, and training draws the noise."""
    path, solver = create("path", "ve"), create("solver", "euler", steps=1)
    file = tmp_path / "ve.safetensors"
    write_pairs(file, lambda x, t: torch.zeros_like(x), path, solver, shape=(2,), count=8)
    made = load_file(file)
    torch.testing.assert_close(made["x1"], 50 * made["x0"])


def test_conditions_are_written_with_their_pairs(tmp_path):
    seen = []

    def field(x, t, condition):
        seen.append(condition["label"])
        return condition["label"][:, None] * torch.ones_like(x)

    path, solver = create("path", "linear"), create("solver", "euler", steps=2)
    file = tmp_path / "labelled.safetensors"
    write_pairs(
        file,
        field,
        path,
        solver,
        shape=(1,),
        count=6,
        condition={"label": torch.arange(6)},
        batch_size=4,
    )
    made = load_file(file)
    assert made["label"].tolist() == [0, 1, 2, 3, 4, 5]
    torch.testing.assert_close(made["x1"] - made["x0"], made["label"][:, None].float())


def test_training_uses_the_pairs_of_the_file(pairs_file):
    from fmcore.training.batches import Batches

    batches = Batches(
        data=create("data", "pairs", file=str(pairs_file)),
        path=create("path", "linear"),
        coupling=create("coupling", "reflow"),
        objective=create("objective", "flow_matching"),
        batch_size=16,
        seed=0,
    )
    paired = batches.pairs(2, range(16))
    torch.testing.assert_close(paired.x1, 3 * paired.x0 + 1)
    assert len(paired.condition["label"]) == 16
