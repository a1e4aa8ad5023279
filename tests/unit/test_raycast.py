"""Rays meet surfaces where they are, and pictures are the right way round."""

import numpy as np
import pytest
from ichflow import raycast, rendering
from ichflow.raycast import MISSED, Camera, Screen

SHAPE = (60, 70, 80)
RADIUS = 20.0
# (superior, posterior, left) of a small ball, from the middle
ENDS = {"right": (0, 0, -20), "left": (0, 0, 20), "front": (0, -20, 0), "back": (0, 20, 0), "top": (20, 0, 0)}


def ball(radius, at=(0, 0, 0), shape=SHAPE):
    index = np.indices(shape).astype(np.float32)
    middle = (np.array(shape)[:, None, None, None] - 1) / 2 + np.array(at)[:, None, None, None]
    return np.clip((radius - np.linalg.norm(index - middle, axis=0)) / 5 + 0.5, 0, 1).astype(np.float32)  # smooth


def screen(camera, pixels=100, step=0.8):
    return Screen(camera, SHAPE, pixels, step)


@pytest.mark.parametrize("camera", [*rendering.VIEWS.values(), Camera(0, 0), Camera(137, -50)])
def test_a_ball_is_a_disk_and_bulges_towards_the_viewer(camera):
    seen = screen(camera)
    field = ball(RADIUS)
    (depth,) = raycast.depths([field], seen, [(0, None)])
    rows, columns = (np.indices(depth.shape) - 49.5) * 0.8
    off = np.hypot(rows, columns)
    assert (depth[off > RADIUS + 1] == MISSED).all()
    clear = off < RADIUS - 2
    np.testing.assert_allclose(depth[clear], -np.sqrt(RADIUS**2 - off[clear] ** 2), atol=0.7)
    normal = raycast.normals(field, seen, depth)
    expected = np.stack([columns, rows, depth], axis=-1)[clear] / RADIUS
    np.testing.assert_allclose(normal[clear], expected, atol=0.15)
    (behind,) = raycast.depths([field], seen, [(0, 5.0)])
    assert behind[50, 50] == pytest.approx(5, abs=1)


@pytest.mark.parametrize(
    ("camera", "end", "place"),
    [
        (Camera(0, 0), "right", (0, -25)),
        (Camera(0, 0), "top", (-25, 0)),
        (Camera(90, 0), "front", (0, -25)),
        (Camera(180, 90), "front", (-25, 0)),
        (Camera(180, 90), "right", (0, 25)),
    ],
)
def test_what_is_at_an_end_of_the_patient_is_seen_there(camera, end, place):
    (depth,) = raycast.depths([ball(5, ENDS[end])], screen(camera), [(0, None)])
    rows, columns = np.nonzero(depth < MISSED)
    assert (rows.mean() - 49.5, columns.mean() - 49.5) == pytest.approx(place, abs=1.5)
    letter = {"front": "A", "back": "P", "top": "S", "left": "L", "right": "R"}[end]
    right, down, _ = camera.axes @ rendering.ENDS[letter]
    assert (down * 25, right * 25) == pytest.approx(place, abs=1e-6)


def test_a_hemorrhage_is_blue_as_drawn_and_orange_as_predicted_and_seen_through_bone():
    fields = (ball(28) - ball(24), ball(24), ball(6, ENDS["right"]), ball(6, ENDS["left"]))
    truth, prediction = rendering.pictures(fields, screen(Camera(0, 0)))
    at = {"right": (50, 25), "left": (50, 75)}
    blue = truth[at["right"]] - truth[at["left"]]
    orange = prediction[at["left"]] - prediction[at["right"]]
    assert blue[2] > blue[0] + 0.1
    assert orange[0] > orange[2] + 0.1
    for picture in (truth, prediction):
        assert picture.shape == (100, 100, 3)
        assert np.isfinite(picture).all()
        assert 0 <= picture.min() <= picture.max() <= 1
