"""One patient of the phantom, from seed and number to voxels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ichflow.dataset import SUBTYPES
from ichflow.phantom import annotate, bleeds, brain, face, lesions, scanner, skull
from ichflow.phantom.compose import Bleed, Painted, Scene, paint
from ichflow.phantom.fields import SLICE_MM, THIN, Floats, Grid, Noise
from ichflow.phantom.head import Space, draw_head, draw_person, draw_slices, pixel_mm
from ichflow.phantom.numbers import place

_CUT, _CUT_IN_FLUID = 0.42, 0.25  # share of a voxel from which annotators mark it: blood in sulci is thin
_FRACTURE_SHARE = {"epidural": 0.65, "other": 0.2, "none": 0.15}


@dataclass(frozen=True)
class PhantomPatient:
    """A scan with its truth. Volumes are (slice, row, column) in the array order of the library.

    ``hu``: int16. ``mask``: bool, hemorrhage as an annotator draws it. ``label_map``: uint8, the exact tissue of every
    voxel, by ``tissues.LABELS``. ``findings``: bool (slice, subtype), subtypes in the order of ``dataset.SUBTYPES``,
    in agreement with the mask. ``fracture``: bool (slice,). ``lesions``: what was drawn. Spacing in mm.
    """

    patient: str
    hu: NDArray[np.int16]
    label_map: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    findings: NDArray[np.bool_]
    fracture: NDArray[np.bool_]
    lesions: tuple[lesions.Lesion, ...]
    spacing_mm: tuple[float, float]
    slice_spacing_mm: float
    age_years: float
    sex: str
    midline_shift_mm: float


@dataclass(frozen=True)
class _Fields:
    """The random fields of one head; their wavelengths in mm are structures' sizes."""

    lumps: Noise
    clouds: Noise
    folds: Noise
    cells: Noise
    texture: Noise
    bundles: Noise


@dataclass(frozen=True)
class _Injury:
    """What happened to one head: sites of hemorrhage, largest first, and the trauma."""

    sites: list[bleeds.Site]
    push: float
    fracture: tuple[bleeds.Point, bleeds.Point] | None
    swelling: float
    air: bool
    metal: bool
    seed: int


def make_patient(patient: str, *, seed: int, hemorrhage: bool, size: int) -> PhantomPatient:
    """Make one patient.

    The random stream depends on the seed and the patient's number only, so a patient is the same however many
    others are made, and on however many cores.

    Parameters
    ----------
    patient
        Number of the patient, as in ``numbers.patient_numbers``.
    seed
        The phantom's seed, 0 or more.
    hemorrhage
        Whether the patient bleeds. The healthy anatomy is the same either way.
    size
        Rows and columns of a slice; the field of view does not depend on it.

    Raises
    ------
    IchflowError
        The phantom has no such patient.
    """
    place(patient)
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence([seed, int(patient)]).spawn(5)]
    person, body, blood, trauma, machine_stream = streams
    age_years, sex = draw_person(person)
    slices = draw_slices(person)
    head = draw_head(person, age_years=age_years, sex=sex, slices=slices)
    grid = Grid(slices, size, pixel_mm(person, head, size))
    machine = scanner.draw_machine(person, slices)
    drawn = lesions.draw_lesions(blood, lesions.draw_subtypes(patient)) if hemorrhage else []
    injury = _draw_injury(trauma, [bleeds.choose_site(blood, lesion) for lesion in drawn])
    scene, kept, shift_mm = _scene(body, Space(head, grid), injury)
    painted = paint(scene)
    hu = scanner.scan(machine_stream, painted.hu, head, grid, machine)
    _hide_face(machine_stream, hu, scene, machine.hide)
    mask, findings = _annotated(painted, scene.bleeds, grid, machine.blur_mm / grid.pixel_mm)
    return PhantomPatient(
        patient=patient,
        hu=hu,
        label_map=painted.labels,
        mask=mask,
        findings=findings,
        fracture=painted.cracked,
        lesions=tuple(kept),
        spacing_mm=(grid.pixel_mm, grid.pixel_mm),
        slice_spacing_mm=SLICE_MM,
        age_years=age_years,
        sex=sex,
        midline_shift_mm=shift_mm,
    )


def _draw_injury(rng: np.random.Generator, sites: list[bleeds.Site]) -> _Injury:
    """Draw fracture, swelling, air and metal; by the epidural hemorrhage if there is one."""
    epidural = [site for site in sites if site.lesion.subtype == "epidural"]
    cause = "epidural" if epidural else "other" if sites else "none"
    azimuth, height, side = rng.uniform(-1.2, 1.0), rng.uniform(-0.1, 0.8), float(rng.choice((-1.0, 1.0)))
    direction = (
        side * float(np.cos(azimuth) * np.cos(height)),
        float(np.sin(azimuth) * np.cos(height)),
        float(np.sin(height)),
    )
    spot = (epidural[0].point, epidural[0].normal) if epidural else skull.on_vault(direction)
    fractured, swollen, thick, air, metal = rng.random(5)
    broken = bool(fractured < _FRACTURE_SHARE[cause])
    hit = swollen < (0.6 if broken else 0.35 if sites else 0.1)
    return _Injury(
        sites=sites,
        push=float(rng.uniform(0.6, 1.3)),
        fracture=spot if broken else None,
        swelling=float(3 + 8 * thick) if hit else 0.0,
        air=bool(broken and air < 0.15),
        metal=bool(metal < 0.03),
        seed=int(rng.integers(2**32)),
    )


def _fields(rng: np.random.Generator) -> _Fields:
    return _Fields(
        lumps=Noise(rng, 95, 0.4),
        clouds=Noise(rng, 16, 0.7),
        folds=Noise(rng, 2 * brain.GYRUS_MM, 0.22),
        cells=Noise(rng, 8, 0.3),
        texture=Noise(rng, 8, 0.8),
        bundles=Noise(rng, 30, 0.45),
    )


def _scene(rng: np.random.Generator, space: Space, injury: _Injury) -> tuple[Scene, list[lesions.Lesion], float]:
    """Put a head and its injury together: blood outside the brain presses it, other blood lies in it."""
    fields, trauma = _fields(rng), np.random.default_rng(injury.seed)
    bone = skull.build(space, fields.lumps, fields.clouds)
    spot = injury.fracture or (injury.sites[0].point, injury.sites[0].normal) if injury.sites else injury.fracture
    swelling = bleeds.swelling(space, spot[0], injury.swelling) if spot and injury.swelling else None
    outside = {
        i: made
        for i, site in enumerate(injury.sites)
        if site.lesion.subtype == "epidural" or site.kind == "convexity"
        if (made := bleeds.outside_brain(site, space, bone, fields.clouds))
    }
    shift_mm, middle = bleeds.midline_shift(injury.sites, injury.push)
    pushed = bleeds.moved(space, shift_mm, middle)
    pressed = bleeds.pressed_by(list(outside.values()), space)
    inside = brain.build(pushed, bone, fields.folds, fields.clouds, fields.lumps, rng, pressed)
    made = outside | {
        i: bleed
        for i, site in enumerate(injury.sites)
        if i not in outside and site.lesion.subtype != "epidural" and site.kind != "convexity"
        if (bleed := bleeds.within_brain(site, space, bone, inside, fields.clouds, fields.texture))
    }
    order = sorted(made)
    crack = bleeds.crack(trauma, space, *injury.fracture, fields.clouds) if injury.fracture else None
    scene = Scene(
        space=space,
        skull=bone,
        surface=face.surface(space, bone, fields.clouds, swelling),
        face=face.parts(space, bone, fields.cells, rng),
        brain=inside,
        texture=fields.texture,
        bundles=fields.bundles,
        bleeds=[made[i] for i in order],
        cracks=[crack] if crack else [],
        extras=bleeds.fragments(trauma, space, spot, air=injury.air, metal=injury.metal) if spot else [],
    )
    return scene, [injury.sites[i].lesion for i in order], shift_mm


def _annotated(
    painted: Painted, made: list[Bleed], grid: Grid, blur_px: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the annotator's mask, and which subtype is drawn on which slice."""
    mask = np.zeros(grid.shape, np.bool_)
    findings = np.zeros((grid.slices, len(SUBTYPES)), np.bool_)
    for bleed, marked in zip(made, painted.marked, strict=True):
        seen = annotate.visible(marked, painted.hu, blur_px)
        drawn = annotate.polygons(seen, grid.shape, _CUT_IN_FLUID if bleed.in_fluid else _CUT)
        mask |= drawn
        findings[:, bleed.label - 1] |= drawn.any((1, 2))
    return mask, findings


def _hide_face(rng: np.random.Generator, hu: NDArray[np.int16], scene: Scene, how: str) -> None:
    space = scene.space
    middles = slice(THIN // 2, None, THIN)
    beyond_bone = scene.skull.depth[middles] + scene.skull.thickness[middles] < -1
    front = (space.z[middles] < -8) & (space.y[middles] > 30) & beyond_bone
    shown = front.any((1, 2))
    unit = np.float32(space.head.unit_mm)
    skin: list[Floats] = []
    faces: list[NDArray[np.bool_]] = []
    for plane, where in zip(scene.surface.skin[middles][shown], front[shown], strict=True):
        skin.append(space.grid.enlarge(plane) * unit)
        faces.append(space.grid.enlarge(where.astype(np.float32)) > 0.5)
    if faces:
        covered = hu[shown]
        scanner.hide_face(rng, covered, np.stack(skin), np.stack(faces), how)
        hu[shown] = covered
