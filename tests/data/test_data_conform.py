"""The built-in datasets pass the suite."""

from __future__ import annotations

import typing
from pathlib import Path

import pytest

from fmcore.testing import DatasetSuite, run_suite
from fmcore_data.digits import Digits
from fmcore_data.idx import FASHION, IDX
from fmcore_data.toy import Figure, Toy


class TestToy(DatasetSuite):
    def component(self):
        return Toy(count=200)


class TestDigits(DatasetSuite):
    def component(self):
        return Digits()


@pytest.mark.skipif(not Path(FASHION).exists(), reason="needs Debian's dataset-fashion-mnist")
class TestFashionMNIST(DatasetSuite):
    def component(self):
        return IDX()


@pytest.mark.parametrize("figure", typing.get_args(Figure))
def test_every_figure_conforms(figure):
    class Suite(DatasetSuite):
        def component(self):
            return Toy(figure=figure, count=100, seed=3)

    assert [result for result in run_suite(Suite) if not result.passed] == []
