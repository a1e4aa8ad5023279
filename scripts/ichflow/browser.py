"""The case browser: one page that lists every patient and draws the one that is chosen, opened from the file system.

The page holds the list. What draws is NiiVue (https://github.com/niivue/niivue, BSD 2-Clause), a script file beside it
that is made from the one inside the wheel of ipyniivue; each patient is another one, see :mod:`ichflow.viewer`.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from ichflow import inventory, tables
from ichflow.dataset import SUBTYPES
from ichflow.errors import IchflowError
from ichflow.files import write_text
from ichflow.recipes import BASELINES
from ichflow.tables import Row
from ichflow.templates import filled
from ichflow.windows import WINDOWS

SET_ASIDE = "set aside"
PATIENT_KEYS = ("patient", "part", "trueMl", "subtypes", "reasons")
METRIC_KEYS = ("dice", "hd95", "predictedMl", "wrongMl")

_PIXELS = ["true_px", "predicted_px", "false_positive_px", "false_negative_px"]
_READ = ["patient", "model", "part", "dice", "hd95_mm", "true_ml", "predicted_ml", *_PIXELS]

_WHEEL = "ipyniivue"
# The bundle hands out a notebook widget only, and this is where the widget makes its one viewer
_CLASS = re.compile(r'console\.log\("Creating new Niivue instance"\);[^;]*;?\w+=new (\w+)\(')
_EXPORT = re.compile(r"export\{\w+ as default\};\s*$")


@dataclass(frozen=True)
class Page:
    """What the template shows.

    Attributes
    ----------
    name
        Of the run.
    phantom, restricted
        Whether scans are simulated; whether the page must not be shared.
    models, model
        Those to choose from; the one that is chosen at first.
    subtypes
        Those to filter by.
    data
        The list as JSON, safe inside a script element.
    """

    name: str
    phantom: bool
    restricted: bool
    models: Sequence[str]
    model: str
    subtypes: Sequence[str]
    data: str


def measured_patients(path: str | Path) -> list[Row]:
    """Read what the list needs of ``metrics.parquet``: a row a patient and model, without those of slices."""
    return tables.read(path, _READ, [("level", "=", "patient")])


def assemble(
    rows: Sequence[Row], measured: Iterable[Row], models: Sequence[str], *, name: str, phantom: bool, restricted: bool
) -> Page:
    """Make the page of a run.

    Parameters
    ----------
    rows
        The inventory.
    measured
        What :func:`measured_patients` reads.
    models
        The run's models; the first is shown first.
    name, phantom, restricted
        As in :class:`Page`.
    """
    chosen = [*models, *BASELINES]
    by_model: dict[str, dict[str, Row]] = {model: {} for model in chosen}
    for row in measured:
        by_model[row["model"]][row["patient"]] = row
    # Every model measures the same patients: the baselines are always there
    of_patients = by_model[BASELINES[0]]
    content = {
        "windows": [[window, level, width] for window, (level, width) in WINDOWS.items()],
        "patientKeys": PATIENT_KEYS,
        "metricKeys": METRIC_KEYS,
        "patients": [_patient(row, of_patients.get(row["patient"])) for row in rows],
        "metrics": {model: [_metrics(by_model[model].get(row["patient"])) for row in rows] for model in chosen},
    }
    return Page(name, phantom, restricted, chosen, chosen[0], SUBTYPES, _embedded(content))


def _patient(row: Row, measured: Row | None) -> list[Any]:
    if measured is None:
        return [row["patient"], SET_ASIDE, None, None, row["reasons"]]
    subtypes = ", ".join(inventory.subtypes(row))
    return [row["patient"], measured["part"], _short(measured["true_ml"]), subtypes or None, None]


def _metrics(row: Row | None) -> list[float | None] | None:
    if row is None:
        return None
    wrong_px = row["false_positive_px"] + row["false_negative_px"]
    marked_px, marked_ml = row["true_px"] + row["predicted_px"], row["true_ml"] + row["predicted_ml"]
    wrong_ml = wrong_px * marked_ml / marked_px if marked_px else 0.0
    return [_short(value) for value in (row["dice"], row["hd95_mm"], row["predicted_ml"], wrong_ml)]


def _short(value: float | None) -> float | None:
    """Round to four digits: the list of ten thousand patients is part of the page."""
    return None if value is None else float(f"{value:.4g}")


def _embedded(content: Mapping[str, Any]) -> str:
    # Without this sign no text in it can end the script element
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def write(template: str | Path, page: Page, output: str | Path) -> None:
    """Write the page as one HTML file.

    Raises
    ------
    IchflowError
        The template, or one that it includes, is missing or asks for what the page lacks.
    """
    write_text(output, filled(template, page))


def write_niivue(script: str | Path, license_text: str | Path) -> None:
    """Write NiiVue as a script that needs no server, and its license.

    Raises
    ------
    IchflowError
        ipyniivue is not installed, or is one whose bundle is laid out in another way.
    """
    try:
        wheel = distribution(_WHEEL)
    except PackageNotFoundError:
        raise IchflowError(f"{_WHEEL}: not installed; expected it as requirements.txt pins it") from None
    bundle = Path(str(wheel.locate_file(f"{_WHEEL}/static/widget.js")))
    write_text(script, as_script(bundle.read_text(encoding="utf-8"), f"{_WHEEL} {wheel.version}"))
    write_text(license_text, wheel.read_text("licenses/LICENSE") or "")


def as_script(bundle: str, origin: str) -> str:
    """Turn the module into a script that sets ``window.Niivue``: pages from the file system cannot load modules.

    Raises
    ------
    IchflowError
        The class or the export is not where it is expected.
    """
    classes, exports = _CLASS.findall(bundle), _EXPORT.findall(bundle)
    if len(classes) != 1 or len(exports) != 1:
        raise IchflowError(
            f"{origin}: found {len(classes)} places that make a viewer and {len(exports)} exports, expected one of "
            "each; install the version that requirements.txt pins"
        )
    body = _EXPORT.sub(f"window.Niivue={classes[0]};", bundle)
    return f'// NiiVue, from {origin}; see LICENSE-niivue.txt\n(() => {{"use strict";{body}}})();\n'
