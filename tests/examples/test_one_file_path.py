"""examples/one_file_path.py is a plugin of one file."""

from __future__ import annotations

from pathlib import Path

EXAMPLE = str(Path(__file__).parents[2] / "examples" / "one_file_path.py")


def test_it_passes_the_kit(fmcore_command):
    done = fmcore_command("plugins", "check", "smooth", "--plugin", EXAMPLE, "--set", "power=1.5")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 failed" in done.stdout
