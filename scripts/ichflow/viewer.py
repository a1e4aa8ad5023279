"""One patient for the case browser: scan, truth and predictions in one small script file.

A page that was opened from the file system may not read the files beside it, but may run them as scripts: so a case is
a call of one function with one JSON object. Scan and masks are on the shard's square grid, or a smaller one if the file
would be too large, and lie in space where the original scan lies. Hounsfield units are kept, rounded to even ones, so
that windows stay a matter of the page: that is far below the noise of a CT and saves a fifth of the bytes.
"""

import base64
import gzip
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from ichflow import baselines, volume
from ichflow.files import write_text
from ichflow.grid import resize_area, shrink_labels
from ichflow.recipes import BASELINES
from ichflow.shards import Shard, ShardInfo

CALL = "showCase"  # the function of the page that a case is handed to
MOST_BYTES = 3_000_000  # of one patient's file
MOST_VOXELS = 5_000_000  # more than that many never fit
HU_STEP = 2

_STEP = 8  # sizes of a grid are multiples of it


def write(
    path: str | Path,
    shard: Shard,
    masks: Mapping[str, str | Path],
    threshold_hu: Sequence[float],
    most_bytes: int = MOST_BYTES,
) -> None:
    """Write the file of one patient, the same bytes for the same input.

    Parameters
    ----------
    path
        The script file.
    shard
        The patient.
    masks
        Model to its predicted mask, NIfTI on the scan's own grid.
    threshold_hu
        Lowest and highest Hounsfield unit of the threshold baseline.
    most_bytes
        The size of the slices is lowered until the file has no more.
    """
    if not len(shard.hu):
        write_text(path, _script({"patient": shard.info.patient, "setAside": shard.info.set_aside}))
        return
    size = min(shard.info.size, _multiple(math.sqrt(MOST_VOXELS / len(shard.hu))))
    while len(script := _script(_case(shard, masks, threshold_hu, size))) > most_bytes and size > _STEP:
        size = _multiple(min(size * math.sqrt(most_bytes / len(script)), size - 1))
    write_text(path, script)


def _multiple(size: float) -> int:
    return max(int(size) // _STEP * _STEP, _STEP)


def _script(case: Mapping[str, Any]) -> str:
    return f"{CALL}({json.dumps(case)});\n"


def _case(shard: Shard, masks: Mapping[str, str | Path], threshold_hu: Sequence[float], size: int) -> dict[str, Any]:
    """Make what the page gets: see ``workflow/report/browser.js``, which reads it."""
    info = shard.info
    predictions = {name: _baseline(name, shard, threshold_hu, size) for name in BASELINES}
    predictions |= {model: info.grid.labels(_marked(mask), size) for model, mask in masks.items()}
    return {
        "patient": info.patient,
        "size": size,
        "native": info.geometry.display_shape,
        "header": _text(_header(info, size)),
        "scan": _packed(_byte_planes(resize_area(shard.hu, size))),
        "truth": _packed(shrink_labels((shard.mask > 0).astype(np.uint8), size).tobytes()),
        "predictions": {model: _packed(mask.tobytes()) for model, mask in predictions.items()},
    }


def _marked(mask: str | Path) -> NDArray[np.uint8]:
    return (volume.read(mask).stored() > 0).astype(np.uint8)


def _baseline(name: str, shard: Shard, threshold_hu: Sequence[float], size: int) -> NDArray[np.uint8]:
    """Predict slice by slice, for a scan may have many."""
    low, high = threshold_hu
    pixel_mm = shard.info.grid.pixel_area_mm2(shard.info.size) ** 0.5
    small = np.empty((len(shard.hu), size, size), np.uint8)
    for place in range(len(shard.hu)):
        plane = shard.hu[place : place + 1]
        found = baselines.probabilities(name, plane, hu_range=(low, high), pixel_mm=pixel_mm) >= baselines.CUT
        small[place] = shrink_labels(found.astype(np.uint8), size)[0]
    return small


def _header(info: ShardInfo, size: int) -> bytes:
    """Make the NIfTI-1 header of int16 (column, row, slice); its affine puts the grid where the scan lies."""
    affine = (info.geometry.display_affine @ info.grid.to_native(size))[:, [2, 1, 0, 3]]
    header = nib.Nifti1Image(np.empty((size, size, info.geometry.display_shape[0]), np.int16), affine).header
    header.set_xyzt_units("mm")
    header.set_slope_inter(HU_STEP, 0)
    header["vox_offset"] = len(header.binaryblock) + 4  # four bytes say that no extension follows
    return header.binaryblock + bytes(4)


def _byte_planes(hu: NDArray[np.float32]) -> bytes:
    """Give all low bytes, then all high ones, of Hounsfield units in steps: gzip makes a fifth less of them so."""
    steps = np.clip(np.rint(hu / HU_STEP), -32768, 32767).astype("<i2")
    return np.moveaxis(steps.view(np.uint8).reshape(-1, 2), 1, 0).tobytes()


def _packed(content: bytes) -> str:
    return _text(gzip.compress(content, compresslevel=6, mtime=0))


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
