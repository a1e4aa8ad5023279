"""One DICOM series to one NIfTI file, by dcm2niix (Li et al. 2016, doi 10.1016/j.jneumeth.2016.03.001).

dcm2niix resamples the slices of a tilted gantry to a straight grid, and slices at uneven distances to even ones. Such a
volume is preferred, unless the mask was drawn on the slices as the scanner gave them.
"""

import gzip
import io
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dcm2niix
import nibabel as nib
from nibabel.filebasedimages import ImageFileError

from ichflow.errors import IchflowError
from ichflow.files import write_bytes

log = logging.getLogger(__name__)

_CORRECTED = re.compile(r"_(?:Tilt|Eq)(?:_|$)")
_CORRECTIONS = {"_Tilt": "a tilted gantry", "_Eq": "uneven distances of slices"}
_TAGS = ("descrip", "aux_file", "db_name", "intent_name")
_FEWEST_SLICES = 3  # of a volume that stands beside localizers


def convert(series: str | Path, mask: str | Path | None, output: str | Path) -> str:
    """Convert the CT series in a folder.

    Parameters
    ----------
    series
        The folder; it is only read, subfolders included.
    mask
        The mask that will lie over the scan, which decides between corrected and uncorrected slices; None without one.
    output
        A ``.nii.gz`` file; times and names of the DICOM files are not in it.

    Returns
    -------
    str
        What dcm2niix corrected: ``a tilted gantry``, ``uneven distances of slices``, or nothing.

    Raises
    ------
    IchflowError
        The folder holds no series, several, or none that can be converted.
    """
    with TemporaryDirectory() as folder:
        volumes = _converted(Path(series), Path(folder))
        chosen = _choose(volumes, _shape(mask) if mask else None)
        _write(chosen, output)
        return " and ".join(told for mark, told in _CORRECTIONS.items() if mark in chosen.stem)


def _converted(series: Path, folder: Path) -> list[Path]:
    """Run dcm2niix; return the volumes of the one series, corrected ones first."""
    # Signed integers, since dcm2niix corrects the tilt of no others
    options = ["-b", "n", "-z", "n", "-l", "n", "-f", "series%s", "-o", str(folder), str(series.absolute())]
    ran = dcm2niix.main(options, capture_output=True, text=True, errors="replace")
    log.info("%s%s", ran.stdout, ran.stderr)
    volumes = sorted(folder.glob("*.nii"))
    if len(volumes) > 1:
        volumes = [path for path in volumes if (_shape(path) or (0, 0, 0))[2] >= _FEWEST_SLICES] or volumes
    if not volumes:
        raise IchflowError(
            f"no CT series that dcm2niix can convert (status {ran.returncode}; its words are in the log)"
        )
    found = sorted({re.split(r"_(?:Tilt|Eq)(?:_|$)", path.stem)[0] for path in volumes})
    if len(found) > 1:
        raise IchflowError(f"{len(found)} volumes ({', '.join(found)})")
    return sorted(volumes, key=lambda path: (not _CORRECTED.search(path.stem), path.name))


def _choose(volumes: Sequence[Path], shape: tuple[int, ...] | None) -> Path:
    return next((path for path in volumes if _shape(path) == shape), volumes[0])


def _shape(path: str | Path) -> tuple[int, ...] | None:
    try:
        image: Any = nib.load(path)
    except (ImageFileError, OSError, EOFError, ValueError):
        return None
    return tuple(image.shape)


def _write(source: Path, output: str | Path) -> None:
    """Copy a volume without the text fields of its header, in which dcm2niix leaves times and comments."""
    content = source.read_bytes()
    header = nib.Nifti1Header.from_fileobj(io.BytesIO(content))
    for tag in _TAGS:
        header[tag] = b""
    # As bytes, since nibabel would scale the values anew
    content = header.binaryblock + content[len(header.binaryblock) :]
    write_bytes(output, gzip.compress(content, compresslevel=1, mtime=0))
