"""What the detection of a slice rests on: which places raise its score when they alone are shown.

The head is hidden under the density of soft tissue, and one patch after another is uncovered. What a patch adds to the
score of the hidden head is its "increase of confidence", as in Score-CAM (Wang et al. 2020, DOI
10.1109/CVPRW50498.2020.00020), with patches for masks as in occlusion maps (Zeiler and Fergus 2014, DOI
10.1007/978-3-319-10590-1_53). To hide a patch and see the score fall is no use where a hemorrhage is large or is not
the only one: what is left keeps the score at 1. Whether the places found are needed is asked at the end, by hiding them
all.

It asks the model as prediction does, with its neighbors and folds, so that any exported model can be
explained and no gradient is needed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

LARGE, SMALL = 4, 8  # patches side by side: large ones show context, small ones the place
MOST_SMALL = 40  # of the small ones are tried, where the large ones add most
TISSUE_HU = (0, 80)
HEAD_HU = -300
HEAD_SHARE = 0.2  # of a patch; one with less of the head shows air
MARKED = 0.5  # of the highest gain: from here on a place is marked

Scores = Callable[[Sequence[NDArray[np.int16]]], NDArray[np.float64]]
Map = NDArray[np.float32]
Patch = tuple[slice, slice]


@dataclass(frozen=True)
class Attention:
    """What a score rests on.

    Attributes
    ----------
    score, hidden
        Of the slice as it is, and with the whole head hidden.
    without
        With the marked places hidden.
    gain
        float32 (size, size): by how much a place raises the score of the hidden head, the mean over the large and the
        small patches that show it, which count less towards their edges.
    marked
        bool (size, size): where the gain is at least :data:`MARKED` of the highest; nowhere if there is no gain.
    """

    score: float
    hidden: float
    without: float
    gain: Map
    marked: NDArray[np.bool_]


def explain(planes: NDArray[np.int16], scores: Scores) -> Attention:
    """Show one patch of a slice after another and see how its score rises.

    Parameters
    ----------
    planes
        int16 (slice, size, size), Hounsfield units: the slice, in the middle, and the neighbors that the model sees. A
        place is hidden or shown in all of them.
    scores
        The model: from stacks like ``planes`` to the score of the slice in the middle of each.
    """
    middle = planes[len(planes) // 2]
    head = without_rest(middle > HEAD_HU)
    covered = np.where(planes > HEAD_HU, _tissue(middle), planes).astype(np.int16)
    score, hidden = scores([planes, covered])

    def gains(patches: list[Patch]) -> Map:
        total, weights = np.zeros(middle.shape, np.float32), np.full(middle.shape, 1e-6, np.float32)
        found = scores([_shown(planes, covered, place) for place in patches]) if patches else ()
        for place, value in zip(patches, found, strict=True):
            weight = _weight(len(middle[place]))
            total[place] += weight * np.float32(value - hidden)
            weights[place] += weight
        return total / weights

    large = gains(_patches(head, LARGE))
    promising = sorted(_patches(head, SMALL), key=lambda place: -float(large[place].mean()))
    gain = np.maximum((large + gains(promising[:MOST_SMALL])) / 2, 0)
    gain[~head] = 0
    marked = (gain >= MARKED * gain.max()) & (gain > 0)
    without = scores([np.where(marked, covered, planes)])[0]
    return Attention(float(score), float(hidden), float(without), gain, marked)


def _shown(planes: NDArray[np.int16], covered: NDArray[np.int16], place: Patch) -> NDArray[np.int16]:
    shown = covered.copy()
    shown[:, *place] = planes[:, *place]
    return shown


def without_rest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Leave out what is thin beside a head, such as the head rest; mask of any square size."""
    side = 2 * (len(mask) // 64) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, kernel) > 0


def _patches(head: NDArray[np.bool_], count: int) -> list[Patch]:
    """Lay so many patches side by side, and others that overlap them by half, wherever there is some of the head."""
    return [place for place in _squares(len(head), count) if head[place].mean() >= HEAD_SHARE]


def _squares(size: int, count: int) -> Iterator[Patch]:
    side = -(-size // count)
    starts = [min(start * side // 2, size - side) for start in range(2 * count - 1)]
    for top in starts:
        for left in starts:
            yield slice(top, top + side), slice(left, left + side)


def _weight(side: int) -> Map:
    line = np.hanning(side + 2)[1:-1].astype(np.float32)
    return np.outer(line, line)


def _tissue(middle: NDArray[np.int16]) -> int:
    soft = middle[(middle >= TISSUE_HU[0]) & (middle <= TISSUE_HU[1])]
    return int(np.median(soft)) if soft.size else sum(TISSUE_HU) // 2
