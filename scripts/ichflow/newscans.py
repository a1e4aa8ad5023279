"""Scans without truth, which an exported model predicts.

Nothing heavy is imported, since the workflow looks for scans each time it builds its graph.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from ichflow import dataset
from ichflow.dataset import SCAN, Case
from ichflow.errors import IchflowError
from ichflow.files import plain

PART = "new"
"""The part of a patient that no fold has seen."""

SUFFIXES = (".nii", ".nii.gz")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def find(folder: str | Path) -> dict[str, Path]:
    """Find the scans in a folder.

    Parameters
    ----------
    folder
        Holds ``.nii`` and ``.nii.gz`` files, and folders with one DICOM series each.

    Returns
    -------
    dict
        Name, which is that of the file without its suffix, to path; in the order in which people count.

    Raises
    ------
    IchflowError
        There is no such folder or no scan in it, two scans have the same name, or a name is none for a result.
    """
    folder = plain(Path(folder), "scans")
    if not folder.is_dir():
        raise IchflowError(f"scans: no folder at '{folder.absolute()}'; expected one with NIfTI files or DICOM series")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not (path.is_dir() or path.name.endswith(SUFFIXES)):
            continue
        name = path.name if path.is_dir() else re.sub(r"\.nii(\.gz)?$", "", path.name)
        if not _NAME.fullmatch(name):
            raise IchflowError(
                f"scans: found '{path.name}' in '{folder}', expected names of letters, digits, '.', '_' and '-', as "
                "results are called after them; rename it, or give a folder of symbolic links"
            )
        if name.lower() in map(str.lower, found):  # file systems exist that take the two for the same
            raise IchflowError(
                f"scans: found both '{found.get(name, name)}' and '{path.name}', expected one scan of a name; "
                "rename one of them"
            )
        found[name] = path
    if not found:
        raise IchflowError(f"scans: no scan in '{folder.absolute()}'; expected .nii or .nii.gz files, or DICOM folders")
    return {name: found[name] for name in dataset.in_order(found)}


def models(given: str | Sequence[str]) -> list[str]:
    """Return the paths of exported models, one or several to average.

    Raises
    ------
    IchflowError
        There is no such file.
    """
    paths = [given] if isinstance(given, str) else list(given)
    for path in paths:
        if not plain(Path(path), "model").is_file():
            raise IchflowError(
                f"model: no file at '{Path(path).absolute()}'; expected a model.onnx as the target 'export' makes it"
            )
    return paths


def case(name: str, path: str | Path, note: dict[str, str] | None = None) -> Case:
    """Make the case of a scan without mask and labels.

    Parameters
    ----------
    name, path
        The scan, a NIfTI file.
    note
        What became of a DICOM series: ``problem`` and ``slices``; None for what came as NIfTI.
    """
    told = note or {"problem": "", "slices": ""}
    return Case(
        name,
        {SCAN: Path(path)},
        {SCAN: Path(path).name},
        known_labels=frozenset(),
        problem=told["problem"],
        resampled=told["slices"],
    )
