"""The same few images in every format: 23 to train on (so that batches are uneven), 7 to test on,
three classes; one of them gray, one CMYK.
"""

from __future__ import annotations

import io
import json
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 8
CLASSES = ["n01440764", "n01443537", "n02979186"]
COUNTS = {"train": 23, "val": 7}
GRAY, CMYK = 4, 5  # the images in a gray and in a CMYK file


def images(split: str) -> tuple[np.ndarray, np.ndarray]:
    """`(count, 3, SIZE, SIZE)` and labels, in order of class, as in a folder."""
    random = np.random.default_rng(len(split))
    count = COUNTS[split]
    pixels = random.integers(0, 256, (count, 3, SIZE, SIZE), dtype=np.uint8)
    pixels[GRAY] = pixels[GRAY, :1]
    return pixels, np.sort(np.arange(count) % len(CLASSES))


def encoded(pixels: np.ndarray, row: int) -> tuple[bytes, str]:
    """An image file, without loss, and its suffix."""
    image, kind = Image.fromarray(np.moveaxis(pixels, 0, -1)), "png"
    if row == GRAY:
        image = image.convert("L")
    if row == CMYK:
        key = np.zeros((SIZE, SIZE, 1), np.uint8)
        planes = np.concatenate([255 - np.moveaxis(pixels, 0, -1), key], axis=-1)
        image, kind = Image.frombytes("CMYK", (SIZE, SIZE), planes.tobytes()), "tiff"
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue(), kind


def files(split: str):
    """Row, class, label and encoded file of each image, with names in the images' order."""
    pixels, labels = images(split)
    for row, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        content, suffix = encoded(image, row)
        yield row, CLASSES[label], int(label), content, suffix


def batches(split: str):
    """Name, rows and labels 1.. of the official batches, ten images each."""
    pixels, labels = images(split)
    for number, first in enumerate(range(0, len(pixels), 10), start=1):
        name = f"train_data_batch_{number}" if split == "train" else "val_data"
        part = slice(first, first + 10) if split == "train" else slice(None)
        yield name, pixels[part].reshape(-1, 3 * SIZE * SIZE), labels[part] + 1
        if split == "val":
            return


def contents(split: str):
    for name, rows, labels in batches(split):
        content = {"data": rows, "labels": labels}
        if split == "train":
            content["mean"] = rows.mean(0)
        yield name, content


def npz(root: Path, save=np.savez) -> None:
    for split in COUNTS:
        for name, content in contents(split):
            save(root / f"{name}.npz", **content)


def npz_deflated(root: Path) -> None:
    npz(root, np.savez_compressed)


def npz_pickled(root: Path) -> None:
    """Like the official pickles: protocol 2 or higher, labels in a list."""
    for split in COUNTS:
        for name, content in contents(split):
            content["labels"] = content["labels"].tolist()
            (root / name).write_bytes(pickle.dumps(content, protocol=2))


def image_folder(root: Path) -> None:
    for split in COUNTS:
        for row, wnid, _, content, suffix in files(split):
            place = root / split / wnid
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{wnid}_{row:05}.{suffix.upper()}").write_bytes(content)


def flat_folder(root: Path) -> None:
    """guided-diffusion's: the class is the name up to `_`."""
    for split in COUNTS:
        (root / split).mkdir()
        for row, wnid, _, content, suffix in files(split):
            (root / split / f"{wnid}_{row:05}.{suffix}").write_bytes(content)


def edm_zip(root: Path) -> None:
    for split in COUNTS:
        with zipfile.ZipFile(root / f"{split}.zip", "w", zipfile.ZIP_STORED) as archive:
            labels = []
            for row, _, label, content, suffix in files(split):
                name = f"{row // 10:05}/img{row:08}.{suffix}"
                archive.writestr(name, content)
                labels.append([name, label])
            archive.writestr("dataset.json", json.dumps({"labels": labels}))


def webdataset(root: Path) -> None:
    """Shards of ten samples, with members that are not read."""
    for split in COUNTS:
        for first in range(0, COUNTS[split], 10):
            with tarfile.open(root / f"{split}-{first // 10:06}.tar", "w") as shard:
                for row, wnid, label, content, suffix in list(files(split))[first : first + 10]:
                    key = f"{wnid}_{row:05}"
                    add(shard, f"{key}.cls", f"{label}\n".encode())
                    add(shard, f"{key}.{suffix}", content)
                    add(shard, f"{key}.json", json.dumps({"row": row}).encode())
                    add(shard, f"{key}.xyz", b"unknown")


def add(shard: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    shard.addfile(info, io.BytesIO(content))


def table(split: str):
    import pyarrow as pa

    rows = list(files(split))
    column = [{"bytes": content, "path": f"{row}.{suffix}"} for row, _, _, content, suffix in rows]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    labels = pa.array([label for _, _, label, _, _ in rows], pa.int64())
    features = {"label": {"names": CLASSES, "_type": "ClassLabel"}, "image": {"_type": "Image"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    columns = {"image": pa.array(column, kind), "label": labels}
    return pa.table(columns).replace_schema_metadata(metadata)


def parquet(root: Path) -> None:
    """Like the hub: `data/train-00000-of-00002.parquet`, and `validation`."""
    from pyarrow import parquet as pq

    (root / "data").mkdir()
    whole = table("train")
    for part, (first, last) in enumerate([(0, 15), (15, 23)]):
        name = f"train-{part:05}-of-00002.parquet"
        pq.write_table(whole.slice(first, last - first), root / "data" / name, row_group_size=4)
    pq.write_table(table("val"), root / "data" / "validation-00000-of-00001.parquet")


def arrow(root: Path) -> None:
    """Like `DatasetDict.save_to_disk`."""
    import pyarrow as pa

    for split, name in (("train", "train"), ("val", "validation")):
        (root / name).mkdir()
        whole = table(split)
        file = root / name / "data-00000-of-00001.arrow"
        with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, whole.schema) as writer:
            writer.write_table(whole, max_chunksize=6)
        (root / name / "state.json").write_text("{}")
    (root / "dataset_dict.json").write_text("{}")
