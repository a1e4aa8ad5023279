"""Batches for Keras, made on the fly: which slices each one has, and their way to the backend."""

import math
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from queue import SimpleQueue
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ichflow import makers
from ichflow.errors import IchflowError
from ichflow.makers import Maker, MakerProcess
from ichflow.recipes import Recipe, positives
from ichflow.slices import SliceStore

Batch = tuple[tuple[NDArray[np.int16], NDArray[np.float32]], NDArray[np.uint8]]


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
    share = positives(recipe.positive_share, recipe.batch_size)
    if share is None or not store.positive.any() or not len(without):
        return random.permutation(len(store.positive))
    batches = math.ceil(len(store.positive) / recipe.batch_size)
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
    """Batches for Keras: what a network with windows takes, and masks, see :data:`ichflow.makers.Arrays`.

    Threads make the next batches ahead; Keras's own would mix leftovers of one epoch into the next. Each sample's
    changes are seeded by epoch and place, so that a run repeats whatever the number of workers.

    Attributes
    ----------
    store
        Where the slices lie.
    asked
        When the first batch of the epoch was asked for, by :func:`time.monotonic`.
    ready
        When each batch of the epoch was handed over, by the same clock.
    failure
        Why no more batches can be made, as TensorFlow tells only that some Python failed.
    """

    def __init__(
        self,
        store: SliceStore,
        recipe: Recipe,
        *,
        training: bool,
        workers: int = 1,
        devices: int = 1,
        processes: bool = False,
    ) -> None:
        """Take a store; only training shuffles, balances and augments, and can do so in ``processes`` of its own.

        Where several ``devices`` share a batch, slices of the beginning follow the last one until their number is a
        multiple of the devices, so that the last batch leaves none of them without.
        """
        super().__init__()
        self._devices = devices
        self.store = store
        self.failure: IchflowError | None = None
        self._recipe = recipe
        self._training = training
        self._makers: SimpleQueue[Maker | MakerProcess] = SimpleQueue()
        for _ in range(workers):
            self._makers.put(MakerProcess(store, recipe) if processes else Maker(store, recipe, training=training))
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
        self.asked = time.monotonic()
        wanted = range(first, len(self))
        made = (self._pool.submit(self._batch, order, epoch, index) for index in wanted)
        ahead = deque(islice(made, self._ahead))
        try:
            for index in wanted:
                batch = self._made(ahead.popleft())
                ahead.extend(islice(made, 1))
                ready[index] = time.monotonic()
                yield batch
        finally:
            for future in ahead:
                future.cancel()

    def _made(self, future: Future[Batch]) -> Batch:
        try:
            return future.result()
        except IchflowError as error:
            self.failure = error
            raise

    def begin_at(self, epoch: int) -> None:
        """Choose the slices of an epoch, counted from 0; without this call the last epoch comes again."""
        self._epoch = epoch
        self._order = self._new_order()
        self.ready: dict[int, float] = {}
        self.asked = 0.0
        self._next = -1  # whatever was made is of another epoch

    def feed(self) -> Any:
        """Return what Keras fits on: for TensorFlow a dataset that does not tune itself, else these batches.

        Between two epochs Keras waits for the end of that tuning, for seconds on a busy machine, and has nothing of it.
        """
        if keras.backend.backend() != "tensorflow":
            return self
        import tensorflow as tf

        hu, shade, mask = (tf.TensorSpec((None, *part.shape[1:]), part.dtype) for part in makers.room(self._recipe, 1))
        made = tf.data.Dataset.from_generator(self.stream, output_signature=((hu, shade), mask))
        options = tf.data.Options()
        options.autotune.enabled = False
        counted = made.apply(tf.data.experimental.assert_cardinality(len(self)))
        return counted.prefetch(2).with_options(options)

    def close(self) -> None:
        """End threads and processes, and give the room on the disk back."""
        self._pool.shutdown(cancel_futures=True)
        while not self._makers.empty():
            self._makers.get().close()
        self.store.close()

    def _new_order(self) -> NDArray[np.int64]:
        if self._training:
            order = epoch_order(self.store, self._recipe, self._epoch)
        else:
            order = np.arange(len(self.store.positive))
        return np.resize(order, math.ceil(len(order) / self._devices) * self._devices)

    def _batch(self, order: NDArray[np.int64], epoch: int, index: int) -> Batch:
        first = index * self._recipe.batch_size
        maker = self._makers.get()
        try:
            hu, shade, mask = maker.make(order[first : first + self._recipe.batch_size].tolist(), epoch, first)
        finally:
            self._makers.put(maker)
        return (hu, shade), mask
