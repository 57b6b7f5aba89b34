"""Backbones: geometry, PDB files, fragments, and the metrics of them."""

from __future__ import annotations

import gzip
import math
import tarfile
from pathlib import Path

import pytest
import torch

from fmcore import DataError, Evaluation, MetricBatch, Rows, create
from fmcore.testing import CouplingSuite, DatasetSuite
from fmcore_molecules.aligned import Aligned, best_rotation
from fmcore_molecules.fragment_space import product_of
from fmcore_molecules.frames import Frames
from fmcore_molecules.geometry import (
    atoms_of_frames,
    atoms_of_torsions,
    dihedral,
    frames_of,
    torsions_of,
)
from fmcore_molecules.links import LINK_FEATURES, link_features
from fmcore_molecules.pdb import read_segments
from fmcore_molecules.pdb_files import pdb_text
from fmcore_molecules.peptides import Peptides
from fmcore_molecules.ramachandran import histogram, jensen_shannon
from fmcore_molecules.torsions import Torsions


def chains(folder: Path, count: int = 24, length: int = 14) -> Path:
    """PDB files of chains with random torsions around those of helices."""
    for i in range(count):
        rows = Rows(i, "chain", 0, range(1))
        angles = torch.tensor([-1.05, -0.8, math.pi]) + 0.2 * rows.normal((length, 3))[0]
        letters = rows.integers(20, (length,))[0]
        text = pdb_text((atoms_of_torsions(angles), letters))
        (folder / f"chain{i:02d}.pdb").write_text(text)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return chains(tmp_path_factory.mktemp("pdb"))


SPACE = product_of(4)


def points(n, purpose):
    """Random fragments of 4 residues, float64."""
    rows = Rows(0, purpose, 0, range(n))
    frames = SPACE.parts["frame"].uniform(rows, (4, 3, 3), torch.float64)
    angles = SPACE.parts["torsion"].uniform(rows, (4, 3), torch.float64)
    letters = SPACE.parts["residue"].uniform(rows, (4,), torch.float64)
    places = rows.normal((4, 3), torch.float64)
    parts = {"position": places, "frame": frames, "torsion": angles, "residue": letters}
    return SPACE.join(parts)


class TestTorsions(DatasetSuite):
    @pytest.fixture(autouse=True)
    def _folder(self, folder):
        self.folder = folder

    def component(self):
        return Torsions(root=self.folder, held_out=0.3)


class TestAligned(CouplingSuite):
    def component(self):
        return Aligned().on(SPACE)

    def pairs(self, n, shape, seed=0):
        return points(n, f"noise {seed}"), points(n, f"data {seed}")

    def symmetric_pairs(self, n):
        # one fragment, uniformly rotated
        turns = SPACE.parts["frame"].uniform(Rows(0, "turn", 0, range(n)), (3, 3), torch.float64)
        one = points(1, "data").expand(n, -1)
        return points(n, "noise"), turned(one, turns[:, None])


class TestPeptides(DatasetSuite):
    @pytest.fixture(autouse=True)
    def _folder(self, folder):
        self.folder = folder

    def component(self):
        return Peptides(root=self.folder, residues=5, held_out=0.3)


class TestPeptidesWithAFrozenStructure(TestPeptides):
    def component(self):
        return Peptides(root=self.folder, residues=5, held_out=0.3, freeze="structure")


def test_a_dihedral_is_the_angle_about_the_bond():
    a, b, c = torch.tensor([1.0, 0, 0]), torch.zeros(3), torch.tensor([0, 0, 1.0])
    for angle in (-2.0, 0.5, 3.0):
        d = torch.tensor([math.cos(angle), math.sin(angle), 1.0])
        assert float(dihedral(a, b, c, d)) == pytest.approx(angle, abs=1e-6)


def test_atoms_from_torsions_have_these_torsions_and_frames():
    angles = 2 * math.pi * Rows(0, "t", 0, range(4)).uniform((8, 3), torch.float64) - math.pi
    atoms = atoms_of_torsions(angles)
    away = torch.remainder(torsions_of(atoms) - angles + math.pi, 2 * math.pi) - math.pi
    assert float(away[:, 1:-1].abs().max()) < 1e-10
    rotations, origins = frames_of(atoms)
    assert float((atoms_of_frames(rotations, origins) - atoms).abs().max()) < 1e-6
    bonds = (atoms[:, 1:, 0] - atoms[:, :-1, 2]).norm(dim=-1)
    torch.testing.assert_close(bonds, torch.full_like(bonds, 1.329))


def test_a_written_pdb_file_is_read_again(tmp_path):
    (file,) = chains(tmp_path, count=1).glob("*.pdb")
    (segment,) = read_segments(tmp_path)
    assert len(segment.residues) == 14
    assert pdb_text((segment.atoms, segment.residues)) == file.read_text()


def test_a_chain_is_cut_where_residues_are_missing(tmp_path):
    (file,) = chains(tmp_path, count=1).glob("*.pdb")
    lines = [line for line in file.read_text().splitlines() if line[22:26] != "   6"]
    file.write_text("\n".join(lines))
    read_segments.cache_clear()
    assert [len(s.residues) for s in read_segments(tmp_path)] == [5, 8]


def test_archives_and_compressed_files_are_read(tmp_path):
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    plain.mkdir()
    packed.mkdir()
    chains(plain, 2)
    for file in plain.glob("*.pdb"):
        (packed / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
    archive = tmp_path / "all.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(packed, arcname="x/data/dssp")
    found = [read_segments(place) for place in (packed, archive)]
    assert [s.chain for s in found[0]] == [s.chain for s in found[1]]
    torch.testing.assert_close(found[0][0].atoms, found[1][0].atoms)


@pytest.mark.parametrize("content", [b"", b"not an archive", gzip.compress(b"no tar", mtime=0)])
def test_what_is_no_archive_is_refused_with_the_download(tmp_path, content):
    file = tmp_path / "mine.tar.gz"
    file.write_bytes(content)
    with pytest.raises(DataError, match="pip download"):
        read_segments(file)


def test_missing_data_name_the_download(tmp_path):
    with pytest.raises(DataError, match=r"MDAnalysisTests==2\.11\.0"):
        read_segments(tmp_path / "nothing")
    with pytest.raises(DataError, match="Google Drive"):
        _ = create("data", "ppbench").length


def test_training_turns_fragments_and_keeps_their_shape(folder):
    data = Peptides(root=folder, residues=5)
    batch = data.batch(range(20))
    turned = data.augmented(dict(batch), Rows(0, "data", 0, range(20)))["x1"]
    before, after = (data.space.split(x) for x in (batch["x1"], turned))
    for name in ("torsion", "residue"):
        assert torch.equal(before[name], after[name])
    atoms = [atoms_of_frames(p["frame"], p["position"]) for p in (before, after)]
    distances = [torch.cdist(a.flatten(1, 2), a.flatten(1, 2)) for a in atoms]
    torch.testing.assert_close(distances[0], distances[1], atol=1e-4, rtol=0)
    assert not torch.allclose(before["frame"], after["frame"])
    data.space.require(turned, "turned fragments")


@pytest.mark.parametrize("links", [False, True])
def test_the_network_turns_with_its_input(links):
    torch.manual_seed(0)
    space = product_of(6)
    net = Frames(shape=(space.size,), width=32, depth=2, links=links, space=space)
    parts = space.split(Rows(0, "x", 0, range(4)).normal((space.size,)))
    rotation = create("space", "so3").uniform(Rows(0, "r", 0, range(4)), (6, 3, 3), torch.float32)
    parts = {**parts, "frame": rotation}
    turn = create("space", "so3").uniform(Rows(0, "q", 0, range(4)), (3, 3), torch.float32)
    turned = {
        **parts,
        "frame": turn[:, None] @ rotation,
        "position": parts["position"] @ turn.mT,
    }
    t = torch.full((4,), 0.4)
    one, other = (net(space.join(p), t).split([18, 54, 18, 120], 1) for p in (parts, turned))
    position = one[0].view(4, 6, 3) @ turn.mT
    torch.testing.assert_close(other[0].view(4, 6, 3), position, atol=1e-4, rtol=0)
    frame = turn[:, None] @ one[1].view(4, 6, 3, 3)
    torch.testing.assert_close(other[1].view(4, 6, 3, 3), frame, atol=1e-4, rtol=0)
    for a, b in zip(one[2:], other[2:], strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=0)


def test_the_divergence_of_histograms():
    left, right = torch.full((50, 2), -1.0), torch.full((50, 2), 1.0)
    assert jensen_shannon(histogram(left), histogram(right)) == pytest.approx(math.log(2))
    assert jensen_shannon(histogram(left), histogram(left)) == 0
    half = histogram(torch.cat([left, right]))
    # p has one cell, q two: JS = 3/4 log(4/3) + ... by hand
    wanted = (math.log(4 / 3) + 0.5 * math.log(2 / 3) + 0.5 * math.log(2)) / 2
    assert jensen_shannon(histogram(left), half) == pytest.approx(wanted)


def test_the_structure_of_the_data_is_valid(folder, tmp_path):
    data = Peptides(root=folder, residues=6, freeze="structure")
    metric = create("metric", "structure")
    path = create(
        "path",
        "product",
        parts={
            "position": "geodesic",
            "frame": "geodesic",
            "torsion": "geodesic",
            "residue": "mixture",
        },
    ).on(data.space)
    metric.check(data, path)
    batch = data.batch(range(data.length))
    condition = {k: batch[k] for k in ("frozen", "frozen_values")}

    def measured(x):
        metric.begin(Evaluation(data, data, path, None, 0, 8, tmp_path))
        metric.update(MetricBatch(torch.arange(len(x)), x, None, condition))
        return {k.removeprefix("structure_"): v.value for k, v in metric.compute().items()}

    found = measured(batch["x1"])
    assert found["bond_valid"] == found["fragment_valid"] == found["recovery"] == 1
    assert found["ca_distance"] == pytest.approx(3.8, abs=0.05)
    assert found["agreement"] < 0.5
    assert found["torsion_jsd"] == pytest.approx(0)
    assert found["residue_tv"] == pytest.approx(0)
    # positions in Å instead of units of 3.17 Å tear the bonds
    parts = data.space.split(batch["x1"])
    torn = {**parts, "position": 3.17 * parts["position"]}
    assert measured(data.space.join(torn))["bond_valid"] < 0.1


def test_portraits_are_pdb_files_a_plot_and_a_picture(folder):
    data = Peptides(root=folder, residues=5)
    found = data.portray(data.batch(range(9))["x1"], {})
    assert [p.suffix for p in found] == ["pdb"] * 16 + ["png", "png"]
    assert found[0].content.startswith(b"ATOM      1  N ")


def turned(x, turn):
    parts = SPACE.split(x)
    # one rotation for each row, or one for all
    whole = turn.squeeze(1) if turn.ndim == 4 else turn
    moved = {"position": parts["position"] @ whole.mT, "frame": turn @ parts["frame"]}
    return SPACE.join({**parts, **moved})


def test_noise_that_is_a_turned_fragment_is_turned_back():
    x1 = points(1, "data").expand(9, -1)
    turns = SPACE.parts["frame"].uniform(Rows(0, "turn", 0, range(9)), (3, 3), torch.float64)
    x0 = torch.cat([turned(x1[i : i + 1], turns[i]) for i in range(9)])
    paired = Aligned().on(SPACE).pair(x0, x1, torch.Generator())
    torch.testing.assert_close(paired.x0, x1, atol=1e-12, rtol=0)


def test_the_best_rotation_beats_all_others_and_is_no_reflection():
    rows = Rows(0, "points", 0, range(6))
    p, goals = rows.normal((7, 3), torch.float64), rows.normal((7, 3), torch.float64)
    best = best_rotation(p, goals)
    torch.testing.assert_close(torch.linalg.det(best), torch.ones(6).double())
    cost = (p @ best.mT - goals).square().sum((1, 2))
    others = SPACE.parts["frame"].uniform(Rows(0, "q", 0, range(300)), (3, 3), torch.float64)
    every = (p[:, None] @ others.mT - goals[:, None]).square().sum((2, 3))
    assert bool((cost <= every.amin(1) + 1e-12).all())


def test_links_of_an_ideal_chain_deviate_only_by_their_distance_of_ca():
    torsions = torch.tensor([[-1.1, -0.7, 3.1]]).double().repeat(6, 1)[None]
    frames, places = frames_of(atoms_of_torsions(torsions))
    found = link_features(frames, places / 2, torsions, torch.zeros(1), 2.0)
    assert found.shape == (1, 6, LINK_FEATURES)
    # the distance of CA atoms is compared with 3.80, and that of this omega is 3.795
    assert float(found.abs().max()) < 0.01
    without = found.clone()
    without[..., 10::15] = 0
    assert float(without.abs().max()) < 1e-6


def test_links_show_a_stretched_bond_and_a_false_torsion_in_units_of_the_noise():
    torsions = torch.tensor([[-1.1, -0.7, 3.1]]).double().repeat(6, 1)[None]
    frames, places = frames_of(atoms_of_torsions(torsions))
    other = torsions.clone()
    other[0, 2, 1] += 0.1
    found = link_features(frames, places, other, torch.full((1,), 0.98), 1.0)
    assert float(found[0, 2, 11]) == pytest.approx(-math.sin(0.1), abs=1e-6)
    assert float(found[0, 2, 30 + 11]) == pytest.approx(math.asinh(-math.sin(0.1) / 0.04), abs=1e-4)
    assert float(found[0, 4, 11]) == pytest.approx(0, abs=1e-6)
    moved = places.clone()
    moved[0, 3:] += frames[0, 2] @ torch.tensor([0.2, 0.0, 0.0]).double()
    stretched = link_features(frames, moved, torsions, torch.zeros(1), 1.0)
    assert float(stretched[0, 2, 0]) == pytest.approx(0.2, abs=1e-6)
    torch.testing.assert_close(stretched[0, 3, 15:18].norm(), torch.tensor(0.2).double())
