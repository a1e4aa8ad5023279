"""NIfTI volumes: scaled values, orientation, spacing, and the way back to the original grid.

Arrays are in radiological display order: axes (slice, row, column), slices from inferior to superior, row 0 anterior,
column 0 the patient's right. Only this module knows how a file's axes come to that order.
"""

import gzip
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.orientations import (
    aff2axcodes,
    apply_orientation,
    axcodes2ornt,
    io_orientation,
    ornt_transform,
)
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from ichflow.errors import IchflowError
from ichflow.files import whole

# With these axes a transposition and a flip of the rows give display order
_CANONICAL = axcodes2ornt(("L", "A", "S"))


@dataclass(frozen=True)
class Geometry:
    """Where a volume lies: the shape of its array in the file and its 4 × 4 affine, voxels to mm (RAS+)."""

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]

    @property
    def orientation(self) -> str:
        """The nearest anatomical axis codes, such as ``LAS``."""
        return "".join(str(code) for code in aff2axcodes(self.affine))

    @property
    def is_usable(self) -> bool:
        """Whether the affine is finite and can be inverted, so that axes have directions."""
        return bool(np.isfinite(self.affine).all() and abs(np.linalg.det(self.affine[:3, :3])) > 1e-9)

    @property
    def display_shape(self) -> tuple[int, int, int]:
        """The shape in display order: slices, rows, columns."""
        columns, rows, slices = (self.shape[axis] for axis in self._file_axes())
        return slices, rows, columns

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel spacing in mm in display order: between slices, rows, columns."""
        sizes = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        column, row, between = (float(sizes[axis]) for axis in self._file_axes())
        return between, row, column

    def _file_axes(self) -> list[int]:
        """Axis of the file that runs left-right, anterior-posterior, inferior-superior."""
        return [int(np.flatnonzero(io_orientation(self.affine)[:, 0] == axis)[0]) for axis in range(3)]

    def displacement_mm(self, other: "Geometry") -> float:
        """Return the largest distance in mm between equal corners of the two grids."""
        corners = np.array(
            [[i, j, k, 1] for i in (0, self.shape[0]) for j in (0, self.shape[1]) for k in (0, self.shape[2])]
        )
        difference = corners @ (self.affine - other.affine).T
        return float(np.linalg.norm(difference[:, :3], axis=1).max())


@dataclass(frozen=True)
class Volume:
    """One NIfTI file, read once: its header, its scaled values on demand, and the SHA-256 of the file."""

    image: Any
    sha256: str

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array in the file; not every file has three axes."""
        return tuple(int(n) for n in self.image.shape)

    @property
    def geometry(self) -> Geometry:
        """Where the volume lies; only for volumes of three axes."""
        i, j, k = self.shape
        return Geometry((i, j, k), np.asarray(self.image.affine, dtype=np.float64))

    def values(self) -> NDArray[np.float32]:
        """Return the scaled values as float32 (slice, row, column), in display order.

        Raises
        ------
        IchflowError
            The file ends before its data do.
        """
        try:
            data = self.image.get_fdata(caching="unchanged", dtype=np.float32)
        except (OSError, ValueError, MemoryError) as error:
            raise IchflowError(f"data cannot be read to the end: {error}") from None
        return to_display(np.asarray(data, dtype=np.float32), self.geometry)


def read(path: str | Path) -> Volume:
    """Read a ``.nii`` or ``.nii.gz`` file in one pass, hash and content.

    Raises
    ------
    IchflowError
        The file is absent, empty, unreadable or no NIfTI file.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise IchflowError(f"{path.name}: cannot be read ({error.strerror})") from None
    digest = hashlib.sha256(content).hexdigest()
    try:
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        image = nib.Nifti1Image.from_stream(io.BytesIO(content))
    except (ImageFileError, HeaderDataError, WrapStructError, OSError, EOFError, ValueError) as error:
        raise IchflowError(f"{path.name}: found {len(content)} bytes that are no NIfTI-1 file ({error})") from None
    return Volume(image, digest)


def to_display(data: NDArray[Any], geometry: Geometry) -> NDArray[Any]:
    """Turn an array of the file's axes into display order (slice, row, column)."""
    turn = ornt_transform(io_orientation(geometry.affine), _CANONICAL)
    return np.ascontiguousarray(apply_orientation(data, turn).transpose(2, 1, 0)[:, ::-1])


def to_file(data: NDArray[Any], geometry: Geometry) -> NDArray[Any]:
    """Turn an array in display order back into the file's axes: the inverse of :func:`to_display`."""
    turn = ornt_transform(_CANONICAL, io_orientation(geometry.affine))
    return np.ascontiguousarray(apply_orientation(data[:, ::-1].transpose(2, 1, 0), turn))


def write(
    path: str | Path, data: NDArray[Any], geometry: Geometry, *, slope: float = 1.0, description: str = ""
) -> None:
    """Write an array in display order as NIfTI on the original grid, so that it opens over the original scan.

    Parameters
    ----------
    path
        A ``.nii.gz`` file; equal input gives equal bytes.
    data
        Unsigned 8-bit values (slice, row, column).
    geometry
        That of the original scan.
    slope
        What a stored 1 stands for.
    description
        At most 79 characters for the header.
    """
    image = nib.Nifti1Image(to_file(data, geometry), geometry.affine)
    image.header.set_data_dtype(np.uint8)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = description.encode()[:79]
    content = image.to_bytes()
    if slope != 1.0:  # nibabel would rescale the values: they are stored as they are and the header says what they mean
        header = nib.Nifti1Header.from_fileobj(io.BytesIO(content))
        header["scl_slope"], header["scl_inter"] = slope, 0.0
        content = header.binaryblock + content[len(header.binaryblock) :]
    with whole(path) as temporary:
        temporary.write_bytes(gzip.compress(content, compresslevel=4, mtime=0))
