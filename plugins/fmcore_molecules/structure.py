"""Whether sampled fragments are proteins: geometry, torsions and amino acids."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from fmcore import (
    ComponentError,
    DataError,
    Dataset,
    Evaluation,
    MetricBatch,
    Path,
    Product,
    Result,
    RowMetric,
    RowValues,
)
from fmcore_molecules.fragment_space import PARTS, SCALE
from fmcore_molecules.geometry import atoms_of_frames, torsions_of
from fmcore_molecules.ramachandran import histogram, jensen_shannon

__all__ = ["Structure"]

BOND, BOND_ATOL = 1.34, 0.5
"""The length of the bond C-N in Å, and how far it may be off.  Source: FrameDiff's checks."""

NOVEL = 0.5
"""A sequence is novel if it shares less than this part with every held-out fragment."""

COMPARED = 400


@final
@dataclass(frozen=True)
class Structure(RowMetric):
    """Measures of fragments; results begin with `structure_`.

    From frames: `bond_valid`, the share of bonds from C to the next N of 1.34 +- 0.5 Å;
    `fragment_valid`, the share of fragments in which all are (other bonds hold by construction, and
    all do in atoms placed by torsions); `ca_distance`, the mean distance of neighbouring CA atoms
    in Å.  Of both: `agreement`, the median difference of psi in the frames and in the torsions, in
    degrees.  `torsion_jsd` of the torsions, and `frame_jsd` of those read off frames, in nats;
    their details hold the value of the training data.  `residue_tv`, the total variation of the
    amino acids; `novelty` and `diversity`, the shares of sequences and pairs with an identity below
    0.5.  With a condition that freezes the structure, `recovery` is the share of the true amino
    acids, and its details hold that of the most frequent one.
    """

    def check(self, data: Dataset, path: Path) -> None:
        if not isinstance(data.space, Product) or tuple(data.space.parts) != PARTS:
            raise ComponentError(
                f"structure measures fragments of data 'peptides', not of {type(data).__name__}"
            )

    def measure(self, batch: MetricBatch, evaluation: Evaluation) -> Mapping[str, Tensor]:
        if batch.x is None:
            raise DataError("structure: the samples came without their points")
        if tuple(batch.x.shape[1:]) != evaluation.data.shape:
            raise DataError(
                f"structure: the samples have shape {tuple(batch.x.shape[1:])}, and the data "
                f"{evaluation.data.shape}"
            )
        found = {"x": batch.x.float().cpu()}
        frozen = batch.condition.get("frozen")
        if frozen is not None and not bool(_space(evaluation.data).split(frozen)["residue"].any()):
            found["given"] = batch.condition["frozen_values"].float().cpu()
        return found

    def conclude(self, rows: RowValues, evaluation: Evaluation) -> dict[str, Result]:
        data = evaluation.data
        if not len(rows):
            raise DataError("structure: there is no sample to measure")
        if not bool(rows["x"].isfinite().all()):
            raise DataError("structure: a sample is not finite: it has no geometry")
        found, details = _measured(rows["x"], data, evaluation.train_data)
        if "given" in rows:
            found["recovery"], details["recovery"] = _recovery(rows, data, evaluation.train_data)
        provenance = {
            "count": len(rows),
            "reference_data": data.fingerprint,
            "reference_split": data.split,
        }
        return {
            f"structure_{name}": Result(value, None, provenance, details=details.get(name, {}))
            for name, value in found.items()
        }


def _measured(
    x: Tensor, data: Dataset, train: Dataset
) -> tuple[dict[str, float], dict[str, Mapping[str, float]]]:
    split = _space(data).split
    own, real, known = split(x), split(_all(data)), split(_all(train))
    atoms = atoms_of_frames(own["frame"], SCALE * own["position"])
    bonds = (atoms[:, 1:, 0] - atoms[:, :-1, 2]).norm(dim=-1)
    valid = (bonds - BOND).abs() <= BOND_ATOL
    carbon = (atoms[:, 1:, 1] - atoms[:, :-1, 1]).norm(dim=-1)
    read = torsions_of(atoms)
    psi = torch.rad2deg(_wrapped(read[..., :-1, 1] - own["torsion"][..., :-1, 1]).abs())
    inner, reference, floor = (_inner(p["torsion"]) for p in (own, real, known))
    letters = own["residue"].round().long()
    identity = _identity(letters[:COMPARED], real["residue"].round().long()[:COMPARED])
    among = _identity(letters[:COMPARED], letters[:COMPARED])
    others = ~torch.eye(len(among), dtype=torch.bool)
    p, q, r = (_shares(v["residue"]) for v in (own, real, known))
    against = {"data_against_data": jensen_shannon(histogram(floor), histogram(reference))}
    found = {
        "bond_valid": float(valid.double().mean()),
        "fragment_valid": float(valid.all(1).double().mean()),
        "ca_distance": float(carbon.mean()),
        "agreement": float(psi.median()),
        "torsion_jsd": jensen_shannon(histogram(inner), histogram(reference)),
        "frame_jsd": jensen_shannon(histogram(_inner(read)), histogram(reference)),
        "residue_tv": float((p - q).abs().sum() / 2),
        "novelty": float((identity.amax(1) < NOVEL).double().mean()),
        "diversity": float((among[others] < NOVEL).double().mean()),
    }
    spread = {"standard_deviation": float(carbon.std())}
    return found, {
        "torsion_jsd": against,
        "frame_jsd": against,
        "ca_distance": spread,
        "residue_tv": {"data_against_data": float((r - q).abs().sum() / 2)},
    }


def _recovery(rows: RowValues, data: Dataset, train: Dataset) -> tuple[float, Mapping[str, float]]:
    split = _space(data).split
    drawn = split(rows["x"])["residue"].round()
    true = split(rows["given"])["residue"].round()
    frequent = int(_shares(split(_all(train))["residue"]).argmax())
    majority = float((true == frequent).double().mean())
    return float((drawn == true).double().mean()), {"majority": majority}


def _space(data: Dataset) -> Product:
    if not isinstance(data.space, Product):
        raise DataError("structure: the data are no points of a product space")
    return data.space


def _all(data: Dataset) -> Tensor:
    return data.batch(range(data.length))["x1"]


def _inner(torsions: Tensor) -> Tensor:
    """Return phi and psi of the residues with both neighbours in the fragment, `(count, 2)`."""
    return torsions[:, 1:-1, :2].flatten(0, 1)


def _wrapped(angle: Tensor) -> Tensor:
    return torch.remainder(angle + math.pi, 2 * math.pi) - math.pi


def _shares(residues: Tensor) -> Tensor:
    counts = torch.bincount(residues.round().long().flatten(), minlength=20).double()
    return counts / counts.sum()


def _identity(one: Tensor, other: Tensor) -> Tensor:
    """Return the share of equal letters of each pair of sequences."""
    return (one[:, None] == other[None]).double().mean(-1)
