"""Random changes to a slice and its mask together, by Albumentations.

Buslaev et al., "Albumentations", Information 2020, https://doi.org/10.3390/info11020125.
"""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ichflow.recipes import Recipe

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # no look-up over the network at import

import albumentations as albu


class Augmenter:
    """The augmentation of a recipe: flip, rotation with scale and shift, brightness and contrast, elastic."""

    def __init__(self, recipe: Recipe) -> None:
        """Take the probabilities of a recipe; a probability of 0 leaves a change out."""
        size = recipe.size
        self._compose = albu.Compose(
            [
                albu.HorizontalFlip(p=recipe.flip),
                # Heads lie turned by 15° and more, and fill more or less of the field of view
                albu.Affine(scale=(0.85, 1.15), rotate=(-20, 20), translate_percent=(-0.06, 0.06), p=recipe.affine),
                albu.RandomBrightnessContrast(
                    brightness_limit=0.1, contrast_limit=0.1, brightness_by_max=True, p=recipe.brightness_contrast
                ),
                # Shifts of about a hundredth of the slice on average, smooth over a tenth of it
                albu.ElasticTransform(alpha=size**2 / 130, sigma=size / 20, border_mode=0, p=recipe.elastic),
            ]
        )

    def __call__(
        self, image: NDArray[np.float32], mask: NDArray[np.uint8], seed: int
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Change one slice.

        Parameters
        ----------
        image
            float32 (row, column, channel) in 0…1.
        mask
            uint8 (row, column).
        seed
            Equal seeds give equal changes.

        Returns
        -------
        tuple
            Image and mask of the same shapes and types; both were moved alike.
        """
        self._compose.set_random_seed(seed)
        changed: dict[str, Any] = self._compose(image=image, mask=mask)
        return np.clip(changed["image"], 0.0, 1.0), changed["mask"]
