"""What can be wrong with a dataset, and what follows from it: one table, which docs/data.md repeats."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

ACCEPT, WARN, SET_ASIDE = VERDICTS = ("accept", "warn", "set aside")


class Kind(NamedTuple):
    """A kind of finding: its verdict, what it means, and what to do about it."""

    verdict: str
    meaning: str
    remedy: str


FETCH = "fetch the file again"
ASK = "look at the scan on the contact sheet"

# What cannot be computed on, or would be computed wrongly, is set aside.
KINDS = {
    # The files of a patient
    "file_missing": Kind(SET_ASIDE, "a scan or mask is not there", FETCH),
    "file_forbidden": Kind(SET_ASIDE, "a file may not be read", "ask its owner for the permission"),
    "file_empty": Kind(SET_ASIDE, "a file has no bytes", FETCH),
    "file_damaged": Kind(SET_ASIDE, "a header is damaged, or the file is no NIfTI", FETCH),
    "file_truncated": Kind(SET_ASIDE, "data or a gzip stream end too early", FETCH),
    "dicom_resampled": Kind(ACCEPT, "slices of a tilted gantry or at uneven distances were resampled", ASK),
    "dicom_unusable": Kind(SET_ASIDE, "DICOM files do not give one volume", "name the folder of one CT series"),
    "checksum_wrong": Kind(SET_ASIDE, "a file is not the one that the list of checksums names", FETCH),
    "checksum_unlisted": Kind(WARN, "the list of checksums lacks a file", "take the list of the original download"),
    # Grid and values
    "not_three_axes": Kind(SET_ASIDE, "a volume has not three axes", "take one volume of the series"),
    "geometry_unusable": Kind(
        SET_ASIDE, "an affine leads nowhere, or its unit is no millimetre", "convert the scan again"
    ),
    "orientation_unknown": Kind(WARN, "a header does not say how the axes run; LAS is assumed", ASK),
    "geometry_oblique": Kind(WARN, "axes are tilted by more than 10°; the nearest ones are used", ASK),
    "spacing_unusual": Kind(WARN, "voxels are of no size that a head CT has", "check the unit of the header"),
    "orientation_unusual": Kind(WARN, "axes run otherwise than in the published dataset; they are turned", ASK),
    "not_finite": Kind(SET_ASIDE, "voxels are NaN or infinite", "convert the scan again"),
    "not_hounsfield": Kind(SET_ASIDE, "values are no Hounsfield units", "convert the scan from its DICOM files"),
    "skull_stripped": Kind(WARN, "there is no bone or no air", "take the scan of the whole head"),
    # The mask
    "shape_mismatch": Kind(SET_ASIDE, "mask and scan have different shapes", "take the mask of this scan"),
    "geometry_mismatch": Kind(SET_ASIDE, "mask and scan lie apart", "take the mask of this scan"),
    "mask_values": Kind(
        SET_ASIDE,
        "a mask has values of no known meaning",
        "take a mask of 0 and 1, or, with a sheet, name them in dataset.mask_classes",
    ),
    "mask_in_air": Kind(SET_ASIDE, "over half of the mask lies in air", "take the mask of this scan"),
    "mask_outside_head": Kind(WARN, "over 5 % of the mask lie in air", ASK),
    "scan_repeated": Kind(WARN, "two patients have the same scan; a split that parts them stops", "keep one of them"),
    # Labels
    "labels_missing": Kind(WARN, "the table has no row of a patient", "take the table of the original download"),
    "labels_repeated": Kind(WARN, "slices have several rows; the first counts", "remove the others"),
    "labels_contradict": Kind(WARN, "'no hemorrhage' and subtypes disagree", "the mask counts; correct the table"),
    "slice_count": Kind(SET_ASIDE, "scan and table have different slices", "take scan and table of one version"),
    "label_without_mask": Kind(WARN, "labeled slices have no mask", "the mask counts; look at the slices"),
    "mask_without_label": Kind(WARN, "slices with a mask are labeled 'no hemorrhage'", "the mask counts; look at them"),
    # The folder as a whole
    "checksums_missing": Kind(WARN, "there is no list of checksums", "take it from the original download"),
    "checksums_malformed": Kind(WARN, "lines are no checksum with a path", "take the list of the original download"),
    "listed_missing": Kind(WARN, "a listed file is not there", FETCH),
    "extra_file": Kind(WARN, "a file is none of the dataset's", "move it elsewhere, or rename it"),
    "table_missing": Kind(WARN, "a table is not there", FETCH),
    "table_unreadable": Kind(WARN, "a table cannot be read, or its header is another", FETCH),
    "table_checksum_wrong": Kind(WARN, "a table is not the one that the list names", FETCH),
    "table_without_mark": Kind(ACCEPT, "a table has lost its byte order mark", "nothing; it is read all the same"),
    "rows_without_patient": Kind(ACCEPT, "rows name no patient", "nothing; they are passed over"),
}


@dataclass(frozen=True)
class Finding:
    """One problem: what was found in which file, and what was expected.

    Attributes
    ----------
    code
        A key of :data:`KINDS`.
    file
        The file as the dataset calls it.
    found, expected
        Never a row of a table or an age: at most a patient, a line number and counts.
    """

    code: str
    file: str
    found: str
    expected: str

    @property
    def verdict(self) -> str:
        """One of :data:`VERDICTS`."""
        return KINDS[self.code].verdict

    def __str__(self) -> str:
        """Return the sentence that a person reads."""
        return f"{self.code}: {self.file}: found {self.found}, expected {self.expected}; {KINDS[self.code].remedy}"

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return asdict(self) | {"verdict": self.verdict, "message": str(self)}


def listed(items: Iterable[object], most: int = 12) -> str:
    """Join some items, and say how many more there are."""
    names = [str(item) for item in items]
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def worst(found: Iterable[Finding]) -> str:
    """Return the worst of the findings' verdicts, ``accept`` without any."""
    return max((finding.verdict for finding in found), key=VERDICTS.index, default=ACCEPT)
