"""Small valid files of every format that fmcore reads, and strategies for damage inside checksums
and compressed streams, where broken bytes alone would not get past the container.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from .mutations import (
    Folder,
    broken_folder,
    changed_json,
    deep_json,
    json_values,
    numbers,
    renamed,
    words,
)

SIDE = 4
ROWS = 3
CANARY = "canary"
"""The folder that code hidden in a file would create."""


def pixels(rows: int = ROWS, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (rows, 3, side, side), dtype=np.uint8)


def written(write: Callable[[Path], object], below: str = "") -> Folder:
    """The files that `write` leaves in `below` the folder that it gets."""
    with TemporaryDirectory() as folder:
        write(Path(folder))
        return {file.name: file.read_bytes() for file in sorted(Path(folder, below).iterdir())}


@cache
def images() -> list[bytes]:
    """One image of each kind that is decoded, a text that inflates, and PostScript, which runs."""
    kinds = [("png", "RGB"), ("png", "P"), ("png", "LA"), ("gif", "P")]
    kinds += [(kind, "RGB") for kind in ("jpeg", "webp", "bmp", "tiff", "ppm")]
    found = []
    for kind, mode in kinds:
        stream = io.BytesIO()
        Image.fromarray(np.moveaxis(pixels(1)[0], 0, -1)).convert(mode).save(stream, kind)
        found.append(stream.getvalue())
    found.append(png({**chunks(found[0]), "zTXt": b"a\0\0" + zlib.compress(bytes(1 << 24))}))
    script = f"({CANARY}) (w) file closefile"
    return [*found, f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n{script}\n".encode()]


def chunks(content: bytes) -> dict[str, bytes]:
    """The chunks of a PNG."""
    found, at = {}, 8
    while at < len(content):
        size, kind = struct.unpack(">I4s", content[at : at + 8])
        found[kind.decode()] = content[at + 8 : at + 8 + size]
        at += 12 + size
    return found


def png(chunks: Folder) -> bytes:
    """The PNG of these chunks, their checksums valid."""
    content = b"\x89PNG\r\n\x1a\n"
    for name, body in sorted(chunks.items(), key=lambda chunk: chunk[0] == "IEND"):
        kind = name.encode()[:4].ljust(4)
        crc = zlib.crc32(kind + body)
        content += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)
    return content


def damaged_png() -> st.SearchStrategy[bytes]:
    """PNGs with a broken chunk, or a chunk of another kind."""
    found = st.sampled_from([chunks(image) for image in images()[:3]])
    kinds = st.sampled_from(["zTXt", "iCCP", "tRNS", "acTL", "junk"])
    return found.flatmap(lambda valid: broken_folder(valid) | renamed(valid, kinds)).map(png)


def idx() -> Folder:
    labels = struct.pack(">HBBI", 0, 8, 1, ROWS) + bytes(range(ROWS))
    gray = struct.pack(">HBB3I", 0, 8, 3, ROWS, SIDE, SIDE) + pixels()[:, 0].tobytes()
    return {
        "train-images-idx3-ubyte.gz": gzip.compress(gray, mtime=0),
        "train-labels-idx1-ubyte": labels,
        "t10k-images-idx3-ubyte": gray,
        "t10k-labels-idx1-ubyte": labels,
    }


def both_splits(content: bytes, train: str, test: str) -> Folder:
    return {train: content, test: content}


def arrays() -> dict[str, np.ndarray]:
    return {"data": pixels().reshape(ROWS, -1), "labels": np.arange(1, ROWS + 1)}


def npz(save: Callable[..., None] = np.savez) -> Folder:
    stream = io.BytesIO()
    save(stream, **arrays())
    return both_splits(stream.getvalue(), "train_data_batch_1.npz", "val_data.npz")


odd_entries = st.one_of(
    st.sampled_from(["|O", "V0", "U0", "S0", "<U3", "M8[ns]", "c16", "<i8", "|u1", ">f2", "junk"]),
    st.sampled_from([(), (3,), True, [("a", "<i4")], ("<i4", (2,)), (-1, 48), "(" * 500]),
    st.tuples(numbers, st.sampled_from([0, 48, -1])),
)


@st.composite
def damaged_npz(draw: st.DrawFn) -> Folder:
    """Arrays whose headers do not fit their data."""
    members = {}
    for name, array in arrays().items():
        header: Any = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape}
        header[draw(st.sampled_from(list(header)))] = draw(odd_entries)
        text = repr(header).encode().ljust(117) + b"\n"
        magic = b"\x93NUMPY" + bytes([draw(st.sampled_from([1, 1, 1, 2, 3])), 0])
        members[f"{name}.npy"] = magic + struct.pack("<H", len(text)) + text + array.tobytes()
    content = zipped(members, draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])))
    return both_splits(content, "train_data_batch_1.npz", "val_data.npz")


class Harm:
    """Create the canary when unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str, ...]]:
        return os.mkdir, (CANARY,)


@cache
def pickles() -> list[bytes]:
    """Batches, hostile ones, lists that double at each of 30 levels, tuples nested 40 deep."""
    found = [pickle.dumps({**arrays(), "labels": [1, 2, 3]}, protocol) for protocol in range(5)]
    found += [pickle.dumps({"data": Harm(), "labels": [1]}, protocol) for protocol in range(5)]
    head = b"\x80\x02}(X\x04\0\0\0dataX\x01\0\0\0aX\x06\0\0\0labels"
    found.append(head + b"]q\0]q\1" + b"(h\0h\0e" * 30 + b"u.")
    return [*found, b"\x80\x02}(" + b"K\1" + b"2\x86" * 40 + b"K\1u."]


OPCODES = [
    *[b"(", b"l", b"]", b"}", b")", b"t", b"\x85", b"\x86", b"\x87", b"2", b"0", b"1", b"N"],
    *[b"K\1", b"\x88", b"X\1\0\0\0a", b"C\1a", b"h\0", b"q\0", b"a", b"e", b"s", b"u", b"R", b"b"],
    *[b"cos\nmkdir\n", b"cnumpy\ndtype\n", b"cnumpy\nndarray\n", b"\x8f", b"\x90", b"\x91"],
    *[b"cnumpy.core.multiarray\n_reconstruct\n", b"c_codecs\nencode\n", b"X\2\0\0\0u1", b"\x93"],
    *[b"\x94", b"r\xff\xff\xff\x7f", b"\x8b\xff\xff\xff\x7f", b"\x96" + b"\xff" * 8, b"Q", b"\x92"],
]
opcodes = st.builds(
    lambda start, parts, end: b"\x80\x04}" + start + b"".join(parts) + end,
    st.sampled_from([b"", b"("]),
    st.lists(st.sampled_from(OPCODES), max_size=60),
    st.sampled_from([b"u.", b".", b""]),
)


def zipped(members: Folder, compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return stream.getvalue()


def zip_members() -> Folder:
    """Images and labels, as EDM's tool packs them."""
    labels = {"labels": [[f"{row}.png", row] for row in range(ROWS)]}
    members = {f"{row}.png": images()[row] for row in range(ROWS)}
    return {**members, "dataset.json": json.dumps(labels).encode()}


def edm_zip(content: bytes) -> Folder:
    return both_splits(content, "train.zip", "val.zip")


def damaged_zip() -> st.SearchStrategy[Folder]:
    """Archives with a broken member or name, some compressed."""
    members = broken_folder(zip_members()) | renamed(zip_members(), words)
    compression = st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
    return st.builds(zipped, members, compression).map(edm_zip)


def tarred(members: Folder, **fields: Any) -> bytes:
    """A tar file; `fields` replace those of the first header, under a valid checksum."""
    content = b""
    for name, member in members.items():
        info = tarfile.TarInfo(name)
        info.size = len(member)
        for field, value in ({} if content else fields).items():
            setattr(info, field, value)
        content += info.tobuf(tarfile.GNU_FORMAT, "utf-8") + member + bytes(-len(member) % 512)
    return content + bytes(1024)


def tar_members() -> Folder:
    """Images and classes, as WebDataset has them."""
    members = {}
    for row in range(ROWS):
        members |= {f"{row}.png": images()[row], f"{row}.cls": b"%d" % row}
    return members


def webdataset(content: bytes) -> Folder:
    return both_splits(content, "train-0.tar", "val-0.tar")


def damaged_tar() -> st.SearchStrategy[Folder]:
    """Tar files with a broken member, name, type or size."""
    valid = tar_members()
    classes = st.sampled_from([b"", b"9" * 19, b"-1", b"1 2", b"\xd9\xa1", b"1" * 30])
    classed = classes.map(lambda content: {**valid, "1.cls": content})
    members = broken_folder(valid) | renamed(valid, words) | classed
    fields = {
        "type": st.sampled_from([b"1", b"2", b"3", b"5", b"6", b"S", b"x", b"g", b"L"]),
        "linkname": st.just("../../../etc/passwd"),
        "size": numbers | st.integers(-(2**60), 2**60),
    }
    damaged = st.fixed_dictionaries({}, optional=fields).map(lambda odd: tarred(valid, **odd))
    return (members.map(tarred) | damaged).map(webdataset)


def cifar(binary: bool) -> Folder:
    names = [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]
    if binary:
        record = bytes([3]) + pixels(1, 32).tobytes()
        return {f"{name}.bin": record * 2 for name in names}
    batch = {b"data": pixels(2, 32).reshape(2, -1), b"labels": [1, 2]}
    return dict.fromkeys(names, pickle.dumps(batch, 2))


def tables(suffix: str) -> Folder:
    """Files of Hugging Face datasets: `.parquet` or `.arrow`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    column = [{"bytes": content, "path": None} for content in images()[:ROWS]]
    table = pa.table({"image": column, "label": list(range(ROWS))})
    stream = io.BytesIO()
    if suffix == "parquet":
        pq.write_table(table, stream)
    else:
        with pa.ipc.new_stream(stream, table.schema) as writer:
            writer.write_table(table)
    return both_splits(stream.getvalue(), f"train.{suffix}", f"val.{suffix}")


tensor_entries = st.one_of(
    st.sampled_from(["BF16", "F8_E4M3", "F4", "I64", "BOOL", "C64", "U16", "junk"]),
    st.lists(numbers | st.just(2**40), max_size=2),
    json_values,
)


@st.composite
def damaged_safetensors(draw: st.DrawFn, content: bytes) -> bytes:
    """A safetensors file whose header does not fit its data."""
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    for _ in range(draw(st.integers(1, 3))):
        header = draw(changed_json(header, tensor_entries))
    text = draw(deep_json) if draw(st.integers(0, 11)) == 0 else json.dumps(header)
    return struct.pack("<Q", len(text)) + text.encode() + content[8 + size :]
