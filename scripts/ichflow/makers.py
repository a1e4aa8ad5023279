"""Slices to batches, made in this process or in one beside it."""

import json
import mmap
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ichflow.augment import UNSHADED, Augmenter
from ichflow.errors import IchflowError
from ichflow.recipes import Recipe
from ichflow.slices import Slices

Arrays = tuple[NDArray[np.int16], NDArray[np.float32], NDArray[np.uint8]]
"""A batch: Hounsfield units of each slice with its neighbors, int16 (sample, row, column, slice); gain and offset of
its windows, float32 (sample, 2); its mask, uint8 (sample, row, column, 1), 1 where there is hemorrhage."""

_DONE = "done\n"
_KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**30)}
"""Else glibc gives what a sample took back to the system, and takes it anew for the next one: a third of the time."""


def room(recipe: Recipe, count: int, memory: Any = None) -> Arrays:
    """Return arrays for so many samples, in memory that is there already or in new one."""
    plane = (recipe.size, recipe.size)
    parts = [((*plane, recipe.planes), np.int16), ((2,), np.float32), ((*plane, 1), np.uint8)]
    ends = np.cumsum([0, *(count * int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in parts)])
    buffer = np.empty(ends[-1], np.uint8) if memory is None else np.frombuffer(memory, np.uint8)
    arrays = (
        buffer[first:end].view(dtype).reshape(count, *shape)
        for first, end, (shape, dtype) in zip(ends, ends[1:], parts, strict=False)
    )
    return cast(Arrays, tuple(arrays))


class Maker:
    """Makes batches in this process, for one thread: an Albumentations pipeline holds its own random state.

    Parameters
    ----------
    slices
        What they are made of.
    recipe
        How.
    training
        Whether samples are changed at random.
    """

    def __init__(self, slices: Slices, recipe: Recipe, *, training: bool) -> None:
        self._slices = slices
        self._recipe = recipe
        self._augmenter = Augmenter(recipe) if training else None

    def make(self, positions: Sequence[int], epoch: int, first: int) -> Arrays:
        """Make a batch of the slices at some positions, of which the first comes at place ``first`` of the epoch."""
        made = room(self._recipe, len(positions))
        self.fill(made, positions, epoch, first)
        return made

    def fill(self, arrays: Arrays, positions: Sequence[int], epoch: int, first: int) -> None:
        """Make a batch at the beginning of some arrays; epoch and place seed each sample's changes."""
        for place, (position, hu, shade, mask) in enumerate(zip(positions, *arrays, strict=False), first):
            planes, marked = self._slices.planes(position, self._recipe.neighbors), self._slices.mask(position)
            if self._augmenter is None:
                hu[...], shade[...] = np.moveaxis(planes, 0, -1), UNSHADED
            else:
                seed = np.random.SeedSequence([self._recipe.seed, epoch, place]).generate_state(1)[0]
                _, shade[...], marked = self._augmenter(planes, marked, int(seed), hu)
            mask[..., 0] = marked

    def close(self) -> None:
        """Do nothing: the slices are closed by whoever opened them."""


class MakerProcess:
    """Makes batches in a process of its own, since threads take turns in Python: a GPU would wait for them.

    It ends when this process does, whatever ends that, because its input ends then.

    Parameters
    ----------
    slices, recipe
        As for :class:`Maker`; samples are changed at random.
    """

    def __init__(self, slices: Slices, recipe: Recipe) -> None:
        memory = os.memfd_create("batch")
        try:
            os.truncate(memory, sum(part.nbytes for part in room(recipe, recipe.batch_size)))
            self._arrays = room(recipe, recipe.batch_size, mmap.mmap(memory, 0))
            shared = [memory, *(file.fileno() for file in slices.files)]
            own = str(Path(__file__).parents[1])
            paths = os.pathsep.join(filter(None, [own, os.environ.get("PYTHONPATH")]))
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__, *map(str, shared)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=shared,
                env=os.environ | _KEEP_MEMORY | {"PYTHONPATH": paths},
                text=True,
            )
        finally:
            os.close(memory)
        self._send({"recipe": recipe.as_dict(), "slices": np.bincount(slices.owner).tolist()})

    def make(self, positions: Sequence[int], epoch: int, first: int) -> Arrays:
        """Have a batch made, as :meth:`Maker.make` does.

        Raises
        ------
        IchflowError
            The process is no more.
        """
        try:
            self._send([positions, epoch, first])
            answer = self._process.stdout.readline() if self._process.stdout else ""
        except BrokenPipeError:
            answer = ""
        if answer != _DONE:
            raise IchflowError(_told_end(self._process.wait()))
        return cast(Arrays, tuple(part[: len(positions)].copy() for part in self._arrays))

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def _send(self, content: Any) -> None:
        print(json.dumps(content), file=self._process.stdin, flush=True)


def _told_end(status: int) -> str:
    how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    return (
        f"a process that makes batches {how}; if the log does not say why, its memory may not have sufficed: "
        "give the job more (mem_mb of train_fold), or fewer threads"
    )


def _serve(memory: int, *files: int) -> None:
    """Make batches in some shared memory, from slices in open files, as often as a line on standard input says so."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the end of the input decides, which comes after all that is asked
        signal.signal(number, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    about = json.loads(sys.stdin.readline())
    recipe = Recipe(**about["recipe"])
    owner = np.repeat(np.arange(len(about["slices"])), about["slices"])
    hu, mask = (os.fdopen(file, "rb") for file in files)
    maker = Maker(Slices(hu, mask, recipe.size, owner), recipe, training=True)
    arrays = room(recipe, recipe.batch_size, mmap.mmap(memory, 0))
    for line in sys.stdin:
        maker.fill(arrays, *json.loads(line))
        print(_DONE, end="", file=answers, flush=True)


if __name__ == "__main__":
    _serve(*map(int, sys.argv[1:]))
