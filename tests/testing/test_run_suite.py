"""Suites run without pytest: results report what they find, nothing is raised."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fmcore.testing import CheckResult, Suite, run_suite
from fmcore.testing.checks import require, skip


class Older(Suite):
    def component(self):
        return 3

    def test_first(self):
        """Three is three."""
        require(self.component() == 3, "not three")

    def test_second(self):
        """Three is four."""
        require(self.component() == 4, f"{self.component()} is not 4")


class Newer(Older):
    def test_third(self):
        """Fives are left out."""
        skip("no five here")

    def test_fourth(self):
        """One may divide."""
        assert self.component() / 0

    def test_first(self):
        """Three is still three."""


def test_every_check_is_run_once_in_the_order_it_was_written():
    assert [r.name for r in run_suite(Newer)] == [
        "test_first",
        "test_second",
        "test_third",
        "test_fourth",
    ]


def test_a_check_that_holds_tells_its_law():
    assert run_suite(Older())[0] == CheckResult("test_first", True, law="Three is three.")


def test_a_check_that_fails_tells_why():
    second = run_suite(Newer)[1]
    assert (second.passed, second.message) == (False, "3 is not 4")


def test_a_check_that_does_not_apply_is_skipped_with_its_reason():
    third = run_suite(Newer)[2]
    assert (third.passed, third.skipped, third.message) == (True, True, "no five here")


def test_an_error_of_the_component_tells_its_place():
    fourth = run_suite(Newer)[3]
    assert not fourth.passed
    assert fourth.message.startswith("ZeroDivisionError at ")
    assert "test_run_suite.py" in fourth.message


def test_a_suite_without_component_says_what_to_write():
    with pytest.raises(NotImplementedError, match="must override component"):
        Suite().component()


def test_a_suite_runs_where_there_is_no_pytest():
    code = (
        "import sys; sys.modules['pytest'] = None\n"
        "from fmcore import create\n"
        "from fmcore.testing import PathSuite, run_suite\n"
        "class Mine(PathSuite):\n"
        "    def component(self): return create('path', 'ot')\n"
        "print(all(r.passed for r in run_suite(Mine)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
