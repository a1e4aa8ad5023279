"""Lesions against cases counted by hand, and against a flood fill."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from ichflow import lesionwise

PAIRS = array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=5).flatmap(
    lambda size: st.tuples(arrays(bool, size), arrays(bool, size))
)


def components(mask):
    """Return sets of voxels that touch by a face, an edge or a corner, by flood fill."""
    left, found = set(map(tuple, np.argwhere(mask))), []
    while left:
        todo, component = [left.pop()], set()
        while todo:
            voxel = todo.pop()
            component.add(voxel)
            around = {
                tuple(map(sum, zip(voxel, step, strict=True))) for step in itertools.product((-1, 0, 1), repeat=3)
            }
            todo += around & left
            left -= around
        found.append(component)
    return found


@settings(deadline=None)
@given(PAIRS, st.sampled_from([0.1, 0.5, 1.0, 4.0]))
def test_counts_agree_with_a_flood_fill(pair, voxel_ml):
    truth, prediction = pair
    marked, drawn = set(map(tuple, np.argwhere(prediction))), set(map(tuple, np.argwhere(truth)))
    lesions, predicted = components(truth), components(prediction)
    found = lesionwise.count(truth, prediction, voxel_ml)
    assert list(found) == list(lesionwise.COUNTS)
    assert found["true_lesions"] == len(lesions)
    assert found["found_lesions"] == sum(bool(lesion & marked) for lesion in lesions)
    assert found["predicted_lesions"] == len(predicted)
    assert found["false_positive_lesions"] == sum(not lesion & drawn for lesion in predicted)
    for name, (low, high) in lesionwise.SIZES_ML.items():
        chosen = [lesion for lesion in lesions if low <= len(lesion) * voxel_ml < high]
        assert found[f"true_lesions_{name}"] == len(chosen)
        assert found[f"found_lesions_{name}"] == sum(bool(lesion & marked) for lesion in chosen)
    assert found["true_lesions"] == sum(found[f"true_lesions_{name}"] for name in lesionwise.SIZES_ML)


def test_one_voxel_is_enough_and_corners_connect():
    truth, prediction = np.zeros((2, 4, 9), bool), np.zeros((2, 4, 9), bool)
    truth[0, 0, 0] = truth[1, 1, 1] = True  # one lesion: they touch by a corner
    truth[0, 0, 5:7] = True
    truth[0, 3, 4] = True
    prediction[0, 0, 6] = True
    prediction[1, 3, 8] = True
    found = lesionwise.count(truth, prediction, 0.6)
    assert (found["true_lesions"], found["found_lesions"]) == (3, 1)
    assert (found["predicted_lesions"], found["false_positive_lesions"]) == (2, 1)
    assert (found["true_lesions_under_1_ml"], found["found_lesions_under_1_ml"]) == (1, 0)
    assert (found["true_lesions_1_to_5_ml"], found["found_lesions_1_to_5_ml"]) == (2, 1)


def test_nothing_has_no_lesions():
    nothing = np.zeros((2, 3, 3), bool)
    assert set(lesionwise.count(nothing, nothing, 1.0).values()) == {0}
