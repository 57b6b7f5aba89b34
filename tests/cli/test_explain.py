"""`fmcore explain`: paths side by side, as text, numbers and a picture."""

from __future__ import annotations

import json

PNG = b"\x89PNG"

TABLE = """\
t    alpha  sigma  log-SNR  |ut|
0    0      1      -inf     1.358
0.5  0.5    0.55   -0.1906  1.358
1    1      0.1    4.605    1.358
"""


def test_it_prints_formulas_a_table_and_draws(call, tmp_path):
    ended = call("explain", "ot", "ot.sigma_min=0.1", "--rows", "3")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("ot: OTPath(source=Gaussian(temperature=1.0), sigma_min=0.1)\n")
    assert "sigma = (1 - t) + self.sigma_min * t" in ended.out
    assert "t runs over [0, 1]; prior Gaussian(temperature=1.0)" in ended.out
    assert TABLE in ended.out
    assert ended.out.endswith("figure: explain-ot.png\n")
    assert (tmp_path / "explain-ot.png").read_bytes().startswith(PNG)


def test_several_paths_share_a_figure_and_take_their_own_options(call, tmp_path):
    ended = call(
        "explain", "vp", "ve", "--set", "ve.sigma_max=9", "--figure", "two.png", "--rows", "2"
    )
    assert ended.code == 0
    assert "sigma_max=9.0" in ended.out
    assert "t runs over [0, 0.99999]" in ended.out
    assert (tmp_path / "two.png").read_bytes().startswith(PNG)


def test_one_path_takes_options_without_its_name(call):
    ended = call("explain", "ot", "sigma_min=0.5", "--no-figure", "--rows", "2")
    assert "sigma_min=0.5" in ended.out
    assert "figure" not in ended.out


def test_json_holds_the_same_for_programs(call, tmp_path):
    ended = call("explain", "linear", "--json", "--no-figure", "--rows", "2")
    (explained,) = json.loads(ended.out)
    assert (explained["name"], explained["t_min"], explained["t_max"]) == ("linear", 0, 1)
    assert [row["log_snr"] for row in explained["rows"]] == ["-inf", "inf"]
    assert [row["sigma"] for row in explained["rows"]] == [1, 0]
    assert list(tmp_path.iterdir()) == []


BENT = """
from dataclasses import dataclass
import torch
from fmcore import Gaussian, Path, PathSample, SchedulePath, append_dims, hookimpl

@dataclass(frozen=True)
class Bent(Path):
    '''A path that is not affine.'''
    def sample(self, x0, x1, t):
        t_ = append_dims(t, x1)
        return PathSample(x0, x1, t, (1 - t_) * x0 + t_ * x1, x1 - x0)
    def noise(self):
        return Gaussian()
    def prior(self):
        return Gaussian()

@dataclass(frozen=True)
class Quick(SchedulePath):
    '''By its schedules alone.'''
    def alpha(self, t):
        return t.sqrt()
    def sigma(self, t):
        return 1 - t
    @property
    def t_min(self):
        return 0.01

@hookimpl
def register_paths(register):
    register("bent", Bent)
    register("quick", Quick)
"""


def test_plugins_of_one_file_are_explained_too(call, tmp_path):
    (tmp_path / "bent.py").write_text(BENT)
    ended = call("explain", "bent", "quick", "--plugin", "bent.py", "--rows", "2")
    assert (ended.code, ended.err) == (0, "")
    assert "return PathSample(x0, x1, t, (1 - t_) * x0 + t_ * x1, x1 - x0)" in ended.out
    assert "0  -      -      -        1.426" in ended.out
    assert "return t.sqrt()" in ended.out
    assert (tmp_path / "explain-bent-quick.png").exists()


RECIPE = "data: toy\nmodel: mlp\npath: {name: ot, sigma_min: 0.25}\n"


def test_the_path_of_a_recipe_is_explained(call, tmp_path):
    (tmp_path / "mine.yaml").write_text(RECIPE)
    ended = call("explain", "mine.yaml", "--no-figure", "--rows", "2")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("mine: OTPath(source=Gaussian(temperature=1.0), sigma_min=0.25)")
    assert "sigma_min=0.5" in call("explain", "mine.yaml", "sigma_min=0.5", "--no-figure").out


def test_mistakes_are_reported_with_suggestions(call):
    assert "did you mean 'cosine'?" in call("explain", "cosin").err
    wrong = call("explain", "ot", "ot.sgima_min=0.1")
    assert wrong.code == 2
    assert "path 'ot' has no option 'sgima_min'; did you mean 'sigma_min'?" in wrong.err
    other = call("explain", "ot", "vp", "ve.sigma_min=0.1")
    assert other.code == 2
    assert "'ve.sigma_min=0.1' sets an option of no path shown" in other.err
    assert "name a path to explain" in call("explain", "sigma_min=1").err
