"""Slices of many patients on disk, to be read one by one: never all in memory."""

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ichflow import grid, shards, windows
from ichflow.errors import IchflowError


class Slices:
    """Slices and their masks in two open files, slice after slice.

    They are read one by one and not mapped, so that the memory of a training does not grow with its patients.

    Parameters
    ----------
    hu, mask
        Files of Hounsfield units, int16, and of label maps, uint8.
    size
        Rows and columns of each slice.
    owner
        int64 (slice,), which shard the slice is from, in order.
    """

    def __init__(self, hu: IO[bytes], mask: IO[bytes], size: int, owner: NDArray[np.int64]) -> None:
        self.files = hu, mask
        self.owner = owner
        self._size = size

    def close(self) -> None:
        """Close the files; those without a name give their room on the disk back."""
        for file in self.files:
            file.close()

    def planes(self, position: int, neighbors: int) -> NDArray[np.int16]:
        """Return Hounsfield units of a slice with its neighbors of the same patient, int16 (slice, size, size)."""
        first, end = (int(edge) for edge in np.searchsorted(self.owner, self.owner[position] + np.array([0, 1])))
        wanted = first + windows.neighborhood(end - first, position - first, neighbors)
        return self._read(self.files[0], np.int16, wanted[0], wanted[-1] + 1)[wanted - wanted[0]]

    def mask(self, position: int) -> NDArray[np.uint8]:
        """Return the mask of a slice, uint8 (size, size), 1 where there is hemorrhage of any kind."""
        labels = self._read(self.files[1], np.uint8, position, position + 1)[0]
        return (labels > 0).astype(np.uint8)

    def _read(self, file: IO[bytes], dtype: Any, first: int, end: int) -> NDArray[Any]:
        plane = self._size**2 * np.dtype(dtype).itemsize
        content = os.pread(file.fileno(), int(end - first) * plane, int(first) * plane)
        return np.frombuffer(content, dtype).reshape(-1, self._size, self._size)


class SliceStore(Slices):
    """Slices of some patients at a recipe's size, in scratch files that have no name.

    Parameters
    ----------
    paths
        Shards, of which one at a time is in memory; those without rows add nothing.
    size
        Rows and columns to bring the slices to.
    scratch
        An existing folder on a disk with room for them.

    Attributes
    ----------
    positive
        bool (slice,), whether the slice has a hemorrhage.
    owner
        int64 (slice,), which shard the slice is from.
    sources
        Patient to SHA-256 of the files that the shard was made from, by role.

    Raises
    ------
    IchflowError
        There is no room in the scratch folder.
    """

    def __init__(self, paths: Sequence[str | Path], size: int, scratch: str | Path) -> None:
        # Without a name, so that a kill leaves no patient's slices behind
        hu, mask = (TemporaryFile(dir=scratch) for _ in range(2))  # noqa: SIM115
        positive: list[NDArray[np.bool_]] = []
        self.sources: dict[str, dict[str, str]] = {}
        for path in paths:
            shard = shards.read(path)
            self.sources[shard.info.patient] = shard.info.sources
            try:
                hu.write(grid.resize_hu(shard.hu, size).tobytes())
                mask.write(grid.shrink_labels(shard.mask, size).tobytes())
                hu.flush()
                mask.flush()
            except OSError as error:
                raise IchflowError(
                    f"{scratch}: the decoded slices of {len(paths)} patients cannot be kept there for the training "
                    f"({error.strerror}); make room, or set TMPDIR to a folder with more"
                ) from None
            positive.append(shard.has_hemorrhage)
        self.positive = np.concatenate([np.empty(0, np.bool_), *positive])
        super().__init__(hu, mask, size, np.repeat(np.arange(len(positive)), [len(part) for part in positive]))
