"""The README's plugin and error message are correct; test_pages runs its blocks."""

import re
from pathlib import Path

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def block(language: str, beginning: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return next(text for text in found if text.startswith(beginning))


def test_the_plugin_passes_its_conformance_suite(tmp_path, fmcore_command):
    file = tmp_path / "my_path.py"
    file.write_text(block("python", "# my_path.py"))
    done = fmcore_command("plugins", "check", "quadratic", "--plugin", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 failed" in done.stdout


def test_the_error_for_a_misspelt_option_is_as_shown(fmcore_command):
    done = fmcore_command("run", "digits", "path.sgima_min=0")
    assert done.returncode == 2
    assert done.stderr.strip() in README
