from __future__ import annotations

import subprocess
import sys

import pytest

from fmcore import ComponentError, create


def test_creating_a_component_loads_no_yaml():
    code = (
        "import sys, fmcore\n"
        "fmcore.create('path', 'ot')\n"
        "print([name for name in ('yaml', 'omegaconf', 'antlr4') if name in sys.modules])\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (ended.stdout, ended.stderr) == ("[]\n", "")


def test_options_may_be_names_of_components(kit):
    path = create("path", "vp", source="heavy", beta_min=1)
    assert path == kit.entry("path", "vp").load()(beta_min=1.0, source=create("source", "heavy"))


def test_every_wrong_option_is_named():
    with pytest.raises(ComponentError) as caught:
        create("path", "vp", beta_mni=1, beta_max="x")
    assert str(caught.value).splitlines() == [
        "path 'vp' has no option 'beta_mni'; did you mean 'beta_min'?",
        "path 'vp': beta_max: expected a number, got the text \"x\"",
    ]
