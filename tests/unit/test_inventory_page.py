"""The page of a dataset says what was found, and for CT-ICH what differs from the published dataset."""

import pytest
from ichflow import ctich, figures_dataset, inventory, inventory_page, thumbnails
from ichflow.checks import HISTOGRAM_HU
from ichflow.dataset import LABELS
from ichflow.findings import Finding
from support import ROOT

TEMPLATE = ROOT / "workflow/report/page.html.j2"


def verified(patient, findings=(), **facts):
    known = {
        "slices": 37,
        "rows": 512,
        "columns": 512,
        "mask_pixels": [0] * 36 + [500],
        "bleed_ml": 0.4,
        "column_mm": 0.4,
        "slice_spacing_mm": 5.0,
        "labels": {"epidural": [37]},
        "patient_labels": ["epidural"],
        "known_labels": sorted(LABELS),
        "content_sha256": patient,
        "shown_slice": 37,
        "histogram": [1] * (len(HISTOGRAM_HU) - 1),
    }
    aside = any(finding.verdict == "set aside" for finding in findings)
    return {
        "patient": patient,
        "verdict": "set aside" if aside else "warn" if findings else "accept",
        "findings": [finding.as_json() for finding in findings],
        "sources": {},
        "person": {"age_years": 28.0, "sex": "M"},
        "facts": {"known_labels": sorted(LABELS)} if aside else known | facts,
    }


BROKEN = Finding("file_truncated", "ct_scans/070.nii", "data that end", "data for every voxel")
ODD = Finding("label_without_mask", "masks/085.nii", "nothing marked on slices 3", "a mask, as labeled")
EXTRA = Finding("extra_file", "notes.txt", "a file of no known name", "scans")


@pytest.fixture
def patients():
    return [verified("049"), verified("070", [BROKEN]), verified("085", [ODD])]


@pytest.fixture
def written(patients, tmp_path):
    def write(**about):
        rows = [inventory.row(each) for each in patients]
        rows = [{name: row.get(name) for name in inventory.SCHEMA.names} for row in rows]
        histograms = [each["facts"].get("histogram", []) for each in patients]
        figures_dataset.distributions(rows, histograms, tmp_path / "figure.png")
        known = {"name": "copy", "phantom": False, "edition": None, "restricted": True}
        page = inventory_page.assemble(
            inventory_page.About(**known | about),
            rows,
            [EXTRA.as_json()],
            patients,
            [thumbnails.blank()] * len(patients),
            tmp_path / "figure.png",
        )
        inventory_page.write(TEMPLATE, page, tmp_path / "inventory.html")
        return (tmp_path / "inventory.html").read_text(encoding="utf-8")

    return write


def test_everyone_is_shown_with_verdict_and_reason(written):
    page = written()
    assert "3 patients: 1 accepted, 1 accepted with warnings, 1 set aside" in page
    assert page.count('src="data:image/png') == 4
    assert '<figure class="aside">' in page
    assert '<figure class="warn">' in page
    assert "070 · no picture · set aside" in page
    for finding in (BROKEN, ODD, EXTRA):
        assert str(finding) in page
    assert "nothing marked on slices 3" in page.split("Labels against masks</h2>")[1]


def test_the_published_counts_stand_beside_those_of_a_copy(written):
    page = written(edition="ct-ich-1.3.1")
    section = page.split("Published counts</h2>")[1].split("</section>")[0]
    for name, value in ctich.PUBLISHED_COUNTS.items():
        assert name in section
        assert f"{value:,}" in section
    differ = section.split("These differ: ")[1].split(".</p>")[0]
    assert "slices" in differ.split(", ")
    assert "age in years, mean" not in differ
    assert "the authors leave it out" in page
    assert "newborn" in page


def test_no_other_dataset_is_compared_with_ct_ich(written):
    page = written()
    assert "No published edition is named" in page
    assert "newborn" not in page


@pytest.mark.parametrize("restricted", [True, False])
def test_the_banner_stands_on_restricted_pages_only(written, restricted):
    assert ("Do not share" in written(restricted=restricted)) is restricted


def test_nothing_is_loaded_from_elsewhere(written):
    page = written(edition="ct-ich-1.3.1")
    assert 'src="http' not in page
    assert 'href="http' not in page


def test_a_dataset_of_which_nobody_is_accepted_still_has_a_page(patients, written):
    patients[:] = [verified("070", [BROKEN])]
    assert "1 set aside" in written()


def test_labels_of_patients_only_are_counted_as_such():
    rows = [inventory.row(verified("049", labels={}, patient_labels=["fracture", "subdural"]))]
    rows = [{name: row.get(name) for name in inventory.SCHEMA.names} for row in rows]
    counts = inventory.counts(rows)
    assert counts["patients with subdural hemorrhage"] == counts["patients with fracture"] == 1
    assert counts["slices with subdural hemorrhage"] is None


def test_what_is_not_known_is_not_absent():
    rows = [inventory.row(verified("049", labels={}, patient_labels=[], known_labels=[]))]
    counts = inventory.counts([{name: row.get(name) for name in inventory.SCHEMA.names} for row in rows])
    assert rows[0]["fracture"] is rows[0]["subtypes"] is counts["patients with fracture"] is None
    assert counts["patients with epidural hemorrhage"] is None


def test_two_patients_with_the_same_scan_are_told_of_both():
    rows = [inventory.row(verified(name, content_sha256=scan)) for name, scan in (("a", "1"), ("b", "2"), ("c", "1"))]
    marked = {row["patient"]: row for row in inventory.mark_repeated(rows)}
    assert "the scan of c" in marked["a"]["reasons"]
    assert "the scan of a" in marked["c"]["reasons"]
    assert [marked[name]["verdict"] for name in "abc"] == ["warn", "accept", "warn"]
