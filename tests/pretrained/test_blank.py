"""Placeholder datasets."""

from __future__ import annotations

import pytest

from fmcore import DataError, create
from fmcore.testing import DatasetSuite


class TestBlank(DatasetSuite):
    def component(self):
        return create("data", "blank", channels=1, image_size=8)


class TestBlankLatents(DatasetSuite):
    def component(self):
        return create("data", "blank_latents")


@pytest.mark.parametrize("name", ["blank", "blank_latents"])
def test_a_blank_dataset_has_no_test_split(name):
    held_out = create("data", name).with_split("test")
    for read in (lambda: held_out.length, lambda: held_out.batch([0])):
        with pytest.raises(DataError, match=r"nothing can be compared with it.*data\.name"):
            read()


def test_fingerprints_of_blank_datasets_differ():
    marks = {
        create("data", name, image_size=size).fingerprint
        for name in ("blank", "blank_latents")
        for size in (8, 16)
    }
    assert len(marks) == 4
