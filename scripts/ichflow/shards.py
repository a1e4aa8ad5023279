"""The Parquet shard: one file a patient, one row a slice, the same bytes for the same input.

Columns, in this order: ``patient``, ``slice`` (1-based), ``hu`` (int16, size × size, row-major little-endian bytes),
``mask`` (uint8 label map, size × size), one flag for each label, ``has_hemorrhage``, ``mask_pixels`` (on the scan's own
grid), ``pixel_area_mm2`` and ``slice_spacing_mm`` (of the scan's own grid). Everything that holds for the whole patient
stands in the file's metadata. A patient who was set aside has a shard without rows that carries the reasons.
"""

import hashlib
import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ichflow import contracts
from ichflow.dataset import LABELS
from ichflow.errors import IchflowError
from ichflow.files import whole
from ichflow.grid import SquareGrid
from ichflow.volume import Geometry

_KEY, _DIGEST = b"ichflow", b"ichflow-sha256"


@dataclass(frozen=True)
class ShardInfo:
    """What holds for a whole patient.

    Attributes
    ----------
    patient
        Patient number as the dataset writes it.
    size
        Rows and columns of ``hu`` and ``mask``.
    native_shape, affine
        Shape of the array in the original file and its affine; empty for a patient set aside.
    sources
        SHA-256 of the original files by role (``scan``, ``mask``).
    set_aside
        Why the patient was set aside; empty if it was not.
    labels
        What the patient as a whole is labeled with, names out of :data:`ichflow.dataset.LABELS`: those of its slices,
        and those that a dataset gives for the patient only.
    contract
        Version of this layout.
    orientation
        Axis order and directions of ``hu`` and ``mask``.
    """

    patient: str
    size: int
    native_shape: tuple[int, ...] = ()
    affine: list[list[float]] = field(default_factory=list[list[float]])
    sources: dict[str, str] = field(default_factory=dict[str, str])
    set_aside: list[str] = field(default_factory=list[str])
    labels: list[str] = field(default_factory=list[str])
    contract: int = contracts.SHARD
    orientation: str = "slice inferior to superior, row anterior to posterior, column right to left"

    @property
    def geometry(self) -> Geometry:
        """Where the original scan lies."""
        i, j, k = self.native_shape
        return Geometry((i, j, k), np.array(self.affine, dtype=np.float64))

    @property
    def grid(self) -> SquareGrid:
        """The way between the original grid and the shard's."""
        _, rows, columns = self.geometry.display_shape
        _, row_mm, column_mm = self.geometry.spacing_mm
        return SquareGrid(rows, columns, row_mm, column_mm)

    @property
    def pixel_affine(self) -> NDArray[np.float64]:
        """The 4 × 4 affine of ``hu`` and ``mask``: (slice, row, column) to mm (RAS+)."""
        return self.geometry.display_affine @ self.grid.to_native(self.size)


@dataclass(frozen=True)
class Shard:
    """One patient in memory.

    Attributes
    ----------
    info
        What holds for the whole patient.
    hu
        int16 (slice, size, size), Hounsfield units.
    mask
        uint8 (slice, size, size), 0 background, 1 hemorrhage.
    labels
        bool (slice, label), in the order of :data:`ichflow.dataset.LABELS`.
    mask_pixels
        int32 (slice,), hemorrhage pixels on the scan's own grid.
    """

    info: ShardInfo
    hu: NDArray[np.int16]
    mask: NDArray[np.uint8]
    labels: NDArray[np.bool_]
    mask_pixels: NDArray[np.int32]

    @property
    def has_hemorrhage(self) -> NDArray[np.bool_]:
        """Bool (slice,): whether the mask, which decides, marks a hemorrhage."""
        return self.mask_pixels > 0


def empty(info: ShardInfo) -> Shard:
    """Make the shard of a patient who was set aside."""
    pixels = (0, info.size, info.size)
    return Shard(
        info,
        np.empty(pixels, np.int16),
        np.empty(pixels, np.uint8),
        np.empty((0, len(LABELS)), np.bool_),
        np.empty(0, np.int32),
    )


def write(path: str | Path, shard: Shard) -> None:
    """Write a shard, whole or not at all; equal shards give equal bytes."""
    table = _table(shard)
    with whole(path) as temporary:
        pq.write_table(
            table,
            temporary,
            row_group_size=max(len(shard.hu), 1),
            compression="zstd",
            use_dictionary=False,
            write_statistics=False,
            write_page_checksum=True,
        )


def read(path: str | Path) -> Shard:
    """Read a shard.

    Raises
    ------
    IchflowError
        The file is absent, damaged, or of another contract version.
    """
    info = read_info(path)
    pixels = (-1, info.size, info.size)
    with _named(path):
        table = pq.read_table(path, page_checksum_verification=True)
        return Shard(
            info,
            _pixels(table["hu"], np.dtype("<i2")).reshape(pixels),
            _pixels(table["mask"], np.dtype("u1")).reshape(pixels),
            np.column_stack([table[name].to_numpy() for name in LABELS]),
            table["mask_pixels"].to_numpy(),
        )


def read_info(path: str | Path) -> ShardInfo:
    """Read only what holds for the whole patient.

    Raises
    ------
    IchflowError
        The file is absent, damaged, or of another contract version.
    """
    with _named(path):
        metadata: dict[bytes, bytes] = pq.read_schema(path).metadata or {}
        text = metadata.get(_KEY, b"{}")
        content: dict[str, Any] = json.loads(text)
        if content.get("contract") != contracts.SHARD:
            raise IchflowError(
                f"{path}: shard of contract version {content.get('contract')}, expected {contracts.SHARD}; "
                "delete it and run the target 'slice'"
            )
        if metadata.get(_DIGEST) != _digest(text):  # Parquet has no checksum of what it keeps beside the pages
            raise ValueError("its metadata is not what was written")
        content["native_shape"] = tuple(content["native_shape"])
        return ShardInfo(**content)


@contextmanager
def _named(path: str | Path) -> Generator[None]:
    """Name the file in whatever Arrow, JSON and this module find wrong in bytes that nobody wrote."""
    try:
        yield
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError, AttributeError) as error:
        raise IchflowError(f"{path}: no readable shard ({error}); delete it and run the target 'slice'") from None


def _table(shard: Shard) -> pa.Table:
    count, info = len(shard.hu), shard.info
    if count:
        slice_mm, row_mm, column_mm = info.geometry.spacing_mm
    else:
        slice_mm = row_mm = column_mm = 0.0
    columns: dict[str, pa.Array] = {
        "patient": pa.array([info.patient] * count, pa.string()),
        "slice": pa.array(np.arange(1, count + 1, dtype=np.int32)),
        "hu": _binary(shard.hu.astype("<i2"), 2 * info.size**2),
        "mask": _binary(shard.mask, info.size**2),
        **{name: pa.array(shard.labels[:, column]) for column, name in enumerate(LABELS)},
        "has_hemorrhage": pa.array(shard.has_hemorrhage),
        "mask_pixels": pa.array(shard.mask_pixels, pa.int32()),
        "pixel_area_mm2": pa.array(np.full(count, row_mm * column_mm)),
        "slice_spacing_mm": pa.array(np.full(count, slice_mm)),
    }
    text = json.dumps(asdict(info), sort_keys=True).encode()
    return pa.table(columns).replace_schema_metadata({_KEY: text, _DIGEST: _digest(text)})


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest().encode()


def _binary(array: NDArray[Any], width: int) -> pa.Array:
    buffer = pa.py_buffer(np.ascontiguousarray(array).tobytes())
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(array), [None, buffer])


def _pixels(column: pa.ChunkedArray, dtype: np.dtype[Any]) -> NDArray[Any]:
    array = column.combine_chunks()
    chunks = array.chunks if isinstance(array, pa.ChunkedArray) else [array]
    parts = [
        np.frombuffer(chunk.buffers()[1], np.uint8)[
            chunk.offset * chunk.type.byte_width : (chunk.offset + len(chunk)) * chunk.type.byte_width
        ]
        for chunk in chunks
        if len(chunk)
    ]
    return np.concatenate(parts).view(dtype) if parts else np.empty(0, dtype)
