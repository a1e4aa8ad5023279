"""One patient of the phantom, from seed and number to voxels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ichflow.phantom import anatomy, lesions, scanner
from ichflow.phantom.fields import SLICE_MM, Grid
from ichflow.phantom.numbers import place

_SLICES = (31, 40)
_SLICES_MEAN = 34.0


@dataclass(frozen=True)
class PhantomPatient:
    """A scan with its truth. Volumes are (slice, row, column) in the array order of the library.

    ``hu``: int16. ``label_map``: uint8, 0 or 1 + the subtype's place in ``dataset.SUBTYPES``. ``mask``: bool,
    any hemorrhage. ``fracture``: bool (slice,). Spacing in mm.
    """

    patient: str
    hu: NDArray[np.int16]
    label_map: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    fracture: NDArray[np.bool_]
    spacing_mm: tuple[float, float]
    slice_spacing_mm: float
    age_years: int
    sex: str


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
        Whether the patient bleeds. The anatomy is the same either way.
    size
        Rows and columns of a slice; the field of view does not depend on it.

    Raises
    ------
    IchflowError
        The phantom has no such patient.
    """
    place(patient)
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence([seed, int(patient)]).spawn(4)]
    person, body, blood, machine = streams
    age_years = int(np.clip(person.gamma(2.0, 15.0), 4, 88))
    sex = "M" if person.random() < 0.56 else "F"
    slices = int(np.clip(round(person.normal(_SLICES_MEAN, 2.0)), *_SLICES))
    head = anatomy.draw_head(person, age_years=age_years, sex=sex, slices=slices)
    grid = Grid(slices, size, anatomy.pixel_mm(person, head, size))
    made = anatomy.build(body, head, grid)
    subtypes = lesions.draw_subtypes(blood, patient) if hemorrhage else []
    label_map = lesions.draw(blood, made, subtypes)
    fracture = lesions.draw_fracture(blood, made, label_map)
    return PhantomPatient(
        patient=patient,
        hu=scanner.scan(machine, made.hu, head, grid),
        label_map=label_map,
        mask=label_map > 0,
        fracture=fracture,
        spacing_mm=(grid.pixel_mm, grid.pixel_mm),
        slice_spacing_mm=SLICE_MM,
        age_years=age_years,
        sex=sex,
    )
