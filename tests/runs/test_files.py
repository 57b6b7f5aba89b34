"""A file is the old one or the new one, never a part of either."""

import errno
import os
import resource

import pytest
import torch
from safetensors.torch import save_file

from fmcore.errors import RunError
from fmcore.runs.files import atomic, remove_parts, write_json, write_text


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
def test_an_error_of_the_disk_names_a_remedy(tmp_path, number, word):
    def refuse(part):
        raise OSError(number, "no")

    with pytest.raises(RunError, match=word):
        atomic(tmp_path / "a", refuse)


def test_json_never_holds_a_number_that_is_not_finite(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not (tmp_path / "a.json").exists()


def test_a_disk_that_refuses_tensors_names_a_remedy(tmp_path):
    tensors = {"w": torch.zeros(100_000)}
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(RunError, match="larger than this system allows"):
            atomic(tmp_path / "a.safetensors", lambda part: save_file(tensors, part))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_file_has_the_mode_that_the_umask_allows(tmp_path, umask):
    before = os.umask(umask)
    try:
        write_text(tmp_path / "a.txt", "a")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o666 & ~umask


def test_parts_of_killed_processes_are_removed_except_from_locked_folders_and_links(tmp_path):
    run, other = tmp_path / "run", tmp_path / "other"
    for folder in (run / "samples", run / "variants" / "a", other):
        folder.mkdir(parents=True)
        (folder / ".x.1234.part").write_text("half")
    (run / "variants" / "a" / ".lock").touch()
    (run / "link").symlink_to(other)
    (run / "mine.part").write_text("kept")
    remove_parts(run, skip=".lock")
    left = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.part"))
    assert left == ["other/.x.1234.part", "run/mine.part", "run/variants/a/.x.1234.part"]
