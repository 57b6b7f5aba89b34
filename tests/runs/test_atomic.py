"""A file is the old one or the new one, never half of either."""

import errno

import pytest

from fmcore.errors import RunError
from fmcore.runs.atomic import atomic, write_json, write_text


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail(part):
        part.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        atomic(path, fail)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize(
    ("number", "word"),
    [(errno.ENOSPC, "full"), (errno.EROFS, "read-only"), (errno.EACCES, "permission")],
)
def test_what_a_disk_refuses_is_said_with_a_remedy(tmp_path, number, word):
    def refuse(part):
        raise OSError(number, "no")

    with pytest.raises(RunError, match=word):
        atomic(tmp_path / "a", refuse)


def test_json_never_holds_a_number_that_json_has_not(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not (tmp_path / "a.json").exists()
