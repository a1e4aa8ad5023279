"""Shards to batches, on the fly: slices lie in a scratch file on disk, never all in memory."""

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ichflow import grid, shards, windows
from ichflow.augment import Augmenter
from ichflow.recipes import Recipe


@dataclass(frozen=True)
class SliceStore:
    """Slices of some patients at a recipe's size, memory-mapped from a scratch folder.

    Attributes
    ----------
    hu
        int16 (slice, size, size), Hounsfield units.
    mask
        uint8 (slice, size, size).
    positive
        bool (slice,), whether the slice has a hemorrhage.
    owner
        int64 (slice,), which shard the slice is from.
    """

    hu: NDArray[np.int16]
    mask: NDArray[np.uint8]
    positive: NDArray[np.bool_]
    owner: NDArray[np.int64]

    def slices_of(self, owner: int) -> slice:
        """Return where the slices of one shard lie."""
        return slice(*(int(end) for end in np.searchsorted(self.owner, [owner, owner + 1])))

    @classmethod
    def build(cls, paths: Sequence[str | Path], size: int, scratch: str | Path) -> "SliceStore":
        """Copy the slices of all shards into ``scratch``, one shard in memory at a time.

        Parameters
        ----------
        paths
            Shards; those without rows add nothing.
        size
            Rows and columns to bring the slices to.
        scratch
            An existing folder on a disk with room for them; when this returns, no name in it is left of them.
        """
        positive: list[NDArray[np.bool_]] = []
        hu_path, mask_path = Path(scratch) / "hu.int16", Path(scratch) / "mask.uint8"
        with hu_path.open("wb") as hu_file, mask_path.open("wb") as mask_file:
            for path in paths:
                shard = shards.read(path)
                hu_file.write(np.rint(grid.resize_area(shard.hu, size)).astype(np.int16).tobytes())
                mask_file.write(grid.shrink_labels(shard.mask, size).tobytes())
                positive.append(shard.has_hemorrhage)
        flags = np.concatenate([np.empty(0, np.bool_), *positive])
        owner = np.repeat(np.arange(len(positive)), [len(part) for part in positive])
        shape = (len(flags), size, size)
        if not len(flags):
            return cls(np.empty(shape, np.int16), np.empty(shape, np.uint8), flags, owner)
        hu, mask = np.memmap(hu_path, np.int16, "r", shape=shape), np.memmap(mask_path, np.uint8, "r", shape=shape)
        # What is open stays until it is closed, so that a kill leaves no patient's slices behind
        hu_path.unlink()
        mask_path.unlink()
        return cls(hu, mask, flags, owner)


def epoch_order(store: SliceStore, recipe: Recipe, epoch: int) -> NDArray[np.int64]:
    """Choose the slices of one training epoch: as many as there are, in an order that seed and epoch decide.

    With a ``positive_share`` each batch holds that share of slices with hemorrhage, drawn so that each patient with
    hemorrhage comes equally often, however many slices its bleed has; the others come in turn. Without one, each slice
    comes once.

    Parameters
    ----------
    store
        The slices.
    recipe
        Its seed, batch size and share are used.
    epoch
        0-based.

    Returns
    -------
    ndarray
        int64 (slices of the epoch,), indices of slices.
    """
    random = np.random.default_rng([recipe.seed, epoch])
    without = np.flatnonzero(~store.positive)
    if recipe.positive_share is None or not store.positive.any() or not len(without):
        return random.permutation(len(store.positive))
    batches = math.ceil(len(store.positive) / recipe.batch_size)
    share = round(recipe.positive_share * recipe.batch_size)
    chosen = [
        _by_patient(store, batches * share, random).reshape(batches, share),
        _repeated(without, batches * (recipe.batch_size - share), random).reshape(batches, -1),
    ]
    return np.concatenate(chosen, axis=1).ravel()


def _by_patient(store: SliceStore, count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Draw slices with hemorrhage, taking their patients in turn."""
    slices = {owner: np.flatnonzero(store.positive & (store.owner == owner)) for owner in store.owner[store.positive]}
    patients = _repeated(np.array(list(slices), dtype=np.int64), count, random)
    return np.array([random.choice(slices[patient]) for patient in patients], dtype=np.int64)


def _repeated(indices: NDArray[np.int64], count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Repeat indices in ever new order."""
    rounds = [random.permutation(indices) for _ in range(math.ceil(count / len(indices)))]
    return np.concatenate([indices[:0], *rounds])[:count]


class Batches(keras.utils.PyDataset):  # pyright: ignore[reportUntypedBaseClass]
    """Batches for Keras: images float32 (batch, size, size, channels) in 0…1, masks float32 (batch, size, size, 1).

    Each sample's changes are seeded by epoch and place, so that a run repeats whatever the number of workers.
    """

    def __init__(self, store: SliceStore, recipe: Recipe, *, training: bool, workers: int = 1) -> None:
        """Take a store; only training shuffles, balances and augments."""
        super().__init__(workers=workers, use_multiprocessing=False, max_queue_size=4 * workers)
        self._store = store
        self._recipe = recipe
        self._training = training
        self._epoch = 0
        self._local = threading.local()  # an Albumentations pipeline holds its own random state
        self._order = self._new_order()

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return math.ceil(len(self._order) / self._recipe.batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Make one batch."""
        first = index * self._recipe.batch_size
        places = range(first, min(first + self._recipe.batch_size, len(self._order)))
        samples = [self._sample(place) for place in places]
        images, masks = zip(*samples, strict=True)
        return np.stack(images), np.stack(masks)[..., None].astype(np.float32)

    def begin_at(self, epoch: int) -> None:
        """Choose the slices of an epoch, counted from 0, so that a training can go on there."""
        self._epoch = epoch
        self._order = self._new_order()

    def on_epoch_end(self) -> None:
        """Choose the slices of the next epoch."""
        self._epoch += 1
        self._order = self._new_order()

    def _new_order(self) -> NDArray[np.int64]:
        if not self._training:
            return np.arange(len(self._store.positive))
        return epoch_order(self._store, self._recipe, self._epoch)

    def _sample(self, place: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        position = self._order[place]
        own = self._store.slices_of(int(self._store.owner[position]))
        image = windows.with_neighbors(
            self._store.hu[own], position - own.start, self._recipe.windows, self._recipe.neighbors
        )
        mask = np.array(self._store.mask[position] > 0, dtype=np.uint8)
        if not self._training:
            return image, mask
        seed = np.random.SeedSequence([self._recipe.seed, self._epoch, place]).generate_state(1)[0]
        return self._augmenter()(image, mask, int(seed))

    def _augmenter(self) -> Any:
        if not hasattr(self._local, "augmenter"):
            self._local.augmenter = Augmenter(self._recipe)
        return self._local.augmenter
