"""One verified patient to one shard."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ichflow import shards, volume, voxels
from ichflow.dataset import LABELS, MASK, SCAN
from ichflow.errors import IchflowError
from ichflow.shards import Shard, ShardInfo
from ichflow.volume import Volume


def make_shard(verified: dict[str, Any], files: Sequence[str | Path], size: int) -> Shard:
    """Slice one patient.

    Parameters
    ----------
    verified
        The patient's verification, see :meth:`ichflow.checks.Verification.as_json`.
    files
        Scan and mask, which are only read; none of them where the patient was set aside.
    size
        Rows and columns of the shard's pixels.

    Returns
    -------
    Shard
        Without rows where the patient was set aside.

    Raises
    ------
    IchflowError
        A file is not the one that was verified.
    """
    if verified["set_aside"]:
        return shards.empty(_nobody(verified, size))
    info, hu = read_scan(verified, files[0], size)
    native = voxels.binary_mask(_verified_volume(files[1], verified["sources"][MASK]).values())
    return Shard(
        info,
        hu,
        info.grid.labels(native, size),
        _labels(verified["facts"].get("labels", {}), len(native)),
        native.sum(axis=(1, 2), dtype=np.int32),
    )


def read_scan(verified: dict[str, Any], path: str | Path, size: int) -> tuple[ShardInfo, NDArray[np.int16]]:
    """Slice a scan alone.

    Parameters
    ----------
    verified, size
        As for :func:`make_shard`.
    path
        The scan, which is only read.

    Returns
    -------
    info, hu
        As of a :class:`ichflow.shards.Shard`; no slices where the scan was set aside.

    Raises
    ------
    IchflowError
        The file is not the one that was verified.
    """
    if verified["set_aside"]:
        return _nobody(verified, size), np.empty((0, size, size), np.int16)
    scan = _verified_volume(path, verified["sources"][SCAN])
    info = ShardInfo(
        verified["patient"],
        size,
        scan.geometry.shape,
        [[float(x) for x in row] for row in scan.geometry.affine],
        verified["sources"],
        labels=verified["facts"]["patient_labels"],
    )
    return info, info.grid.intensities(scan.values(), size)


def _nobody(verified: dict[str, Any], size: int) -> ShardInfo:
    return ShardInfo(verified["patient"], size, sources=verified["sources"], set_aside=verified["set_aside"])


def _verified_volume(path: str | Path, sha256: str) -> Volume:
    found = volume.read(path)
    if found.sha256 != sha256:
        raise IchflowError(
            f"{path}: found SHA-256 {found.sha256}, expected {sha256}: the file has changed since it was verified; "
            "run the target 'verify' again"
        )
    return found


def _labels(listed: dict[str, list[int]], slices: int) -> NDArray[np.bool_]:
    flags = np.zeros((slices, len(LABELS)), np.bool_)
    for column, label in enumerate(LABELS):
        flags[np.array(listed.get(label, []), dtype=int) - 1, column] = True
    return flags
