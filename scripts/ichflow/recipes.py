"""A recipe: everything that makes one model, read from the config and carried inside the exported file."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

log = logging.getLogger(__name__)

NULL, THRESHOLD = BASELINES = ("null", "threshold")
"""Models without weights, which no recipe may be called: they stand beside every trained one."""

STUDY_THRESHOLD = 0.7
"""The probability from which a pixel counted as hemorrhage in the original study."""

VALIDATION = "validation"
"""The threshold that is chosen on the validation patients."""

LAST = "last"
"""The ``monitor`` that keeps the last epoch, whatever validation says of the others."""

COSINE = "cosine"
"""The ``schedule`` that follows half a cosine to the last epoch."""

GONE = ("test_flip",)
"""Keys that recipes had once, and that files made then still carry."""

BASE = "base"
"""The variant of an ablation that changes nothing."""


@dataclass(frozen=True)
class Recipe:
    """The keys of a recipe; meaning, units and defaults stand in ``config/README.md``.

    Defaults are filled in by the config's schema, so there are none here.
    """

    size: int
    windows: list[str]
    neighbors: int
    filters: int
    levels: int
    dropout: float
    normalization: str
    residual: bool
    head: str
    loss: str
    batch_size: int
    positive_share: float | None
    learning_rate: float
    schedule: str
    warmup: int
    weight_average: float
    precision: str
    monitor: str
    halve_after: int
    stop_after: int
    epochs: int
    flip: float
    affine: float
    brightness_contrast: float
    elastic: float
    threshold: float | str
    seed: int

    @property
    def training_threshold(self) -> float:
        """The threshold of the Dice that is told while a network is trained."""
        return 0.5 if isinstance(self.threshold, str) else self.threshold

    @property
    def planes(self) -> int:
        """The slices that a network sees at a time: one with its neighbors."""
        return 2 * self.neighbors + 1

    @property
    def channels(self) -> int:
        """What the network sees of them: each window of each."""
        return len(self.windows) * self.planes

    @classmethod
    def of_config(cls, keys: Mapping[str, Any]) -> "Recipe":
        """Take the keys of a recipe in a config, which may name a ``file`` beside them."""
        return cls(**{key: value for key, value in keys.items() if key != "file"})

    @classmethod
    def of_file(cls, keys: Mapping[str, Any]) -> "Recipe":
        """Read the recipe that an exported file carries, which may have keys that recipes had once."""
        if keys.get("test_flip"):
            log.warning("the model was made with 'test_flip', which is no more: its flips at prediction are left out")
        return cls(**{key: value for key, value in keys.items() if key not in GONE})

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """Read a recipe from JSON."""
        return cls(**json.loads(text))

    def as_dict(self) -> dict[str, Any]:
        """Return the keys as plain data."""
        return asdict(self)


def positives(share: float | None, batch_size: int) -> int | None:
    """Return how many slices of a batch have a hemorrhage at a ``positive_share``, None if they come as they are."""
    return None if share is None else round(share * batch_size)


def in_words(value: Any) -> str:
    """Return the value of a key in the words of the config."""
    return value if isinstance(value, str) else json.dumps(value)


def variants(choices: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, Any]]:
    """Return which keys of a recipe each variant changes, the recipe itself first.

    Parameters
    ----------
    choices
        Key of a recipe to the other values that are tried.
    """
    changed = {f"{key}-{place}": {key: value} for key, tried in choices.items() for place, value in enumerate(tried, 1)}
    return {BASE: {}, **changed}
