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
    patient = verified["patient"]
    if verified["set_aside"]:
        return shards.empty(ShardInfo(patient, size, sources=verified["sources"], set_aside=verified["set_aside"]))
    scan, mask = (
        _verified_volume(path, verified["sources"][role]) for path, role in zip(files[:2], (SCAN, MASK), strict=True)
    )
    geometry = scan.geometry
    info = ShardInfo(
        patient,
        size,
        geometry.shape,
        [[float(x) for x in row] for row in geometry.affine],
        verified["sources"],
        labels=verified["facts"]["patient_labels"],
    )
    native = voxels.binary_mask(mask.values())
    return Shard(
        info,
        info.grid.intensities(scan.values(), size),
        info.grid.labels(native, size),
        _labels(verified["facts"].get("labels", {}), len(native)),
        native.sum(axis=(1, 2), dtype=np.int32),
    )


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
