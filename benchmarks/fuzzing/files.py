"""Valid files of every format that fmcore reads, and structures of them to be changed."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import pickle
import random
import struct
import tarfile
import zipfile
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fuzzing.mutation import NUMBERS, WORDS, any_value, changed, deep

SIDE = 4
ROWS = 3
CANARY = "canary"
"""A folder that every hostile file tries to make."""

Folder = dict[str, bytes]


def pixels(rows: int = ROWS, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (rows, 3, side, side), dtype=np.uint8)


@cache
def images() -> list[bytes]:
    """One of each kind that is decoded, and PostScript under a false name."""
    found = []
    kinds = (("png", "RGB"), ("png", "P"), ("png", "LA"), ("gif", "P"))
    for kind, mode in (*kinds, *((k, "RGB") for k in ("jpeg", "webp", "bmp", "tiff", "ppm"))):
        stream = io.BytesIO()
        Image.fromarray(np.moveaxis(pixels(1)[0], 0, -1)).convert(mode).save(stream, kind)
        found.append(stream.getvalue())
    script = f"({CANARY}) (w) file closefile"
    found.append(f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n{script}\n".encode())
    return found


def rechecked_png(content: bytes, dice: random.Random) -> bytes:
    """A PNG with one chunk changed and its checksum right, so that the change is looked at."""
    chunks, at = [], 8
    while at + 8 <= len(content):
        (size,) = struct.unpack(">I", content[at : at + 4])
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + size]))
        at += 12 + size
    place = dice.randrange(len(chunks))
    kind, body = chunks[place]
    raw = bytearray(body or b"\0")
    raw[dice.randrange(len(raw))] = dice.randrange(256)
    if kind == b"IHDR" and dice.random() < 0.3:
        raw[:8] = struct.pack(">2I", *(dice.choice(NUMBERS) % 2**32 for _ in range(2)))
    chunks[place] = (dice.choice((kind, b"zTXt", b"iCCP", b"tRNS", b"acTL")), bytes(raw))
    if dice.random() < 0.1:
        chunks.insert(1, (b"zTXt", b"a\0\0" + text_bomb()))
    made = [
        struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks
    ]
    return content[:8] + b"".join(made)


@cache
def text_bomb() -> bytes:
    return zlib.compress(bytes(1 << 24))


def idx() -> Folder:
    header = struct.pack(">HBB3I", 0, 8, 3, ROWS, SIDE, SIDE)
    labels = struct.pack(">HBBI", 0, 8, 1, ROWS) + bytes(range(ROWS))
    whole = header + pixels()[:, 0].tobytes()
    deflated = io.BytesIO()
    with gzip.GzipFile(fileobj=deflated, mode="wb", mtime=0) as stream:
        stream.write(whole)
    return {
        "train-images-idx3-ubyte.gz": deflated.getvalue(),
        "train-labels-idx1-ubyte": labels,
        "t10k-images-idx3-ubyte": whole,
        "t10k-labels-idx1-ubyte": labels,
    }


def rows() -> dict[str, np.ndarray]:
    return {"data": pixels().reshape(ROWS, -1), "labels": np.arange(1, ROWS + 1)}


def npz(compressed: bool) -> Folder:
    stream = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(stream, **rows())
    return {"train_data_batch_1.npz": stream.getvalue(), "val_data.npz": stream.getvalue()}


def npz_with_header(dice: random.Random) -> Folder:
    """Arrays whose headers say something else."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", dice.choice((0, 8))) as archive:
        for name, array in rows().items():
            said: Any = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape}
            said[dice.choice(list(said))] = dice.choice(
                [
                    *("|O", "V0", "U0", "S0", "<U3", "M8[ns]", "c16", "<i8", "|u1", ">f2", "junk"),
                    *[(dice.choice(NUMBERS), dice.choice((0, 48, -1)))] * 3,
                    *((), (3,), True, [("a", "<i4")], ("<i4", (2,)), (-1, 48), "(" * 500),
                ]
            )
            text = repr(said).encode().ljust(117) + b"\n"
            head = b"\x93NUMPY" + bytes([dice.choice((1, 1, 1, 2, 3)), 0])
            archive.writestr(
                f"{name}.npy", head + struct.pack("<H", len(text)) + text + array.tobytes()
            )
    return {"train_data_batch_1.npz": stream.getvalue(), "val_data.npz": stream.getvalue()}


class Harm:
    """Makes the canary when it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str, ...]]:
        import os

        return os.mkdir, (CANARY,)


@cache
def pickled() -> list[bytes]:
    found = [pickle.dumps({**rows(), "labels": [1, 2, 3]}, protocol) for protocol in range(5)]
    found += [pickle.dumps({"data": Harm(), "labels": [1]}, protocol) for protocol in range(5)]
    laughs = (
        b"\x80\x02}(X\x04\0\0\0dataX\x01\0\0\0a" + b"X\x06\0\0\0labels]q\0" + b"]q\1(h\0h\0e" * 30
    )
    return [*found, laughs + b"u.", b"\x80\x02}(" + b"K\1" + b"2\x86" * 40 + b"K\1u."]


def opcodes(dice: random.Random) -> bytes:
    """A row of opcodes that mostly makes sense."""
    parts = [
        *(b"(", b"l", b"]", b"}", b")", b"t", b"\x85", b"\x86", b"\x87", b"2", b"0", b"1", b"N"),
        *(
            b"K\1",
            b"\x88",
            b"X\1\0\0\0a",
            b"C\1a",
            b"h\0",
            b"q\0",
            b"a",
            b"e",
            b"s",
            b"u",
            b"R",
            b"b",
        ),
        *(b"cos\nmkdir\n", b"cnumpy\ndtype\n", b"cnumpy\nndarray\n", b"\x8f", b"\x90", b"\x91"),
        *(
            b"cnumpy.core.multiarray\n_reconstruct\n",
            b"c_codecs\nencode\n",
            b"X\2\0\0\0u1",
            b"\x93",
        ),
        *(
            b"\x94",
            b"r\xff\xff\xff\x7f",
            b"\x8b\xff\xff\xff\x7f",
            b"\x96" + b"\xff" * 8,
            b"Q",
            b"\x92",
        ),
    ]
    body = b"".join(dice.choice(parts) for _ in range(dice.randrange(60)))
    return b"\x80\x04}" + dice.choice((b"", b"(")) + body + dice.choice((b"u.", b".", b""))


def edm_zip(dice: random.Random | None = None) -> Folder:
    """Images and labels; with `dice`, odd names, sizes, ways of packing and labels."""
    stream, found = io.BytesIO(), images()
    names = [f"{n}.png" for n in range(ROWS)]
    labels: Any = {"labels": [[name, n] for n, name in enumerate(names)]}
    with zipfile.ZipFile(stream, "w") as archive:
        for n, name in enumerate(names):
            odd = dice is not None and dice.random() < 0.1
            info = zipfile.ZipInfo(f"{dice.choice(WORDS)}.png" if dice and odd else name)
            info.compress_type = dice.choice((0, 0, 8, 12, 14)) if dice else 0
            archive.writestr(info, found[n])
        text = json.dumps(changed(labels, dice) if dice else labels)
        archive.writestr("dataset.json", deep(dice) if dice and dice.random() < 0.05 else text)
    made = bytearray(stream.getvalue())
    if dice and dice.random() < 0.3:  # encrypted, or of another size than it says
        at = made.find(b"PK\x01\x02")
        field = dice.choice((8, 10, 20, 24, 42))
        made[at + field : at + field + 2] = dice.randbytes(2)
    return {"train.zip": bytes(made), "val.zip": bytes(made)}


def webdataset(dice: random.Random | None = None) -> Folder:
    """Samples; with `dice`, odd names, kinds, sizes and classes, under a right checksum."""
    stream, found = io.BytesIO(), images()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for n in range(ROWS):
            for name, content in ((f"{n}.png", found[n]), (f"{n}.cls", b"%d" % n)):
                info = tarfile.TarInfo(name)
                if dice and dice.random() < 0.1:
                    info.name = dice.choice(WORDS).replace("\0", "") or "x"
                if dice and dice.random() < 0.1:
                    info.type = dice.choice((b"1", b"2", b"3", b"5", b"6", b"S", b"x", b"g", b"L"))
                    info.linkname = "../../../etc/passwd"
                if dice and dice.random() < 0.1:
                    content = dice.choice((b"", b"9" * 19, b"-1", b"1 2", b"\xd9\xa1", b"1" * 30))
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    made = bytearray(stream.getvalue())
    if dice and dice.random() < 0.4:
        at = 512 * dice.randrange(len(made) // 512)
        numbers = (
            b"%011o\0" % dice.choice(NUMBERS[:11]),
            b"\xff" * 12,
            b"\x80" + dice.randbytes(11),
        )
        made[at + 124 : at + 136] = dice.choice(numbers)
        made[at + 148 : at + 156] = b" " * 8
        made[at + 148 : at + 156] = b"%06o\0 " % sum(made[at : at + 512])
    return {"train-0.tar": bytes(made), "val-0.tar": bytes(made)}


def cifar(binary: bool) -> Folder:
    names = [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]
    record = bytes([3]) + pixels(1, 32).tobytes()
    content = {b"data": pixels(2, 32).reshape(2, -1), b"labels": [1, 2]}
    if binary:
        return {f"{name}.bin": record * 2 for name in names}
    return dict.fromkeys(names, pickle.dumps(content, 2))


def packed(folder: Path) -> Folder:
    """What `fmcore data pack` writes."""
    from fmcore_data.npz import Npz
    from fmcore_data.packing import pack

    place = folder / "rows"
    place.mkdir()
    for name, content in npz(False).items():
        (place / name).write_bytes(content)
    pack(Npz(root=str(place), image_size=SIDE), folder / "packed")
    return {file.name: file.read_bytes() for file in (folder / "packed").iterdir()}


def safetensors(tensors: dict[str, Any], notes: dict[str, str] | None = None) -> bytes:
    from safetensors.torch import save

    return save(tensors, notes)


def with_header(content: bytes, dice: random.Random) -> bytes:
    """A safetensors file whose header is changed, its length right."""
    (size,) = struct.unpack("<Q", content[:8])
    said = changed(json.loads(content[8 : 8 + size]), dice)
    if isinstance(said, dict) and said and dice.random() < 0.5:
        key = dice.choice(list(said))
        if isinstance(said[key], dict):
            kinds = ("BF16", "F8_E4M3", "F4", "I64", "BOOL", "C64", "U16", "junk")
            odd = {"dtype": dice.choice(kinds), "shape": [dice.choice(NUMBERS)]}
            said[key] = {**said[key], **odd, "data_offsets": [0, dice.choice((0, 8, 2**40))]}
    head = json.dumps(said).encode() if dice.random() > 0.02 else deep(dice).encode()
    return struct.pack("<Q", len(head)) + head + content[8 + size :]


@cache
def checkpoints() -> Folder:
    import torch

    model = torch.nn.Linear(2, 2)
    tensors = {f"model/{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"ema/{k}": v.clone() for k, v in model.state_dict().items()}
    content = safetensors(tensors)
    found = {}
    for step in (10, 20):
        found[f"step-{step:09d}.safetensors"] = content
        found[f"step-{step:09d}.json"] = facts_of(content, step)
    return found


def facts_of(content: bytes, step: int) -> bytes:
    checksum = hashlib.sha256(content).hexdigest()
    return json.dumps({"step": step, "sha256": checksum, "facts": {"scaler": None}}).encode()


def any_json(content: bytes, dice: random.Random) -> bytes:
    """A JSON file with parts of it changed."""
    if dice.random() < 0.03:
        return deep(dice).encode()
    value = json.loads(content)
    for _ in range(dice.choice((1, 1, 2, 4))):
        value = changed(value, dice)
    return json.dumps(value if dice.random() > 0.02 else any_value(dice)).encode()
