"""Every registered guidance and operator passes its suite, and so does the solver of posteriors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import fmcore
from fmcore import create
from fmcore.registry import registry
from fmcore.testing import GuidanceSuite, OperatorSuite, RestorationSolverSuite

MATRIX = ((1.0, 0.5), (0.0, -1.0))
LINEAR = {"name": "linear", "matrix": MATRIX, "noise": 0.3}


class TestCFG(GuidanceSuite):
    def component(self):
        return create("guidance", "cfg", scale=2.0, drop=("label",))


class TestWeakOnly(GuidanceSuite):
    def component(self):
        return create("guidance", "cfg", scale=0.0)


class TestCFGZero(GuidanceSuite):
    def component(self):
        return create("guidance", "cfg_zero", scale=3.0, zero_until=0.3)


class TestAPG(GuidanceSuite):
    def component(self):
        return create("guidance", "apg", scale=3.0, eta=0.2, norm_threshold=0.7)


class TestAutoguidance(GuidanceSuite):
    dtype = torch.float32

    @pytest.fixture(autouse=True)
    def _weak(self, weak_run):
        type(self).weak = weak_run

    def component(self):
        return create("guidance", "autoguidance", scale=2.0, weak=self.weak)


class TestBlend(GuidanceSuite):
    def component(self):
        return create("guidance", "blend", label=2, weight=0.25)

    def named(self):
        return create("guidance", "blend", label="the third class", weight=0.25)


class TestReplacement(GuidanceSuite):
    def component(self):
        return create("guidance", "replacement", operator={"name": "mask", "coordinates": [1]})


class TestDPS(GuidanceSuite):
    def component(self):
        return create("guidance", "dps", operator=LINEAR)


class TestPGDM(GuidanceSuite):
    def component(self):
        return create("guidance", "pgdm", operator=LINEAR, spread=0.5)


class TestMMPS(GuidanceSuite):
    def component(self):
        return create("guidance", "mmps", operator=LINEAR)


class TestMMPSOfImages(GuidanceSuite):
    shape = (1, 4, 4)

    def component(self):
        operator = {"name": "downsample", "noise": 0.1}
        return create("guidance", "mmps", operator=operator, strength=0.5)


class TestCoordinates(OperatorSuite):
    def component(self):
        return create("operator", "mask", coordinates=[1])


class TestBox(OperatorSuite):
    def component(self):
        return create("operator", "mask", noise=0.0)


class TestMaskFile(OperatorSuite):
    @pytest.fixture(autouse=True)
    def _file(self, tmp_path):
        picture = np.zeros((8, 8), np.uint8)
        picture[2:, :3] = 255
        Image.fromarray(picture).save(tmp_path / "mask.png")
        self.file = tmp_path / "mask.png"

    def component(self):
        return create("operator", "mask", file=self.file)


class TestDownsample(OperatorSuite):
    def component(self):
        return create("operator", "downsample", factor=4)


class TestBlur(OperatorSuite):
    def component(self):
        return create("operator", "blur", width=0.8)


class TestGrey(OperatorSuite):
    def component(self):
        return create("operator", "grey")


class TestLinear(OperatorSuite):
    def component(self):
        return create("operator", "linear", matrix=MATRIX)


class TestLinearFile(OperatorSuite):
    @pytest.fixture(autouse=True)
    def _file(self, tmp_path):
        np.save(tmp_path / "a.npy", np.arange(12.0).reshape(4, 3))
        self.file = tmp_path / "a.npy"

    def component(self):
        return create("operator", "linear", file=self.file)


class TestPnPFlow(RestorationSolverSuite):
    def component(self):
        operator = {"name": "mask", "coordinates": [0, 2]}
        return create("solver", "pnp_flow", operator=operator, nfe=7, draws=2)


@pytest.fixture(scope="session")
def weak_run(tmp_path_factory):
    """A run of labelled points that is hardly trained."""
    recipe = {
        "data": {"name": "toy", "figure": "checkerboard", "count": 64},
        "path": "linear",
        "model": {"name": "mlp", "width": 8, "depth": 1},
        "train": {"steps": 1, "batch_size": 8},
    }
    folder = tmp_path_factory.mktemp("weak")
    (folder / "weak.yaml").write_text(yaml.safe_dump(recipe))
    made = fmcore.run(folder / "weak.yaml", out=folder / "run", device="cpu", quiet=True)
    return made.folder.root


@pytest.mark.parametrize("kind", ["guidance", "operator"])
def test_every_registered_component_is_among_the_suites(kind):
    tested = {
        "guidance": {
            *("cfg", "cfg_zero", "apg", "autoguidance", "blend"),
            *("replacement", "dps", "pgdm", "mmps"),
        },
        "operator": {"mask", "downsample", "blur", "grey", "linear"},
    }
    assert set(registry().names(kind)) == tested[kind]
