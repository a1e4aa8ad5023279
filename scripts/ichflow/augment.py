"""Random changes to a slice, its neighbors and its mask together, by Albumentations.

Buslaev et al., "Albumentations", Information 2020, https://doi.org/10.3390/info11020125.
"""

import os
import random
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ichflow.recipes import Recipe

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # no look-up over the network at import

import albumentations as albu

cv2.setNumThreads(1)  # batches are made by several threads as it is

AIR_HU = -1000.0
UNSHADED = 1.0, 0.0
"""Gain and offset of windows that are left as they are."""

_LARGEST = 4.4  # of as many normal numbers as 256 × 256 pixels have shifts; Albumentations divides by it
Floats = NDArray[np.float32]


class Elastic(albu.ElasticTransform):
    """Albumentations' elastic deformation, sooner drawn.

    Its shifts are smooth over ``sigma`` pixels, so that some drawn on a coarser grid and enlarged are of the same kind:
    normal, of the same width and the same strength.
    """

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw the column and the row from which each pixel comes, float32 (row, column) each."""
        rows, columns = params["shape"][:2]
        step = max(int(self.sigma / 3), 1)
        noise = self.random_generator.standard_normal((2, -(-rows // step), -(-columns // step)), np.float32)
        # The mean of so many fewer numbers varies by so much more
        noise *= np.float32(self.alpha / _LARGEST / step)
        smooth = [cv2.GaussianBlur(one, (0, 0), self.sigma / step, borderType=cv2.BORDER_REPLICATE) for one in noise]
        across, down = (cv2.resize(one, (columns, rows), interpolation=cv2.INTER_CUBIC) for one in smooth)
        across += np.arange(columns, dtype=np.float32)
        down += np.arange(rows, dtype=np.float32)[:, None]
        return {"map_x": across, "map_y": down}

    def apply(self, img: NDArray[Any], map_x: Floats, map_y: Floats, **params: Any) -> NDArray[Any]:
        """Move (row, column, plane)."""
        # OpenCV moves four planes at a time
        parts = [img[..., first : first + 4] for first in range(0, img.shape[-1], 4)]
        moved = [cv2.remap(part, map_x, map_y, self.interpolation, borderMode=self.border_mode) for part in parts]
        return moved[0].reshape(img.shape) if len(moved) == 1 else np.dstack(moved)


class Shade(albu.RandomBrightnessContrast):
    """Albumentations' brightness and contrast, drawn here and done by the network that has the windows."""

    def apply(self, img: Floats, alpha: float, beta: float, **params: Any) -> Floats:
        """Return gain and offset, float32 (1, 2), instead of those of no change."""
        return np.array([[alpha, beta]], np.float32)


class Augmenter:
    """The augmentation of a recipe: flip, rotation with scale and shift, elastic, brightness and contrast.

    What moves pixels is done to Hounsfield units, before the windows: that is less to move, here and to a GPU, and a
    pixel between bone and brain becomes what a scanner would make of it.
    """

    def __init__(self, recipe: Recipe) -> None:
        """Take the probabilities of a recipe; a probability of 0 leaves a change out."""
        size = recipe.size
        self._move = albu.Compose(
            [
                albu.HorizontalFlip(p=recipe.flip),
                # Heads lie turned by 15° and more, and fill more or less of the field of view
                albu.Affine(scale=(0.85, 1.15), rotate=(-20, 20), translate_percent=(-0.06, 0.06), p=recipe.affine),
                # Shifts of about a hundredth of the slice on average, smooth over a tenth of it
                Elastic(
                    alpha=size**2 / 130,
                    sigma=max(size / 20, 1),  # Albumentations takes no less
                    border_mode=cv2.BORDER_CONSTANT,
                    p=recipe.elastic,
                ),
            ]
        )
        self._shade = albu.Compose(
            [Shade(brightness_limit=0.1, contrast_limit=0.1, brightness_by_max=True, p=recipe.brightness_contrast)]
        )

    def __call__(
        self, planes: NDArray[np.int16], mask: NDArray[np.uint8], seed: int, out: NDArray[np.int16] | None = None
    ) -> tuple[NDArray[np.int16], Floats, NDArray[np.uint8]]:
        """Change one slice.

        Parameters
        ----------
        planes
            Hounsfield units, int16 (slice, row, column): the slice with its neighbors.
        mask
            uint8 (row, column).
        seed
            Equal seeds give equal changes.
        out
            Where to put the Hounsfield units, if they have a place already.

        Returns
        -------
        hu
            Hounsfield units, int16 (row, column, slice): whole ones, as prediction sees.
        shade
            Gain and offset of what windows make of them, float32 (2,), see :mod:`ichflow.windowing`.
        mask
            Moved as they were.
        """
        # One sequence for all changes: Albumentations' own seeding gives each the same numbers, and what comes half of
        # the time would come with all else that does, and never alone
        state = np.random.default_rng(seed), random.Random(seed)
        self._move.set_random_state(*state)
        self._shade.set_random_state(*state)
        # What comes in from beyond the edges is 0, which has to be air
        above_air = np.subtract(np.moveaxis(planes, 0, -1), np.float32(AIR_HU), dtype=np.float32, order="C")
        moved: dict[str, Any] = self._move(image=above_air, mask=mask)
        shade = self._shade(image=np.array([UNSHADED], np.float32))["image"][0]
        above_air = np.rint(moved["image"], out=moved["image"])
        hu = np.add(above_air, np.float32(AIR_HU), out=out, casting="unsafe")
        return hu.astype(np.int16, copy=False), shade, moved["mask"]
