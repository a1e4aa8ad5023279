"""The CT-ICH folder with its quirks."""

import pytest
from ichflow import ctich, dataset
from ichflow.errors import IchflowError

HEADER = ",".join(ctich.DIAGNOSIS_COLUMNS)


@pytest.fixture
def folder(tmp_path):
    for part in (ctich.SCANS, ctich.MASKS):
        (tmp_path / part).mkdir()
    (tmp_path / ctich.SCANS / "049.nii").touch()
    (tmp_path / ctich.MASKS / "050.nii").touch()
    (tmp_path / ctich.CHECKSUMS).write_text(f"{'A' * 64}  ct_scans/066.nii\n{'b' * 64} *LICENSE.txt\n\n")
    rows = ["49,1,0,0,0,1,0,0,1", "49,2,0,0,0,0,0,1,0", "100,1,1,0,0,0,0,0,0", ",,,,,,,,"]
    (tmp_path / ctich.DIAGNOSIS).write_text("\n".join([HEADER, *rows]), encoding="utf-8-sig")
    (tmp_path / ctich.DEMOGRAPHICS).write_text(
        'Patient,"Age\n(years)",Gender ,Type,\n,,,one ,two \n'
        "49,0.002,Female,1,\n50, 30 ,Male ,,\n59,7,Male,,\nTotal,37,,,\n",
        encoding="utf-8-sig",
    )
    return tmp_path


def test_every_part_of_a_folder_names_patients(folder):
    assert ctich.patients(folder) == ["049", "050", "066", "100"]


def test_patients_are_sorted_by_number(folder):
    (folder / ctich.SCANS / "1000.nii").touch()
    assert ctich.patients(folder)[-1] == "1000"


def test_a_folder_without_patients_is_refused(tmp_path):
    with pytest.raises(IchflowError, match="names no patient"):
        ctich.patients(tmp_path)


def test_no_folder_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(IchflowError, match=r"dataset\.folder: no folder at .*absent.*data use agreement"):
        ctich.patients(tmp_path / "absent")


def test_checksums(folder):
    listed = {"ct_scans/066.nii": "a" * 64, "LICENSE.txt": "b" * 64}
    assert ctich.read_checksums(folder) == (listed, [])
    path = folder / ctich.CHECKSUMS
    path.write_bytes(path.read_bytes() + b"cut off\n" + b"c" * 64)
    assert ctich.read_checksums(folder) == (listed, [4, 5])
    path.unlink()
    assert ctich.read_checksums(folder) == ({}, [])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_diagnosis_with_and_without_byte_order_mark(folder, encoding):
    path = folder / ctich.DIAGNOSIS
    path.write_text(path.read_text(encoding="utf-8-sig"), encoding=encoding)
    diagnosis = ctich.read_diagnosis(folder)
    slices = diagnosis.labels
    assert diagnosis.has_mark == (encoding == "utf-8-sig")
    assert diagnosis.without_patient == [5]
    assert set(slices) == {"049", "100"}
    assert slices["049"][1].found == {"epidural", "fracture"}
    assert slices["049"][1].has_hemorrhage
    assert not slices["049"][2].has_hemorrhage


def test_a_missing_column_is_named(folder):
    path = folder / ctich.DIAGNOSIS
    path.write_text(path.read_text(encoding="utf-8-sig").replace("No_Hemorrhage", "None"))
    with pytest.raises(IchflowError, match="column No_Hemorrhage not found"):
        ctich.read_diagnosis(folder)
    assert ctich.patients(folder) == ["049", "050", "066"]  # verification tells what is wrong with the table


def test_a_value_that_is_no_number_names_its_line_only(folder):
    path = folder / ctich.DIAGNOSIS
    path.write_text(path.read_text(encoding="utf-8-sig").replace("49,2,0", "49,two,0"))
    with pytest.raises(IchflowError, match=r"line 3: a value is no whole number") as refused:
        ctich.read_diagnosis(folder)
    assert "two" not in str(refused.value)


def test_demographics_pass_over_headers_and_totals(folder):
    people = ctich.read_demographics(folder)
    assert set(people) == {"049", "050", "059"}
    assert (people["049"].age_years, people["049"].sex) == (0.002, "F")
    assert (people["050"].age_years, people["050"].sex) == (30.0, "M")


def test_slices_without_a_row_count_as_free(folder):
    labels = ctich.read_diagnosis(folder).labels["049"]
    assert [at.has_hemorrhage for at in dataset.labels_at(labels, 3)] == [True, False, False]


def test_chosen_patients():
    assert dataset.chosen(["049", "050"], []) == ["049", "050"]
    assert dataset.chosen(["049", "050"], ["50"]) == ["050"]
    with pytest.raises(IchflowError, match=r"dataset\.patients: no patient 60"):
        dataset.chosen(["049", "050"], [60])
