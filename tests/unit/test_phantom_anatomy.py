"""The phantom's heads: what is in them, how they vary, and what the scanner does to them."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from ichflow.phantom import patient, scanner, tissues
from ichflow.phantom.fields import Grid
from ichflow.phantom.head import draw_head, draw_person, draw_slices, pixel_mm
from ichflow.phantom.patient import make_patient
from scipy import ndimage

SEED = 7


@pytest.fixture(scope="module")
def made():
    """Make one grown-up without hemorrhage, at a quarter of the real size."""
    return make_patient("056", seed=1, hemorrhage=False, size=128)


@pytest.fixture(scope="module")
def full():
    """Make one patient at the real size."""
    return make_patient("056", seed=1, hemorrhage=False, size=512)


def middle_of(made):
    """Return the slice with most brain."""
    return int(np.argmax((made.label_map == tissues.BRAIN).sum((1, 2))))


def inside_skull(made):
    return np.isin(made.label_map, (tissues.BRAIN, tissues.CSF, tissues.DURA))


def people(count=300):
    rng = np.random.default_rng(SEED)
    for _ in range(count):
        age, sex = draw_person(rng)
        slices = draw_slices(rng)
        head = draw_head(rng, age_years=age, sex=sex, slices=slices)
        yield age, sex, slices, head, pixel_mm(rng, head, 512)


def test_people_and_grids_are_those_of_ct_ich():
    ages, sexes, slices, _, pixels = zip(*people(), strict=True)
    assert 25 < np.mean(ages) < 34  # CT-ICH: 28
    assert min(ages) < 1
    assert 0.5 < np.mean([sex == "M" for sex in sexes]) < 0.63  # 42 of 75
    assert min(slices) >= 31
    assert max(slices) <= 58
    assert 36.5 < np.mean(slices) < 38.8  # 37.5
    assert min(pixels) >= 0.314
    assert max(pixels) <= 0.479
    assert 0.395 < np.mean(pixels) < 0.44  # 0.42


def test_age_widens_ventricles_and_sulci_and_growth_the_skull():
    heads = [(age, head) for age, _, _, head, _ in people()]
    old, young = [h for a, h in heads if a > 60], [h for a, h in heads if 16 < a < 35]
    infants = [h for a, h in heads if a < 1]
    for name in ("ventricle", "sulcus_mm", "rim_mm"):
        assert np.mean([getattr(h, name) for h in old]) > 1.2 * np.mean([getattr(h, name) for h in young])
    assert np.mean([h.skull_mm for h in infants]) < 0.6 * np.mean([h.skull_mm for h in young])
    assert np.mean([h.unit_mm for h in infants]) < 0.85 * np.mean([h.unit_mm for h in young])
    assert np.mean([h.suture_mm for h in infants]) > 2 * np.mean([h.suture_mm for h in young])


def test_heads_are_turned_and_tilted():
    turns = [np.degrees(np.arccos(np.clip((np.trace(h.rotation) - 1) / 2, -1, 1))) for *_, h, _ in people()]
    assert 5 < np.median(turns) < 12
    assert max(turns) > 14


@pytest.mark.parametrize("name", ["air", "brain", "cerebrospinal_fluid", "dura", "skull", "soft_tissue", "fat"])
def test_every_tissue_is_there(made, name):
    assert (made.label_map == tissues.LABELS[name]).mean() > 1e-4


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("air", -1010, -985),
        ("fat", -130, -50),
        ("cerebrospinal_fluid", 0, 30),
        ("brain", 30, 40),
        ("soft_tissue", 20, 65),
        ("skull", 500, 1400),
    ],
)
def test_labels_and_gray_levels_agree(made, name, low, high):
    region = made.label_map == tissues.LABELS[name]
    thick = name in ("air", "brain", "cerebrospinal_fluid")
    core = ndimage.binary_erosion(region, np.ones((1, 3, 3))) if thick else region
    assert low <= np.median(made.hu[core]) <= high


def test_the_brain_has_gray_and_white_matter(full):
    plane = full.hu[middle_of(full)].astype(float)
    brain = full.label_map[middle_of(full)] == tissues.BRAIN
    rim = brain & ~ndimage.binary_erosion(inside_skull(full)[middle_of(full)], iterations=18)
    core = ndimage.binary_erosion(brain, iterations=10)
    core &= ndimage.binary_erosion(inside_skull(full)[middle_of(full)], iterations=50)
    assert np.median(plane[rim]) > np.median(plane[core]) + 1.5


def test_the_skull_has_two_tables(full):
    """Along a ray outwards, bone is dense, less dense, and dense again."""
    index = middle_of(full) + 4
    skull = full.label_map[index] == tissues.SKULL
    columns = np.flatnonzero(skull.any(0))
    column = int(np.median(columns))
    rows = np.flatnonzero(skull[:, column])
    back = rows[rows > rows.mean()]
    profile = full.hu[index, back, column].astype(float)
    edge = len(profile) // 4
    assert profile[edge + 1 : -edge - 1].min() < min(profile[: edge + 2].max(), profile[-edge - 2 :].max()) - 100


def test_the_head_is_upright_and_closed(made):
    """Bone encloses the brain; orbits and sinuses are anterior, in row 0's half, and only low in the head."""
    index = middle_of(made) + 3
    closed = ndimage.binary_fill_holes(made.label_map[index] == tissues.SKULL)
    assert closed[made.label_map[index] == tissues.BRAIN].all()
    rows, columns = np.nonzero(made.label_map[index] == tissues.BRAIN)
    assert np.ptp(rows) > 1.05 * np.ptp(columns)
    assert made.hu[-1].max() < 900  # little but air and head rest above the vertex
    head = ndimage.binary_fill_holes(made.label_map != tissues.AIR)
    hollow = np.argwhere(ndimage.binary_erosion(head, np.ones((1, 5, 5))) & (made.label_map == tissues.AIR))
    assert hollow.size
    assert hollow[:, 0].max() < index + 3
    assert hollow[:, 1].mean() < np.argwhere(head)[:, 1].mean()


def test_anatomy_is_continuous_along_z(made):
    inside = inside_skull(made)
    index = middle_of(made)
    for below, above in pairwise(inside[index - 2 : index + 8]):
        assert 2 * (below & above).sum() / (below.sum() + above.sum()) > 0.85


def test_a_newborn_has_a_thin_skull_and_open_sutures():
    rng = np.random.default_rng(SEED)
    newborn, adult = (draw_head(rng, age_years=age, sex="F", slices=36) for age in (0.01, 40.0))
    assert newborn.skull_mm < 0.55 * adult.skull_mm
    assert newborn.suture_mm > 3 * adult.suture_mm
    assert newborn.unit_mm < 0.75 * adult.unit_mm
    assert newborn.white_hu < adult.white_hu - 5
    assert newborn.face < 0.7
    assert adult.face == 1


@pytest.fixture(scope="module")
def newborn():
    """Make a newborn, four days old."""
    return make_patient("140", seed=1, hemorrhage=False, size=128)


def with_other_head(monkeypatch, **changes):
    """Make the newborn again, with something of its head changed."""

    def changed(*args, **kwargs):
        return dataclasses.replace(draw_head(*args, **kwargs), **changes)

    monkeypatch.setattr(patient, "draw_head", changed)
    return make_patient("140", seed=1, hemorrhage=False, size=128)


def test_a_newborn_has_a_fontanelle(newborn, monkeypatch):
    """Near the vertex and nowhere else, there is membrane where a closed skull has bone."""
    closed = with_other_head(monkeypatch, fontanelle_mm=0.0)
    opened = (closed.hu > 250) & (newborn.hu < 150)
    vertex = np.flatnonzero(inside_skull(newborn).any((1, 2)))[-1]
    assert opened.sum() > 100
    assert opened[: vertex - 4].sum() == 0


def test_a_childs_jaw_ends_nearer_to_its_eyes(newborn, monkeypatch):
    """The lowest bone in front is some slices above that of the same head with a grown-up's face."""
    grown = with_other_head(monkeypatch, face=1.0)
    lowest = [np.flatnonzero((one.label_map == tissues.SKULL)[:, :54].sum((1, 2)) > 8)[0] for one in (newborn, grown)]
    assert lowest[0] >= lowest[1] + 3
    upper = inside_skull(newborn)[20:] == inside_skull(grown)[20:]
    assert upper.all()


def noise_of(made):
    """Return robust SD, autocorrelation at 1, 2 and 4 px of the difference to a 6-px Gaussian inside the brain."""
    index = middle_of(made) + 3
    core = ndimage.binary_erosion(inside_skull(made)[index], iterations=14)
    plane = np.round(np.clip(made.hu[index] / 80, 0, 1) * 255) * (80 / 255)
    noise = plane - ndimage.gaussian_filter(plane, 6)
    values = noise[core]
    found = [1.4826 * np.median(np.abs(values - np.median(values)))]
    for lag in (1, 2, 4):
        both = core[:, :-lag] & core[:, lag:]
        found.append((noise[:, :-lag] * noise[:, lag:])[both].mean() / values.var())
    return found


def test_noise_has_the_level_and_correlation_of_a_scanner(full):
    """CT-ICH: 3.8 HU (5 to 95 % of scans 3.1 to 4.7), autocorrelation 0.81, 0.44 and 0.06 at 1, 2 and 4 px."""
    other = make_patient("067", seed=1, hemorrhage=False, size=512)
    level, *correlation = np.mean([noise_of(full), noise_of(other)], axis=0)
    assert 3.1 < level < 4.7
    np.testing.assert_allclose(correlation, (0.81, 0.44, 0.06), atol=0.05)


def test_noise_alone_keeps_its_variance():
    rng = np.random.default_rng(SEED)
    noise = scanner._unit_noise(rng, (400, 400), 0.9)
    assert noise.std() == pytest.approx(1, abs=0.03)


def test_scans_are_calibrated_as_differently_as_real_ones():
    """The median of the brain is 32 to 39 HU (5 to 95 % of 38 scans of CT-ICH); air stays air."""
    rng = np.random.default_rng(SEED)
    errors = [1035 * scanner.draw_machine(rng, 36).calibration for _ in range(300)]
    low, high = np.percentile(errors, (5, 95))
    assert 4.5 < high - low < 8
    assert abs(np.mean(errors)) < 0.4


def test_bone_on_both_sides_darkens_what_is_between():
    rng = np.random.default_rng(SEED)
    head = draw_head(rng, age_years=40.0, sex="M", slices=31)
    grid = Grid(31, 128, 1.7)
    machine = scanner.draw_machine(rng, 31)
    plane = np.full((128, 128), 35, np.float32)
    plane[54:74, 20:44] = plane[54:74, 84:108] = 1500
    change = scanner._beam_hardening(plane, grid, machine)
    assert change[64, 64] < -2
    assert abs(change[10, 64]) < 0.5
    assert head.center[2] > 0


@pytest.mark.parametrize("how", ["streaks", "blocks"])
def test_a_hidden_face_is_hidden_and_nothing_else(how):
    scanned = np.full((3, 64, 64), 40, np.int16)
    depth = np.broadcast_to(np.arange(64, dtype=np.float32)[:, None] - 10, (3, 64, 64))
    front = np.zeros((3, 64, 64), bool)
    front[:2, :32] = True
    scanner.hide_face(np.random.default_rng(SEED), scanned, depth, front, how)
    assert scanned[0, :20].std() > 30
    assert (scanned[2] == 40).all()
    assert (scanned[0, 32:] == 40).all()


def test_no_face_is_hidden_where_it_should_not_be():
    scanned = np.full((1, 64, 64), 40, np.int16)
    everywhere = np.ones((1, 64, 64), bool)
    scanner.hide_face(np.random.default_rng(SEED), scanned, np.zeros((1, 64, 64), np.float32), everywhere, "")
    assert (scanned == 40).all()
