"""Which hemorrhages a patient has: subtypes, number, volume, density and height, drawn from published tables.

Volumes and Hounsfield units are those of the connected lesions of CT-ICH in the public-domain tables of the FDA's
synthetic-hemorrhage framework (DIDSR, 2025); how often a subtype occurs is from CT-ICH's own table of patients
(Hssayeni et al. 2020, doi 10.3390/data5010014).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ichflow.dataset import SUBTYPES
from ichflow.phantom.numbers import place

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
MOST_LESIONS = 12
_CHRONIC_HU = (21.0, 6.0)


@dataclass(frozen=True)
class Distribution:
    """How the lesions of one subtype are distributed.

    ``volumes_ml``: at ``QUANTILES``. ``hu``: mean and standard deviation over lesions of their mean. ``lowest_hu``: of
    fresh blood. ``height_mm``: a and b of the extent along z, a·ln(volume in mL) + b. ``more``: mean number beyond the
    first. ``chronic``: share of iso- to hypodense ones.
    """

    volumes_ml: tuple[float, ...]
    hu: tuple[float, float]
    lowest_hu: float
    height_mm: tuple[float, float]
    more: float
    chronic: float


DISTRIBUTIONS = {
    "intraventricular": Distribution(
        (0.20, 0.42, 1.21, 1.84, 2.49, 3.80, 4.1), (39.1, 8.5), 28.0, (6.7, 20.5), 0.6, 0.0
    ),
    "intraparenchymal": Distribution(
        (0.06, 0.09, 0.25, 0.49, 2.27, 5.84, 52.9), (46.9, 6.8), 38.0, (6.9, 17.3), 0.31, 0.02
    ),
    "subarachnoid": Distribution((0.08, 0.20, 0.59, 1.20, 1.97, 4.28, 6.5), (46.7, 6.1), 38.0, (5.4, 13.0), 1.7, 0.0),
    "epidural": Distribution((0.15, 0.31, 1.28, 4.21, 8.33, 58.9, 110.7), (59.7, 14.4), 42.0, (10.2, 19.1), 0.33, 0.02),
    "subdural": Distribution((1.2, 1.7, 3.9, 15.1, 29.3, 38.6, 40.9), (52.8, 8.1), 40.0, (10.4, 24.5), 0.0, 0.2),
}

# The subtypes of 36 bleeding patients, as often as CT-ICH's 36 have them (21 E, 16 P, 7 A, 5 V, 4 D), arranged so that
# few patients already have all five.
_MIXTURES = (
    *("E", "P", "EA", "PD", "V", "E", "EP", "PA", "E", "P", "E", "ED"),
    *("PV", "E", "P", "EA", "EP", "P", "V", "E", "D", "EP", "A", "E"),
    *("P", "EV", "E", "PA", "E", "EPD", "P", "EA", "PV", "E", "EP", "EA"),
)
_LETTERS = {"V": "intraventricular", "P": "intraparenchymal", "A": "subarachnoid", "E": "epidural", "D": "subdural"}


@dataclass(frozen=True)
class Lesion:
    """One hemorrhage as it was drawn; ``volume_ml`` is what an annotator marks, ``height_mm`` its extent along z."""

    subtype: str
    volume_ml: float
    hu: float
    height_mm: float
    chronic: bool = False


def draw_subtypes(patient: str) -> list[str]:
    """Return the subtypes of a bleeding patient, in the order of ``dataset.SUBTYPES``.

    They are given by the patient's place in the list alone, so that they do not depend on how many others bleed, and so
    that every 72 patients, of which every second bleeds, have each subtype as often as CT-ICH has.
    """
    mixture = _MIXTURES[place(patient) // 2 % len(_MIXTURES)]
    chosen = {_LETTERS[letter] for letter in mixture}
    return [subtype for subtype in SUBTYPES if subtype in chosen]


def draw_lesions(rng: np.random.Generator, subtypes: Sequence[str]) -> list[Lesion]:
    """Draw one lesion or more of each subtype, at most ``MOST_LESIONS`` in all; the largest first.

    The lesions of a patient share out the ranks of their volumes among each other: of two, one is in the upper half of
    its subtype and one in the lower. So whoever has several has a large one with satellites, as patients' totals in
    CT-ICH tell, while every subtype keeps its distribution of volumes.
    """
    each = [subtype for subtype in subtypes for _ in range(1 + int(rng.poisson(DISTRIBUTIONS[subtype].more)))]
    ranks = (rng.permutation(len(each)) + rng.random(len(each))) / max(len(each), 1)
    drawn = [_draw_lesion(rng, subtype, float(rank)) for subtype, rank in zip(each, ranks, strict=True)]
    return sorted(drawn, key=lambda lesion: -lesion.volume_ml)[:MOST_LESIONS]


def volume_at(rank: float, subtype: str) -> float:
    """Return the volume (mL) below which a share ``rank`` of a subtype's lesions lies; logarithms are interpolated."""
    logarithms = np.log(DISTRIBUTIONS[subtype].volumes_ml)
    return float(np.exp(np.interp(rank, QUANTILES, logarithms)))


def _draw_lesion(rng: np.random.Generator, subtype: str, rank: float) -> Lesion:
    distribution = DISTRIBUTIONS[subtype]
    volume_ml = volume_at(rank, subtype)
    chronic = bool(rng.random() < distribution.chronic)
    fresh = np.clip(rng.normal(*distribution.hu), distribution.lowest_hu, 88)
    old = np.clip(rng.normal(*_CHRONIC_HU), 12, 33)
    slope, at_one_ml = distribution.height_mm
    ball_mm = 2 * (3000 * volume_ml / (4 * np.pi)) ** (1 / 3)
    height_mm = max(slope * np.log(volume_ml) + at_one_ml, 1.1 * ball_mm) * float(np.exp(rng.normal(0, 0.15)))
    return Lesion(subtype, volume_ml, float(old if chronic else fresh), float(height_mm), chronic)
