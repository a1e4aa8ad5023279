"""NIfTI volumes: scaled values, orientation, spacing, and the way back to the original grid.

Arrays are in radiological display order: axes (slice, row, column), slices from inferior to superior, row 0 anterior,
column 0 the patient's right. Only this module knows how a file's axes come to that order.
"""

import gzip
import hashlib
import io
import math
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import nibabel as nib
import numpy as np
from nibabel.affines import obliquity
from nibabel.filebasedimages import ImageFileError
from nibabel.orientations import (
    aff2axcodes,
    apply_orientation,
    axcodes2ornt,
    inv_ornt_aff,
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
_GZIP = b"\x1f\x8b"
_ORDERS: tuple[Literal["little", "big"], ...] = ("little", "big")


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
        """Whether the affine gives each axis a length and a direction of its own, whatever its unit."""
        if not np.isfinite(self.affine).all():
            return False
        lengths = np.linalg.norm(self.affine[:3, :3], axis=0)
        if not (lengths > 0).all() or abs(np.linalg.det(self.affine[:3, :3] / lengths)) < 1e-6:
            return False
        return bool(np.isfinite(self._orientation).all())

    @property
    def obliquity_degrees(self) -> float:
        """The largest angle in degrees between an axis of the file and the anatomical axis nearest to it."""
        return float(np.degrees(obliquity(self.affine).max()))

    @property
    def display_shape(self) -> tuple[int, int, int]:
        """The shape in display order: slices, rows, columns."""
        columns, rows, slices = (self.shape[axis] for axis in self._file_axes)
        return slices, rows, columns

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel spacing in mm in display order: between slices, rows, columns."""
        sizes = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        column, row, between = (float(sizes[axis]) for axis in self._file_axes)
        return between, row, column

    @cached_property
    def display_affine(self) -> NDArray[np.float64]:
        """The 4 × 4 affine of an array in display order: (slice, row, column) to mm (RAS+)."""
        rows = self.display_shape[1]
        canonical = np.array([[0, 0, 1, 0], [0, -1, 0, rows - 1], [1, 0, 0, 0], [0, 0, 0, 1]], dtype=np.float64)
        return self.affine @ inv_ornt_aff(_turn(self), self.shape) @ canonical

    @cached_property
    def _file_axes(self) -> list[int]:
        """Axis of the file that runs left-right, anterior-posterior, inferior-superior."""
        return [int(np.flatnonzero(self._orientation[:, 0] == axis)[0]) for axis in range(3)]

    @cached_property
    def _orientation(self) -> NDArray[Any]:
        return io_orientation(self.affine)

    def displacement_mm(self, other: "Geometry") -> float:
        """Return the largest distance in mm between equal corners of the two grids."""
        corners = np.array(
            [[i, j, k, 1] for i in (0, self.shape[0]) for j in (0, self.shape[1]) for k in (0, self.shape[2])]
        )
        difference = corners @ (self.affine - other.affine).T
        return float(np.linalg.norm(difference[:, :3], axis=1).max())


class UnreadableVolumeError(IchflowError):
    """A file that is no volume.

    Attributes
    ----------
    code
        Why, as :data:`ichflow.findings.KINDS` names it.
    found
        What there is instead.
    """

    def __init__(self, path: Path, code: str, found: str) -> None:
        super().__init__(f"{path}: found {found}, expected a readable NIfTI file")
        self.code, self.found = code, found


@dataclass(frozen=True)
class Volume:
    """One NIfTI file, read once: its header, its voxels on demand, and the SHA-256 of the file.

    Attributes
    ----------
    path
        The file.
    image
        The nibabel image, in memory.
    sha256
        Of the file as it lies on disk.
    content_sha256
        Of what is in it: differs for a compressed file only.
    size
        Bytes on disk.
    content
        The uncompressed file.
    """

    path: Path
    image: Any
    sha256: str
    content_sha256: str
    size: int
    content: bytes = field(repr=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array in the file, without axes of length 1 after the third."""
        shape = tuple(int(n) for n in self.image.shape)
        return shape[:3] if set(shape[3:]) <= {1} else shape

    @cached_property
    def geometry(self) -> Geometry:
        """Where the volume lies; only for volumes of three axes."""
        i, j, k = self.shape
        return Geometry((i, j, k), np.asarray(self.image.affine, dtype=np.float64))

    @property
    def has_orientation(self) -> bool:
        """Whether the header says how the axes run; without it, nibabel assumes something."""
        return bool(self.image.header["qform_code"] > 0 or self.image.header["sform_code"] > 0)

    @property
    def scaling(self) -> tuple[float, float]:
        """Slope and intercept: what is stored, times the one, plus the other, is what is meant."""
        return float(self.image.dataobj.slope), float(self.image.dataobj.inter)

    def stored(self) -> NDArray[Any]:
        """Return the numbers as they are stored, in display order (slice, row, column), as a view on the file's order.

        Raises
        ------
        UnreadableVolumeError
            The file ends before its data do, or its voxels are no plain numbers.
        """
        kind = self.image.get_data_dtype()
        if kind.kind not in "iuf":
            raise UnreadableVolumeError(self.path, "file_damaged", f"voxels of type {kind}")
        proxy = self.image.dataobj
        expected = proxy.offset + kind.itemsize * math.prod(self.shape)
        if len(self.content) < expected:
            raise UnreadableVolumeError(
                self.path, "file_truncated", f"data that end at byte {len(self.content)} of {expected}"
            )
        # The bytes as they were read, without the copies that a file object would need
        data = np.ndarray(self.shape, kind, self.content, proxy.offset, order="F")
        return to_display(data, self.geometry)

    def values(self) -> NDArray[np.float32]:
        """Return the scaled values as float32 in display order (slice, row, column).

        Raises
        ------
        UnreadableVolumeError
            As for :meth:`stored`.
        """
        slope, intercept = self.scaling
        values = self.stored().astype(np.float32, order="C")
        if (slope, intercept) != (1.0, 0.0):
            values *= np.float32(slope)
            values += np.float32(intercept)
        return values


def read(path: str | Path) -> Volume:
    """Read a ``.nii`` or ``.nii.gz`` file in one pass, hash and content.

    Raises
    ------
    UnreadableVolumeError
        The file is absent, forbidden, empty, cut off or no NIfTI file.
    """
    path = Path(path)
    content = _bytes(path)
    digest = content_digest = hashlib.sha256(content).hexdigest()
    size = len(content)
    if content.startswith(_GZIP):
        content = _decompressed(path, content)
        content_digest = hashlib.sha256(content).hexdigest()
    try:
        image = _kind(content).from_stream(io.BytesIO(content))
    except (ImageFileError, HeaderDataError, WrapStructError, OSError, EOFError, ValueError) as error:
        told = " ".join(str(error).split())
        raise UnreadableVolumeError(
            path, "file_damaged", f"{len(content)} bytes that are no NIfTI file ({told})"
        ) from None
    return Volume(path, image, digest, content_digest, size, content)


def _kind(content: bytes) -> Any:
    """Tell NIfTI-2 from NIfTI-1 by the length of its header, in either byte order."""
    return nib.Nifti2Image if 540 in (int.from_bytes(content[:4], order) for order in _ORDERS) else nib.Nifti1Image


def _bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        led = f"a symbolic link to '{path.readlink()}', which is not there" if path.is_symlink() else "no such file"
        raise UnreadableVolumeError(path, "file_missing", led) from None
    except PermissionError:
        raise UnreadableVolumeError(path, "file_forbidden", "a file that may not be read") from None
    except OSError as error:
        raise UnreadableVolumeError(path, "file_damaged", f"a file that cannot be read ({error.strerror})") from None
    if not content:
        raise UnreadableVolumeError(path, "file_empty", "no bytes")
    return content


def _decompressed(path: Path, content: bytes) -> bytes:
    try:
        return gzip.decompress(content)
    except EOFError:
        raise UnreadableVolumeError(path, "file_truncated", "a gzip stream that ends too early") from None
    except (OSError, zlib.error) as error:
        raise UnreadableVolumeError(path, "file_damaged", f"no whole gzip stream ({error})") from None


def to_display(data: NDArray[Any], geometry: Geometry) -> NDArray[Any]:
    """Turn an array of the file's axes into display order (slice, row, column): a view, without a copy."""
    return apply_orientation(data, _turn(geometry)).transpose(2, 1, 0)[:, ::-1]


def _turn(geometry: Geometry) -> NDArray[Any]:
    return ornt_transform(io_orientation(geometry.affine), _CANONICAL)


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
