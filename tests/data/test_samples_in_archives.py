"""Which member of an archive is the image: several a sample, dotted names, repeated names."""

from __future__ import annotations

import io
import json
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from fmcore_data.edm_zip import EDMZip
from fmcore_data.image_folder import ImageFolder
from fmcore_data.webdataset import WebDataset

sys.path.insert(0, str(Path(__file__).parent))
import standins
from hostile import refused

RED, BLUE = (200, 0, 0), (0, 0, 200)


def image(colour) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(stream, "png")
    return stream.getvalue()


def shard(file: Path, *members: tuple[str, bytes]) -> WebDataset:
    with tarfile.open(file, "w") as archive:
        for name, content in members:
            standins.add(archive, name, content)
    return WebDataset(root=str(file))


def colours(data) -> list[list[int]]:
    return data.batch(range(data.length))["x1"][:, :, 0, 0].tolist()


def test_the_image_is_the_member_with_a_plain_extension(tmp_path):
    masks = [("0.mask.png", image(BLUE)), ("0.png", image(RED)), ("0.depth.png", image(BLUE))]
    for order in (masks, masks[::-1]):
        assert colours(shard(tmp_path / "x.tar", *order)) == [[*RED]]


def test_image_chooses_another_member(tmp_path):
    shard(tmp_path / "x.tar", ("0.png", image(RED)), ("0.Mask.PNG", image(BLUE)))
    for name in ("mask.png", ".mask.png"):
        assert colours(WebDataset(root=str(tmp_path / "x.tar"), image=name)) == [[*BLUE]]
    other = WebDataset(root=str(tmp_path / "x.tar"), image="jpg")
    assert "sample '0' has no image .jpg, but ['png', 'mask.png']" in refused(other)


@pytest.mark.parametrize(
    "names", [("0.png", "0.jpg"), ("0.a.png", "0.b.png"), ("img.001.png", "img.002.png")]
)
def test_several_images_of_one_sample_are_refused_with_the_option(names, tmp_path):
    message = refused(shard(tmp_path / "x.tar", *((name, image(RED)) for name in names)))
    assert "has 2 images, ." in message
    assert "choose one with data.image=" in message


def test_a_dotted_extension_is_read_if_all_samples_have_it(tmp_path):
    members = [(f"{i}.image.png", image(colour)) for i, colour in enumerate([RED, BLUE])]
    assert colours(shard(tmp_path / "x.tar", *members)) == [[*RED], [*BLUE]]


def test_a_mask_never_replaces_a_missing_image(tmp_path):
    members = [("0.png", image(RED)), ("0.mask.png", image(BLUE)), ("1.mask.png", image(BLUE))]
    message = refused(shard(tmp_path / "x.tar", *members))
    assert "1.mask.png is the only image of its sample, but others have .png" in message


def test_a_member_twice_is_refused(tmp_path):
    twice = [("0.png", image(RED)), ("0.png", image(BLUE))]
    assert "two members named 0.png" in refused(shard(tmp_path / "x.tar", *twice))
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("0.png", image(RED))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("0.png", image(BLUE))
    assert "two members named 0.png" in refused(EDMZip(root=str(tmp_path / "x.zip")))


def test_the_members_of_a_sample_in_two_places_are_refused(tmp_path):
    members = [("0.png", image(RED)), ("1.png", image(RED)), ("0.cls", b"1")]
    assert "members of sample '0' in two places" in refused(shard(tmp_path / "x.tar", *members))


def test_one_key_in_two_shards_is_two_samples(tmp_path):
    for number, colour in enumerate([RED, BLUE]):
        shard(tmp_path / f"{number}.tar", ("0.png", image(colour)), ("0.cls", b"%d" % number))
    data = WebDataset(root=str(tmp_path))
    assert colours(data) == [[*RED], [*BLUE]]
    assert data.batch([0, 1])["label"].tolist() == [0, 1]


def test_dotted_names_in_folders_and_zips_are_images_of_their_own(tmp_path):
    for number, name in enumerate(("a.b.png", "a.c.png", "a.png")):
        (tmp_path / name).write_bytes(image((number, 0, 0)))
    assert [red for red, _, _ in colours(ImageFolder(root=str(tmp_path)))] == [0, 1, 2]
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name in ("a.b.png", "a.c.png", "a.png"):
            archive.write(tmp_path / name, name)
    assert [red for red, _, _ in colours(EDMZip(root=str(tmp_path / "x.zip")))] == [0, 1, 2]


def labelled(file: Path, manifest: str, pairs) -> EDMZip:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.png", image(RED))
        archive.writestr(manifest, json.dumps({"labels": pairs}))
    return EDMZip(root=str(file))


def test_a_file_labelled_twice_is_refused(tmp_path):
    data = labelled(tmp_path / "x.zip", "dataset.json", [["a.png", 0], ["a.png", 1]])
    assert "labels a file twice" in refused(data)


def test_labels_below_the_top_of_a_zip_are_no_missing_labels(tmp_path):
    data = labelled(tmp_path / "x.zip", "sub/dataset.json", [["a.png", 0]])
    assert "sub/dataset.json is not at the top" in refused(data)


def test_labels_are_class_numbers_as_they_are(tmp_path):
    """Labels {3, 7} make eight classes, of which six have no image."""
    data = shard(
        tmp_path / "x.tar",
        *[("0.png", image(RED)), ("0.cls", b"7"), ("1.png", image(RED)), ("1.cls", b"3\n")],
    )
    assert data.classes == 8
    assert data.batch([0, 1])["label"].tolist() == [7, 3]
