"""Skull, brain and hemorrhages on cubes: their size and place, whatever the scan's slices and orientation."""

import nibabel as nib
import numpy as np
import pytest
from ichflow import solids, volume
from ichflow.dataset import LABELS
from ichflow.shards import Shard, ShardInfo
from ichflow.volume import Geometry

SIZE = 128
BRAIN_MM, BONE_MM, LESION_MM = 54.0, 7.0, 14.0
LESION_AT = np.array([25.0, -10.0, 20.0])  # mm, RAS+: right, behind, above the middle of the head


def turned(degrees):
    a = np.radians(degrees)
    return np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])


def head(*, between=5.0, slices=32, degrees=0.0, lesion_mm=LESION_MM):
    """Make the shard of a ball of bone filled with brain, and a mask that is a ball in it."""
    spacing = np.array([150 / SIZE, 150 / SIZE, between])
    axes = turned(degrees) @ np.diag([-1.0, 1.0, 1.0]) * spacing
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = -axes @ ((np.array([SIZE, SIZE, slices]) - 1) / 2)
    info = ShardInfo("049", SIZE, (SIZE, SIZE, slices), affine.tolist())
    index = np.indices((slices, SIZE, SIZE)).reshape(3, -1)
    world = info.pixel_affine[:3, :3] @ index + info.pixel_affine[:3, 3:]
    far = np.linalg.norm(world, axis=0).reshape(slices, SIZE, SIZE)
    hu = np.select([far < BRAIN_MM, far < BRAIN_MM + BONE_MM], [35, 1000], -1000).astype(np.int16)
    near = np.linalg.norm(world - LESION_AT[:, None], axis=0).reshape(far.shape)
    mask = (near < lesion_mm).astype(np.uint8)
    labels = np.zeros((slices, len(LABELS)), bool)
    return Shard(info, hu, mask, labels, mask.sum(axis=(1, 2), dtype=np.int32))


def ball_ml(radius):
    return 4 / 3 * np.pi * radius**3 / 1000


def volume_ml(field, side):
    return np.count_nonzero(field >= 0.5) * side**3 / 1000


def place_mm(field, shard):
    """Return the middle of a field in mm, by the cubes that it lies on."""
    cubes = solids.cubes_around(shard.hu.shape, shard.info.pixel_affine)
    middle = np.argwhere(field >= 0.5).mean(axis=0)
    return cubes.affine[:3, :3] @ middle + cubes.affine[:3, 3]


@pytest.mark.parametrize("degrees", [0, 20], ids=["straight", "tilted"])
@pytest.mark.parametrize(("between", "slices"), [(5.0, 32), (0.5, 300)], ids=["thick slices", "thin slices"])
def test_size_and_place_are_those_of_the_patient(between, slices, degrees):
    shard = head(between=between, slices=slices, degrees=degrees)
    found = solids.find(shard, np.zeros_like(shard.mask))
    assert volume_ml(found.truth, found.side_mm) == pytest.approx(ball_ml(LESION_MM), rel=0.12)
    brain_mm = (volume_ml(found.brain, found.side_mm) / ball_ml(1)) ** (1 / 3)
    assert brain_mm == pytest.approx(BRAIN_MM, abs=2 * found.side_mm)  # the brain is sought on cubes of twice that side
    assert not found.prediction.any()
    cubes = solids.cubes_around(shard.hu.shape, shard.info.pixel_affine)
    field = solids.mask_field(shard.mask, shard.info.pixel_affine, cubes)
    np.testing.assert_allclose(place_mm(field, shard), LESION_AT, atol=0.8)


def test_brain_lies_in_the_skull_and_touches_it():
    found = solids.find(head(), head().mask)
    assert not ((found.brain >= 0.9) & (found.skull >= 0.9)).any()
    middle = [length // 2 for length in found.brain.shape]
    assert found.brain[*middle] > 0.9
    line = found.brain[middle[0], middle[1]] + found.skull[middle[0], middle[1]]
    inside = np.flatnonzero(found.skull[middle[0], middle[1]] >= 0.5)
    assert (line[inside[0] : inside[-1]] > 0.4).all()


def test_what_lies_beside_the_head_is_no_part_of_the_skull():
    shard = head()
    middle = SIZE // 2
    shard.hu[:, middle + 43 : middle + 47, middle + 43 : middle + 47] = 800  # a rod in a corner of the head's box
    without, beside = (solids.find(each, each.mask).skull >= 0.5 for each in (head(), shard))
    np.testing.assert_array_equal(without, beside)


def test_no_hemorrhage_is_lost():
    shard = head()
    mask = np.zeros_like(shard.mask)
    mask[16, 60, 60] = 1
    assert (solids.find(shard, mask).prediction >= 0.5).any()


def test_one_slice_and_no_head():
    shard = head(slices=1)
    assert (solids.find(shard, shard.mask).skull >= 0.5).any()
    air = Shard(shard.info, np.full_like(shard.hu, -1000), shard.mask, shard.labels, shard.mask_pixels)
    assert not (solids.find(air, shard.mask).skull >= 0.5).any()


def test_memory_does_not_grow_with_the_field_of_view():
    cubes = solids.cubes_around((1000, 512, 512), np.diag([2.0, 1.0, 1.0, 1.0])[[2, 1, 0, 3]])
    assert np.prod(cubes.shape) < 1.1 * solids.MOST_CUBES


@pytest.mark.parametrize("codes", ["LAS", "RPI", "PIR", "SAL"])
def test_the_affine_of_a_shard_leads_to_the_patient(codes):
    start = nib.orientations.axcodes2ornt(("R", "A", "S"))
    turn = nib.orientations.ornt_transform(start, nib.orientations.axcodes2ornt(tuple(codes)))
    plain = np.diag([0.5, 0.7, 5.0, 1.0])
    plain[:3, 3] = [3, -4, 5]
    affine = plain @ nib.orientations.inv_ornt_aff(turn, (20, 12, 4))
    shape = nib.orientations.apply_orientation(np.zeros((20, 12, 4)), turn).shape
    geometry = Geometry(shape, affine)
    index = np.indices(shape).reshape(3, -1)
    world = (affine[:3, :3] @ index + affine[:3, 3:]).reshape(3, *shape)
    info = ShardInfo("049", 10, shape, affine.tolist())
    for axis in range(3):
        shown = volume.to_display(world[axis], geometry)
        by_index = np.einsum("a,a...->...", geometry.display_affine[axis, :3], np.indices(shown.shape))
        np.testing.assert_allclose(by_index + geometry.display_affine[axis, 3], shown, atol=1e-9)
        small = info.grid.intensities(100 * shown.astype(np.float32), 10)
        where = np.einsum("a,a...->...", info.pixel_affine[axis, :3], np.indices(small.shape))
        inside = small > -900
        middle = np.s_[:, 4:6, 4:6]
        assert inside[middle].all()
        np.testing.assert_allclose(
            (where + info.pixel_affine[axis, 3])[middle] * 100, small[middle], atol=7
        )  # of pixels that are cut
