"""Receptors as conditions: pockets, the network that reads them, and the files of a user."""

from __future__ import annotations

import importlib
import math
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from fmcore import Batch, ComponentError, DataError, Field, Portrait, Problem, Rows, create
from fmcore.cli import command_line
from fmcore.testing import DatasetSuite
from fmcore.testing.stub_net import FunctionNet
from fmcore_molecules import fragments
from fmcore_molecules.fragment_space import SCALE, product_of
from fmcore_molecules.frames import Frames
from fmcore_molecules.geometry import atoms_of_torsions
from fmcore_molecules.pdb import RESIDUES, read_file, read_segments
from fmcore_molecules.pdb_files import pdb_text
from fmcore_molecules.peptides import Peptides
from fmcore_molecules.ppbench import PPBench
from fmcore_molecules.receptor import ROW, Receptor, nearest

REACH = 10.0


def chain(number: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A chain with random torsions around those of helices."""
    rows = Rows(number, "chain", 0, range(1))
    angles = torch.tensor([-1.05, -0.8, math.pi]) + 0.2 * rows.normal((length, 3))[0]
    atoms = atoms_of_torsions(angles)
    return atoms - atoms.mean((0, 1)), rows.integers(20, (length,))[0]


def complex_of(number: int) -> tuple[tuple[torch.Tensor, torch.Tensor], ...]:
    """A peptide of 9 residues and a receptor of 20 that lies 8 Å away."""
    (atoms, letters), own = chain(100 + number, 20), chain(number, 9)
    place = torch.tensor([20.0, -5.0, 3.0])
    return (own[0] + place, own[1]), (atoms + place + torch.tensor([8.0, 0, 0]), letters)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Complexes of two chains in a file."""
    root = tmp_path_factory.mktemp("complexes")
    for i in range(8):
        (root / f"complex{i:02d}.pdb").write_text(pdb_text(*complex_of(i)))
    return root


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    """The layout of PPBench: two files in a folder for each complex."""
    root = tmp_path_factory.mktemp("ppbench")
    for i in range(8):
        place = root / f"1abc_{i}"
        place.mkdir()
        peptide, receptor = complex_of(i)
        (place / "peptide.pdb").write_text(pdb_text(peptide))
        (place / "receptor.pdb").write_text(pdb_text(receptor))
    return root


class TestPeptidesInAReceptor(DatasetSuite):
    @pytest.fixture(autouse=True)
    def _folder(self, folder):
        self.folder = folder

    def component(self):
        return Peptides(root=self.folder, residues=4, held_out=0.3, receptor=6, freeze="sequence")


class TestPPBench(DatasetSuite):
    @pytest.fixture(autouse=True)
    def _folder(self, unpacked):
        self.folder = unpacked

    def component(self):
        return PPBench(root=self.folder, residues=4, held_out=0.3, receptor=6)


def test_the_pocket_holds_the_residues_within_ten_angstrom_and_no_other(folder):
    data = Peptides(root=folder, residues=7, held_out=0.01, receptor=20)
    batch = data.batch(range(data.length))
    places = SCALE * data.space.split(batch["x1"])["position"] + batch["origin"][:, None]
    receptor = Receptor.of(batch["receptor"])
    files = [read_file(f) for f in sorted(folder.iterdir())]
    matched = 0
    for i, own in enumerate(places):
        # the fragment in the middle of a peptide of 9; others are parts of receptors
        for peptide, other in files:
            if not torch.allclose(peptide.atoms[1:-1, 1], own, atol=1e-3):
                continue
            matched += 1
            distance = (other.atoms[:, None, 1] - own).square().sum(-1).sqrt()
            within = [j for j, row in enumerate(distance.tolist()) if min(row) <= REACH]
            exists = receptor.exists[i]
            assert int(exists.sum()) == len(within) > 0
            found = SCALE * receptor.position[i][exists] + batch["origin"][i]
            torch.testing.assert_close(found, other.atoms[within, 1], atol=1e-3, rtol=0)
            assert receptor.residue[i][exists].tolist() == other.residues[within].tolist()
    assert matched == len(files)


def test_of_too_many_residues_the_nearest_are_kept_in_the_order_of_the_chain():
    carbons = torch.zeros(1, 3)
    atoms = torch.tensor([9.0, 1.0, 11.0, 4.0, 2.0])[:, None, None].expand(5, 3, 3) / 3**0.5
    assert nearest(carbons, atoms, 3).tolist() == [1, 3, 4]
    assert nearest(carbons, atoms, 9).tolist() == [0, 1, 3, 4]


def test_training_turns_the_receptor_with_its_fragment(folder):
    data = Peptides(root=folder, residues=5, receptor=8)
    batch = data.batch(range(6))
    turned = data.augmented(dict(batch), Rows(0, "data", 0, range(6)))
    distances = []
    for each in (batch, turned):
        own = data.space.split(each["x1"])["position"]
        distances.append(torch.cdist(own, Receptor.of(each["receptor"]).position))
    exists = Receptor.of(batch["receptor"]).exists[:, None]
    assert not torch.allclose(batch["x1"], turned["x1"])
    for each in distances:
        each.masked_fill_(~exists, 0)
    torch.testing.assert_close(distances[0], distances[1], atol=1e-4, rtol=0)


def test_data_without_a_second_chain_have_no_receptor(tmp_path):
    (tmp_path / "one.pdb").write_text(pdb_text(chain(0, 12)))
    with pytest.raises(DataError, match="needs files of complexes"):
        _ = Peptides(root=tmp_path, residues=4, held_out=0.001, receptor=6).length


def test_ppbench_names_the_layout_of_its_folder(tmp_path, unpacked):
    (tmp_path / "one.pdb").write_text(pdb_text(chain(0, 12)))
    with pytest.raises(DataError, match=r"holds no file peptide\.pdb.*receptor\.pdb"):
        _ = PPBench(root=tmp_path).length
    place = tmp_path / "1abc_A"
    place.mkdir()
    (place / "peptide.pdb").write_text(pdb_text(chain(0, 12)))
    read_segments.cache_clear()
    with pytest.raises(DataError, match=r"1abc_A has no receptor\.pdb"):
        _ = PPBench(root=tmp_path, receptor=6).length


# The network.

SPACE = product_of(5)
SO3 = SPACE.parts["frame"]


def network(residues: int = 7) -> Frames:
    torch.manual_seed(0)
    data = Peptides(residues=5, receptor=residues)
    return (
        Frames(
            shape=data.shape,
            width=32,
            depth=2,
            links=True,
            conditions=("receptor",),
            entries=data.entries,
            space=SPACE,
        )
        .double()
        .requires_grad_(False)
    )


def rotations(n: int, shape: tuple[int, ...], purpose: str) -> torch.Tensor:
    return SO3.uniform(Rows(0, purpose, 0, range(n)), shape, torch.float64)


def a_complex(n: int = 3) -> tuple[dict[str, torch.Tensor], Receptor]:
    rows = Rows(0, "complex", 0, range(n))
    parts = SPACE.split(rows.normal((SPACE.size,), torch.float64))
    parts["frame"] = rotations(n, (5, 3, 3), "frames")
    parts["residue"] = rows.integers(20, (5,))
    exists = torch.arange(7)[None] < torch.tensor([7, 3, 1])[:, None]
    places = 2 * rows.normal((7, 3), torch.float64)
    receptor = Receptor(places, rotations(n, (7, 3, 3), "others"), rows.integers(20, (7,)), exists)
    return parts, receptor


T = torch.tensor([0.1, 0.5, 0.9]).double()


def heads(raw: torch.Tensor) -> dict[str, torch.Tensor]:
    place, frame, torsion, residue = raw.split([15, 45, 15, 100], 1)
    return {
        "position": place.view(-1, 5, 3),
        "frame": frame.view(-1, 5, 3, 3),
        "torsion": torsion,
        "residue": residue,
    }


def test_the_network_turns_with_the_complex_in_float64():
    net, (parts, receptor) = network(), a_complex()
    turn = rotations(3, (3, 3), "turn")
    moved = {
        **parts,
        "position": parts["position"] @ turn.mT,
        "frame": turn[:, None] @ parts["frame"],
    }
    one = heads(net(SPACE.join(parts), T, {"receptor": receptor.rows()}))
    condition = {"receptor": receptor.turned(turn).rows()}
    other = heads(net(SPACE.join(moved), T, condition))
    close = {"atol": 1e-12, "rtol": 1e-10}
    torch.testing.assert_close(other["position"], one["position"] @ turn.mT, **close)
    torch.testing.assert_close(other["frame"], turn[:, None] @ one["frame"], **close)
    torch.testing.assert_close(other["torsion"], one["torsion"], **close)
    torch.testing.assert_close(other["residue"], one["residue"], **close)
    # a receptor that does not turn with the fragment is another complex
    alone = heads(net(SPACE.join(moved), T, {"receptor": receptor.rows()}))
    assert float((alone["torsion"] - one["torsion"]).abs().max()) > 1e-4


def test_padding_and_its_values_have_no_effect():
    parts, receptor = a_complex()
    x, rows = SPACE.join(parts), receptor.rows()
    net, longer = network(), network(9)
    raw = net(x, T, {"receptor": rows})
    filled = rows + 5 * (rows[..., -1:] == 0)
    filled[..., -1] = rows[..., -1]
    filled[..., -2] = filled[..., -2].clamp(0, 19)
    padded = torch.cat([rows, torch.zeros(3, 2, ROW).double()], 1)
    for found in (net(x, T, {"receptor": filled}), longer(x, T, {"receptor": padded})):
        torch.testing.assert_close(found, raw, atol=1e-12, rtol=1e-10)


def test_a_dropped_receptor_is_none():
    net, (parts, receptor) = network(), a_complex()
    x = SPACE.join(parts)
    none = net(x, T)
    torch.testing.assert_close(net(x, T, {"receptor": 0 * receptor.rows()}), none)
    assert float((net(x, T, {"receptor": receptor.rows()}) - none).abs().max()) > 1e-3


def test_a_network_without_the_condition_has_the_weights_of_before():
    torch.manual_seed(0)
    plain = Frames(shape=(SPACE.size,), width=32, depth=2, links=True, space=SPACE)
    both = network().float().state_dict()
    for name, weight in plain.state_dict().items():
        assert torch.equal(weight, both[name]), name
    assert {n.split(".")[0] for n in both.keys() - plain.state_dict().keys()} == {"pocket"}


@pytest.mark.parametrize(
    ("name", "message"), [("label", "names 'label'"), ("receptor", "set data")]
)
def test_conditions_that_the_network_cannot_read_are_refused(name, message):
    with pytest.raises(ComponentError, match=message):
        Frames(shape=(SPACE.size,), space=SPACE, conditions=(name,))


def test_noise_is_not_turned_to_a_fragment_whose_receptor_is_given():
    coupling = create("coupling", "aligned").on(SPACE)
    coupling.check(PATH, Peptides(residues=5))
    with pytest.raises(ComponentError, match="a receptor determines it"):
        coupling.check(PATH, Peptides(residues=5, receptor=6))


# Frozen parts.

PATH = create(
    "path",
    "product",
    parts={
        "position": "geodesic",
        "frame": "geodesic",
        "torsion": "geodesic",
        "residue": {"name": "mixture", "source": "mask"},
    },
).on(SPACE)
OBJECTIVE = create(
    "objective",
    "product",
    parts={
        "position": "flow_matching",
        "frame": "flow_matching",
        "torsion": "flow_matching",
        "residue": "cross_entropy",
    },
)


def a_frozen_batch(part: str) -> Batch:
    """A batch of complexes in which the parts of `part` are given."""
    parts, receptor = a_complex()
    x1 = SPACE.join(parts)
    rows = Rows(0, "noise", 0, range(3))
    given = {
        name: torch.full_like(value, float((name == "residue") == (part == "sequence")))
        for name, value in parts.items()
    }
    condition = {"frozen": SPACE.join(given).bool(), "receptor": receptor.rows()}
    x0 = PATH.noise().sample(rows, (SPACE.size,), dtype=torch.float64)
    z = PATH.bridge().sample(rows, (SPACE.size,), dtype=torch.float64)
    return Batch(PATH, x0, x1, z, condition, {"t": T})


@pytest.mark.parametrize("part", ["sequence", "structure"])
def test_frozen_parts_are_the_same_bits_at_every_time_of_sampling(part):
    b = a_frozen_batch(part)
    frozen = b.condition["frozen"]
    field = Field(network(), PATH, OBJECTIVE)
    start = torch.where(frozen, b.x1, b.x0)
    times = (0.0, 0.3, 0.6, 1.0)
    problem = Problem(field, start, path=PATH, condition=b.condition, times=times)
    found = create("solver", "leap", steps=5).solve(problem)
    for x in (*found.trajectory, found.x):
        assert torch.equal(x[frozen], b.x1[frozen])
    assert not torch.equal(found.x[~frozen], start[~frozen])


@pytest.mark.parametrize("part", ["sequence", "structure"])
def test_the_loss_does_not_count_frozen_parts(part):
    b = a_frozen_batch(part)
    losses = OBJECTIVE.losses(FunctionNet(lambda x, t, until: network()(x, t)), PATH, b)
    counted = {name.split("/")[0] for name, loss in losses.items() if float(loss.abs().max()) > 0}
    assert counted == ({"residue"} if part == "structure" else {"position", "frame", "torsion"})


# What a user gives.


def encoded(folder, **given):
    data = Peptides(root=folder, residues=7, receptor=20, freeze="structure")
    return data.encode(given)


def test_a_complex_gives_the_pocket_of_its_peptide(folder):
    file = folder / "complex00.pdb"
    peptide, other = read_file(file)
    found = encoded(folder, receptor=str(file), chain="A")
    near = nearest(peptide.atoms[:, 1], other.atoms, 20)
    receptor = Receptor.of(found["receptor"])
    assert receptor.exists.sum() == len(near)
    places = SCALE * receptor.position[0][: len(near)] + found["origin"]
    torch.testing.assert_close(places, other.atoms[near, 1], atol=1e-4, rtol=0)


def test_a_structure_is_placed_where_its_file_has_it(folder):
    file = str(folder / "complex00.pdb")
    peptide = read_file(folder / "complex00.pdb")[0]
    found = encoded(folder, receptor=file, structure=file, chain="A")
    space = product_of(7)
    values, frozen = (space.split(found[n].float()) for n in ("frozen_values", "frozen"))
    places = SCALE * values["position"][0] + found["origin"]
    torch.testing.assert_close(places, peptide.atoms[1:-1, 1], atol=1e-3, rtol=0)
    assert bool(frozen["frame"].all())
    assert not bool(frozen["residue"].any())


def test_a_sequence_is_given_by_its_letters(folder):
    data = Peptides(root=folder, residues=4, freeze="sequence")
    found = data.encode({"sequence": "ARnv"})
    parts = data.space.split(found["frozen_values"])
    assert parts["residue"].tolist() == [[0, 1, 2, 19]]
    assert int(found["frozen"].sum()) == 4


@pytest.mark.parametrize(
    ("content", "given", "message"),
    [
        (None, {}, "cannot be read: No such file"),
        ("", {}, "holds no amino acid with the atoms N, CA and C"),
        ("HEADER  nothing\n", {}, "give a PDB file of proteins"),
        ("unknown", {}, r"holds 1 residues that are none of the 20 amino acids: A:MSE 3: rename"),
        ("whole", {}, "has 29 residues, and the network reads 20: keep those of the pocket"),
        ("whole", {"chain": "X"}, "has the chains A, B, not 'X'"),
        ("one", {"chain": "A"}, "has no chain but 'A', which is the peptide"),
        ("far", {"chain": "A"}, "no residue of .* is within 10 Å of chain 'A'"),
    ],
)
def test_a_receptor_that_cannot_be_read_is_refused_with_the_reason(
    tmp_path, folder, content, given, message
):
    peptide, receptor = complex_of(0)
    texts = {
        "unknown": pdb_text(peptide).replace(
            f"{pdb_text(peptide).splitlines()[6][17:26]}", "MSE A   3"
        ),
        "whole": pdb_text(peptide, receptor),
        "one": pdb_text(peptide),
        "far": pdb_text(peptide, (receptor[0] + 99, receptor[1])),
    }
    file = tmp_path / "mine.pdb"
    if content is not None:
        file.write_text(texts.get(content, content))
    with pytest.raises(ComponentError, match=message):
        encoded(folder, receptor=str(file), **given)


@pytest.mark.parametrize(
    ("freeze", "given", "message"),
    [
        ("sequence", {"sequence": "ACX"}, "'X' is no amino acid; give 7 of the letters"),
        ("sequence", {"sequence": "ACD"}, "it has 3 letters; give 7"),
        ("structure", {"structure": "FILE"}, "has parts of 9, 20 residues .* give one of 9"),
        ("structure", {"structure": "FILE", "chain": "B"}, "has parts of 20 residues"),
        ("structure", {"structure": "FILE", "chain": "C"}, "has the chains A, B, not 'C'"),
        ("structure", {"chain": "A"}, "names a chain of the file 'receptor' or 'structure'"),
        ("structure", {"sequence": "AAAAAAA"}, "takes no condition 'sequence'"),
        ("none", {"structure": "FILE"}, "takes no condition 'structure'"),
    ],
)
def test_a_frozen_part_that_does_not_fit_is_refused(folder, freeze, given, message):
    data = Peptides(root=folder, residues=7, freeze=freeze)
    file = str(folder / "complex00.pdb")
    with pytest.raises(ComponentError, match=message):
        data.encode({k: file if v == "FILE" else v for k, v in given.items()})


RECIPE = """
data: {{name: ppbench, root: {root}, residues: 4, held_out: 0.3, receptor: 6, freeze: sequence}}
path:
  name: product
  parts: {{position: geodesic, frame: geodesic, torsion: geodesic, residue: mixture}}
objective:
  name: product
  parts:
    position: flow_matching
    frame: flow_matching
    torsion: flow_matching
    residue: cross_entropy
model: {{name: frames, width: 16, depth: 1, heads: 2, conditions: [receptor]}}
train: {{steps: 2, batch_size: 8, condition_dropout: {{receptor: 0.5}}}}
sample: {{solver: {{name: leap, steps: 3}}, count: 4, condition: test}}
"""


def test_a_run_gives_peptides_of_a_sequence_at_the_place_of_a_receptor(
    tmp_path, unpacked, monkeypatch
):
    for name in ("ramachandran", "traces"):  # matplotlib is slow
        monkeypatch.setattr(fragments, name, lambda *given: Portrait(b"", "png", ""))
    for name in ("illustrate_training", "write_report"):
        monkeypatch.setattr(importlib.import_module("fmcore.stages.run"), name, lambda *_: None)
    recipe, run = tmp_path / "r.yaml", tmp_path / "run"
    recipe.write_text(RECIPE.format(root=unpacked))
    ended = CliRunner().invoke(command_line, ["run", str(recipe), "--out", str(run), "-q"])
    assert ended.exit_code == 0, ended.output
    pocket = tmp_path / "pocket.pdb"
    (atoms, letters) = complex_of(3)[1]
    pocket.write_text(pdb_text((atoms[:6], letters[:6])))
    given = [f"condition.receptor={pocket}", "condition.sequence=ACDE", "condition=null"]
    ended = CliRunner().invoke(command_line, ["sample", str(run), *given, "-q"])
    assert ended.exit_code == 0, ended.output
    (first, *_) = sorted((run / "variants").rglob("*.pdb"))
    # an untrained network tears the chain into segments
    segments = read_file(first)
    peptide = torch.cat([s.residues for s in segments if s.letter == "A"])
    assert [RESIDUES[i] for i in peptide] == ["ALA", "CYS", "ASP", "GLU"]
    receptor = torch.cat([s.atoms for s in segments if s.letter == "B"])
    torch.testing.assert_close(receptor[:, 1], atoms[:6, 1], atol=2e-3, rtol=0)
