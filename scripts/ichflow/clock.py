"""How fast a training goes, how long it waits for its batches, and how far it has come."""

import math
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras

from ichflow.batches import Batches

_TELL_EVERY = 60.0  # seconds, within an epoch


class Clock(keras.callbacks.Callback):  # pyright: ignore[reportUntypedBaseClass]
    """Take the time of epochs and steps, and tell how far a long epoch has come.

    Parameters
    ----------
    batches
        Those of training.
    images
        Images of a batch.
    epochs
        How many there are at most, for what is told.
    tell
        Called with each line of progress.

    Attributes
    ----------
    seconds
        Time of all epochs, also of those before an interruption.
    rates
        Images a second of each epoch, without validation.
    waiting
        Share of each epoch's training time for which a step waited for its batch to be made.
    """

    def __init__(self, batches: Batches, images: int, epochs: int, tell: Callable[[str], None]) -> None:
        super().__init__()
        self.seconds = 0.0
        self.rates: list[float] = []
        self.waiting: list[float] = []
        self._batches = batches
        self._images = images
        self._epochs = epochs
        self._tell = tell
        self._epoch = 0
        self._waited = 0.0
        self._began = self._step_began = self._step_ended = self._told = time.monotonic()

    def state(self) -> dict[str, Any]:
        """Return what an interrupted training needs to go on counting, as plain data."""
        return {"seconds": self.seconds, "rates": self.rates, "waiting": self.waiting}

    def go_on(self, state: Mapping[str, Any]) -> None:
        """Go on counting from a state; what else is in it is passed over."""
        self.seconds, self.rates, self.waiting = state["seconds"], state["rates"], state["waiting"]

    @property
    def images_a_second(self) -> float:
        """Median rate over the epochs, without the first one's tracing."""
        return round(statistics.median(self.rates[1:] or self.rates or [0.0]), 1)

    @property
    def waiting_share(self) -> float:
        """Median share of waiting over the epochs, without the first one."""
        return round(statistics.median(self.waiting[1:] or self.waiting or [0.0]), 4)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Take the time."""
        self._epoch = epoch
        self._waited = 0.0
        self._began = self._step_ended = self._told = time.monotonic()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Take the time: JAX has waited for the batch since the last step, TensorFlow waits for it from here on."""
        self._step_began = time.monotonic()
        self._waited += self._step_began - self._step_ended

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Add the time for which the batch was not ready, and tell how far a long epoch has come."""
        # TensorFlow compiles the first step before it asks for a batch
        since = max(self._step_began, self._batches.asked)
        self._waited += max(0.0, self._batches.ready.get(batch, 0.0) - since)
        self._step_ended = time.monotonic()
        if self._step_ended - self._told > _TELL_EVERY:
            self._told = self._step_ended
            took, left = self._step_ended - self._began, len(self._batches) - batch - 1
            self._tell(
                f"epoch {self._epoch + 1}/{self._epochs}: {batch + 1} of {len(self._batches)} steps, "
                f"loss {(logs or {}).get('loss', math.nan):.4f}; {duration(took / (batch + 1) * left)} of it left"
            )

    def on_test_begin(self, logs: Any = None) -> None:
        """Take the rate of training, before validation."""
        took = time.monotonic() - self._began
        self.rates.append(len(self._batches) * self._images / took)
        self.waiting.append(self._waited / took)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Add the epoch's time, validation included."""
        self.seconds += time.monotonic() - self._began

    def told(self) -> str:
        """Return the last epoch's rate and waiting, and how long all further epochs would take."""
        left = self.seconds / len(self.rates) * (self._epochs - len(self.rates))
        return f"{self.rates[-1]:.1f} images/s, {self.waiting[-1]:.1%} waiting for data, at most {duration(left)} left"


def duration(seconds: float) -> str:
    """Return a time in words, to the two largest units."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours} h {rest // 60} min" if hours else f"{rest // 60} min {rest % 60} s" if rest >= 60 else f"{rest} s"
