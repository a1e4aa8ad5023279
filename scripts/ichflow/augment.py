"""Random changes to a slice, its neighbors and its mask together, by Albumentations.

Buslaev et al., "Albumentations", Information 2020, https://doi.org/10.3390/info11020125.
"""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ichflow import windows
from ichflow.recipes import Recipe

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # no look-up over the network at import

import albumentations as albu

AIR_HU = -1000.0


class Augmenter:
    """The augmentation of a recipe: flip, rotation with scale and shift, elastic, brightness and contrast.

    What moves pixels is done to Hounsfield units, before the windows: that is less to move, and a pixel between bone
    and brain becomes what a scanner would make of it.
    """

    def __init__(self, recipe: Recipe) -> None:
        """Take the probabilities of a recipe; a probability of 0 leaves a change out."""
        size = recipe.size
        self._windows = recipe.windows
        self._move = albu.Compose(
            [
                albu.HorizontalFlip(p=recipe.flip),
                # Heads lie turned by 15° and more, and fill more or less of the field of view
                albu.Affine(scale=(0.85, 1.15), rotate=(-20, 20), translate_percent=(-0.06, 0.06), p=recipe.affine),
                # Shifts of about a hundredth of the slice on average, smooth over a tenth of it
                albu.ElasticTransform(alpha=size**2 / 130, sigma=size / 20, border_mode=0, p=recipe.elastic),
            ]
        )
        self._shade = albu.Compose(
            [
                albu.RandomBrightnessContrast(
                    brightness_limit=0.1, contrast_limit=0.1, brightness_by_max=True, p=recipe.brightness_contrast
                )
            ]
        )

    def __call__(
        self, planes: NDArray[Any], mask: NDArray[np.uint8], seed: int
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Change one slice and window it.

        Parameters
        ----------
        planes
            Hounsfield units (slice, row, column): the slice with its neighbors.
        mask
            uint8 (row, column).
        seed
            Equal seeds give equal changes.

        Returns
        -------
        tuple
            What the network sees, float32 (row, column, channel) in 0…1, and the mask; both were moved alike.
        """
        self._move.set_random_seed(seed)
        self._shade.set_random_seed(seed)
        # What comes in from beyond the edges is 0, which has to be air
        above_air = np.ascontiguousarray(np.moveaxis(planes, 0, -1), dtype=np.float32) - AIR_HU
        moved: dict[str, Any] = self._move(image=above_air, mask=mask)
        image = windows.network_input(np.moveaxis(moved["image"], -1, 0) + AIR_HU, self._windows)
        return np.clip(self._shade(image=image)["image"], 0.0, 1.0), moved["mask"]
