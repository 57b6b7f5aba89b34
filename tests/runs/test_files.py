"""A file is the old one or the new one, never half of either."""

import errno
import resource

import pytest
import torch
from safetensors.torch import save_file

from fmcore.errors import RunError
from fmcore.runs.files import atomic, write_json, write_text


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


def test_a_disk_that_refuses_tensors_is_told_with_what_to_do(tmp_path):
    tensors = {"w": torch.zeros(100_000)}
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(RunError, match="larger than this system allows"):
            atomic(tmp_path / "a.safetensors", lambda part: save_file(tensors, part))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
