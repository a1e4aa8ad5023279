"""What a score rests on is found where a constructed network looks."""

import dataclasses

import cv2
import numpy as np
import pytest
from ichflow import attention, inference
from ichflow.inference import Predictor
from test_inference import RECIPE, exported

SIZE = 64
LESION = np.s_[20:28, 40:48]
OTHER = np.s_[44:48, 14:18]


def head(*, lesions=(LESION,), slices=1):
    rows, columns = np.indices((SIZE, SIZE)) - SIZE / 2
    plane = np.where(np.hypot(rows, columns) < 28, 35, -1000).astype(np.int16)
    for lesion in lesions:
        plane[lesion] = 70
    return np.repeat(plane[None], slices, axis=0)


def dense_places(stacks):
    """Score as a network does that looks for places denser than brain."""
    middles = [planes[len(planes) // 2].astype(np.float32) for planes in stacks]
    dense = [cv2.blur(np.clip(plane, -100, 100), (3, 3)).max() for plane in middles]
    return 1 / (1 + np.exp(-(np.array(dense) - 55) / 2))


@pytest.mark.parametrize("lesions", [(LESION,), (OTHER,), (LESION, OTHER)], ids=["large", "small", "both"])
def test_the_map_is_highest_at_every_lesion(lesions):
    found = attention.explain(head(lesions=lesions), dense_places)
    assert found.score > 0.99
    assert found.hidden < 0.01
    assert found.without < 0.1
    inside = np.zeros((SIZE, SIZE), bool)
    for lesion in lesions:
        inside[lesion] = True
        assert found.gain[lesion].max() > 0.8
        assert found.marked[lesion].mean() > 0.9
    assert inside[np.unravel_index(found.gain.argmax(), found.gain.shape)]
    assert found.gain[~inside].mean() < 0.3 * found.gain[inside].mean()
    assert not found.gain[head()[0] < -300].any()


def test_nothing_is_marked_where_nothing_is_found():
    found = attention.explain(head(lesions=()), dense_places)
    assert found.score < 0.01
    assert found.gain.max() < 0.01
    air = attention.explain(np.full((1, SIZE, SIZE), -1000, np.int16), dense_places)
    assert not air.marked.any()


def test_a_place_is_hidden_in_the_neighbors_too():
    def looks_below(stacks):
        return dense_places([planes[:1] for planes in stacks])

    found = attention.explain(head(slices=3), looks_below)
    assert found.hidden < 0.01
    assert found.without < 0.1


def test_scores_are_those_of_prediction(tmp_path):
    """With neighbors and the mean of two folds."""
    recipes = [dataclasses.replace(RECIPE, seed=seed) for seed in (2, 4)]
    predictors = [Predictor(exported(recipe, tmp_path / f"{recipe.seed}.onnx"), 1) for recipe in recipes]
    hu = np.random.default_rng(0).integers(-1000, 1500, (11, 32, 32)).astype(np.int16)
    stacks = [hu[inference.windows.neighborhood(len(hu), place, RECIPE.neighbors)] for place in range(len(hu))]
    expected = inference.mean_probabilities(predictors, hu).max(axis=(1, 2))
    np.testing.assert_allclose(inference.scores(predictors, stacks), expected, atol=1e-6)
    for predictor in predictors:
        assert np.abs(predictor.probabilities(hu).max(axis=(1, 2)) - expected).max() > 0.01
