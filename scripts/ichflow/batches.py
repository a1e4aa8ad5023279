"""Shards to batches, on the fly: slices lie in scratch files on disk, never all in memory."""

import math
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import keras
import numpy as np
from numpy.typing import NDArray

from ichflow import grid, shards, windows
from ichflow.augment import Augmenter
from ichflow.errors import IchflowError
from ichflow.recipes import Recipe

Batch = tuple[NDArray[np.float32], NDArray[np.float32]]


class SliceStore:
    """Slices of some patients at a recipe's size, in scratch files that have no name.

    They are read one by one and not mapped, so that the memory of a training does not grow with its patients.

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
        self._size = size
        # Without a name, so that a kill leaves no patient's slices behind
        self._hu, self._mask = (TemporaryFile(dir=scratch) for _ in range(2))  # noqa: SIM115
        positive: list[NDArray[np.bool_]] = []
        self.sources: dict[str, dict[str, str]] = {}
        for path in paths:
            shard = shards.read(path)
            self.sources[shard.info.patient] = shard.info.sources
            try:
                self._hu.write(grid.resize_hu(shard.hu, size).tobytes())
                self._mask.write(grid.shrink_labels(shard.mask, size).tobytes())
                self._hu.flush()
                self._mask.flush()
            except OSError as error:
                raise IchflowError(
                    f"{scratch}: the decoded slices of {len(paths)} patients cannot be kept there for the training "
                    f"({error.strerror}); make room, or set TMPDIR to a folder with more"
                ) from None
            positive.append(shard.has_hemorrhage)
        self.positive = np.concatenate([np.empty(0, np.bool_), *positive])
        self.owner = np.repeat(np.arange(len(positive)), [len(part) for part in positive])

    def close(self) -> None:
        """Give the room on the disk back."""
        self._hu.close()
        self._mask.close()

    def planes(self, position: int, neighbors: int) -> NDArray[np.int16]:
        """Return Hounsfield units of a slice with its neighbors of the same patient, int16 (slice, size, size)."""
        first, end = (int(edge) for edge in np.searchsorted(self.owner, self.owner[position] + np.array([0, 1])))
        wanted = first + windows.neighborhood(end - first, position - first, neighbors)
        return self._read(self._hu, np.int16, wanted[0], wanted[-1] + 1)[wanted - wanted[0]]

    def mask(self, position: int) -> NDArray[np.uint8]:
        """Return the mask of a slice, uint8 (size, size), 1 where there is hemorrhage of any kind."""
        labels = self._read(self._mask, np.uint8, position, position + 1)[0]
        return (labels > 0).astype(np.uint8)

    def _read(self, file: IO[bytes], dtype: Any, first: int, end: int) -> NDArray[Any]:
        plane = self._size**2 * np.dtype(dtype).itemsize
        content = os.pread(file.fileno(), int(end - first) * plane, int(first) * plane)
        return np.frombuffer(content, dtype).reshape(-1, self._size, self._size)


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
    # Mixed, since several devices each take a part of a batch
    return random.permuted(np.concatenate(chosen, axis=1), axis=1).ravel()


def _by_patient(store: SliceStore, count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Draw slices with hemorrhage, taking their patients in turn."""
    positive = np.flatnonzero(store.positive)
    _, first, slices = np.unique(store.owner[positive], return_index=True, return_counts=True)
    patients = _repeated(np.arange(len(first)), count, random)
    return positive[first[patients] + random.integers(slices[patients])]


def _repeated(indices: NDArray[np.int64], count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Repeat indices in ever new order."""
    rounds = [random.permutation(indices) for _ in range(math.ceil(count / len(indices)))]
    return np.concatenate([indices[:0], *rounds])[:count]


class Batches(keras.utils.PyDataset):  # pyright: ignore[reportUntypedBaseClass]
    """Batches for Keras: images float32 (batch, size, size, channels) in 0…1, masks float32 (batch, size, size, 1).

    Threads make the next batches ahead; Keras's own would mix leftovers of one epoch into the next. Each sample's
    changes are seeded by epoch and place, so that a run repeats whatever the number of workers.

    Attributes
    ----------
    store
        Where the slices lie.
    ready
        When each batch of the epoch was handed over, by :func:`time.monotonic`.
    """

    def __init__(
        self, store: SliceStore, recipe: Recipe, *, training: bool, workers: int = 1, devices: int = 1
    ) -> None:
        """Take a store; only training shuffles, balances and augments.

        Where several ``devices`` share a batch, slices of the beginning follow the last one until their number is a
        multiple of the devices, so that the last batch leaves none of them without.
        """
        super().__init__()
        self._devices = devices
        self.store = store
        self._recipe = recipe
        self._training = training
        self._local = threading.local()  # an Albumentations pipeline holds its own random state
        self._ahead = 2 * workers
        self._pool = ThreadPoolExecutor(workers)
        self.begin_at(0)

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return math.ceil(len(self._order) / self._recipe.batch_size)

    def __getitem__(self, index: int) -> Batch:
        """Return one batch, and have the next ones made; one thread may ask, best for one batch after another."""
        if index != self._next:
            self._stream = self.stream(index)
        self._next = index + 1
        return next(self._stream)

    def stream(self, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of the epoch that was begun last, from ``first`` on; several may do so side by side."""
        order, epoch, ready = self._order, self._epoch, self.ready
        wanted = range(first, len(self))
        made = (self._pool.submit(self._batch, order, epoch, index) for index in wanted)
        ahead = deque(islice(made, self._ahead))
        try:
            for index in wanted:
                batch = ahead.popleft().result()
                ahead.extend(islice(made, 1))
                ready[index] = time.monotonic()
                yield batch
        finally:
            for future in ahead:
                future.cancel()

    def begin_at(self, epoch: int) -> None:
        """Choose the slices of an epoch, counted from 0; without this call the last epoch comes again."""
        self._epoch = epoch
        self._order = self._new_order()
        self.ready: dict[int, float] = {}
        self._next = -1  # whatever was made is of another epoch

    def feed(self) -> Any:
        """Return what Keras fits on: for TensorFlow a dataset that does not tune itself, else these batches.

        Between two epochs Keras waits for the end of that tuning, for seconds on a busy machine, and has nothing of it.
        """
        if keras.backend.backend() != "tensorflow":
            return self
        import tensorflow as tf

        shape = (None, self._recipe.size, self._recipe.size)
        kinds = tuple(tf.TensorSpec((*shape, last), tf.float32) for last in (self._recipe.channels, 1))
        made = tf.data.Dataset.from_generator(self.stream, output_signature=kinds)
        options = tf.data.Options()
        options.autotune.enabled = False
        counted = made.apply(tf.data.experimental.assert_cardinality(len(self)))
        return counted.prefetch(2).with_options(options)

    def close(self) -> None:
        """End the threads, and give the room on the disk back."""
        self._pool.shutdown(cancel_futures=True)
        self.store.close()

    def _new_order(self) -> NDArray[np.int64]:
        if self._training:
            order = epoch_order(self.store, self._recipe, self._epoch)
        else:
            order = np.arange(len(self.store.positive))
        return np.resize(order, math.ceil(len(order) / self._devices) * self._devices)

    def _batch(self, order: NDArray[np.int64], epoch: int, index: int) -> Batch:
        first, size = index * self._recipe.batch_size, self._recipe.size
        places = range(first, min(first + self._recipe.batch_size, len(order)))
        images = np.empty((len(places), size, size, self._recipe.channels), np.float32)
        masks = np.empty((len(places), size, size, 1), np.float32)
        for image, mask, place in zip(images, masks, places, strict=True):
            mask[..., 0] = self._sample(int(order[place]), epoch, place, image)
        return images, masks

    def _sample(self, position: int, epoch: int, place: int, image: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Fill in an image and return its mask."""
        planes, mask = self.store.planes(position, self._recipe.neighbors), self.store.mask(position)
        if not self._training:
            windows.network_input(planes, self._recipe.windows, image)
            return mask
        seed = np.random.SeedSequence([self._recipe.seed, epoch, place]).generate_state(1)[0]
        return self._augmenter()(planes, mask, int(seed), image)[1]

    def _augmenter(self) -> Any:
        if not hasattr(self._local, "augmenter"):
            self._local.augmenter = Augmenter(self._recipe)
        return self._local.augmenter
