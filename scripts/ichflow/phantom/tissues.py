"""What the voxels of the phantom can be: names, label values and Hounsfield units.

Hounsfield units are textbook values of head CT; those of gray and white matter, fluid and blood agree with the
materials of the FDA's synthetic-hemorrhage framework (DIDSR, 2025).
"""

from ichflow.dataset import SUBTYPES

AIR = 0
# 1 to 5: the subtypes of hemorrhage, in the order of ``dataset.SUBTYPES``
BRAIN = 6
CSF = 7
DURA = 8
SKULL = 9
SOFT = 10
FAT = 11
CALCIFICATION = 12
METAL = 13

LABELS: dict[str, int] = {
    "air": AIR,
    **{subtype: 1 + i for i, subtype in enumerate(SUBTYPES)},
    "brain": BRAIN,
    "cerebrospinal_fluid": CSF,
    "dura": DURA,
    "skull": SKULL,
    "soft_tissue": SOFT,
    "fat": FAT,
    "calcification": CALCIFICATION,
    "metal": METAL,
}
"""Name to value of the label map. ``brain`` is parenchyma, ``dura`` falx, tentorium and venous sinuses; ``soft_tissue``
and ``fat`` are scalp, face and neck, together with the orbits; ``skull`` is all bone, and teeth."""

AIR_HU = -1000.0
FAT_HU = -95.0
SKIN_HU = 40.0
MUSCLE_HU = 55.0
COMPACT_HU = 1350.0  # tables of the skull; about 1000 once they are blurred
DIPLOE_HU = 750.0
CSF_HU = 8.0
GRAY_HU = 39.7
WHITE_HU = 32.6
DEEP_GRAY_HU = 41.0
CEREBELLUM_HU = 37.5
BRAIN_STEM_HU = 33.0
DURA_HU = 52.0
VITREOUS_HU = 10.0
LENS_HU = 90.0
TOOTH_HU = 2200.0
METAL_HU = 3071.0


def subtype_label(subtype: str) -> int:
    """Return the value of a subtype of hemorrhage in the label map."""
    return LABELS[subtype]
