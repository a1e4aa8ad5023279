"""The sheet that describes a dataset: read, and refused by line without repeating what is in it."""

import pytest
from ichflow import sheet
from ichflow.dataset import Person, SliceLabels
from ichflow.errors import IchflowError


@pytest.fixture
def written(tmp_path):
    def write(text, name="sheet.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_text(text, encoding=encoding)
        return path

    return write


def test_patients_come_in_the_order_in_which_people_count(written):
    rows = sheet.read(written("patient,ct,mask\nsub-10,a.nii,b.nii\nsub-9,c.nii,d.nii\n"))
    assert list(rows) == ["sub-9", "sub-10"]
    assert rows["sub-9"] == {"patient": "sub-9", "ct": "c.nii", "mask": "d.nii"}


def test_labels_and_demographics(written):
    text = "patient,ct,mask,age_years,sex,epidural,fracture\nA,a,b,0.5,F,1,0\nB,c,d,,,,\n"
    rows = sheet.read(written(text, encoding="utf-8-sig"))
    case = sheet.case(rows["A"], {}, None, {})
    assert case.person == Person(0.5, "F")
    assert case.patient_labels == {"epidural"}
    assert not case.has_table
    nothing = sheet.case(rows["B"], {}, None, {})
    assert nothing.person == Person()
    assert nothing.patient_labels is None
    assert (case.known_labels, nothing.known_labels) == ({"epidural", "fracture"}, set())
    assert not case.knows_subtypes


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("patient,ct\nA,a\n", "column 'mask' not found in the first row"),
        ("patient,ct,mask,agee\nA,a,b,3\n", "unknown column 'agee'"),
        ("patient;ct;mask\nA;a;b\n", "separated by semicolons"),
        ("patient,ct,mask\n", "has no row"),
        ("", "column 'patient' not found"),
        ("patient,ct,mask\nA,a,b\nA,c,d\n", "line 3: patient A stands on line 2 already"),
        ("patient,ct,mask\nA,a,b\na,c,d\n", "line 3: patient a stands on line 2 already"),
        ("patient,ct,mask\n../A,a,b\n", "line 2: 'patient' is not what is expected"),
        ("patient,ct,mask\nA,,b\n", "line 2: 'ct' is empty"),
        ("patient,ct,mask,sex\nA,a,b,female\n", "line 2: 'sex' is not what is expected (['M', 'F', None])"),
        ("patient,ct,mask,epidural\nA,a,b,yes\n", "line 2: 'epidural' is not what is expected"),
        ("patient,ct,mask,age_years\nA,a,b,300\n", "line 2: 'age_years' is not what is expected"),
        ("patient,ct,mask\nA,a,b,c\n", "line 2: a field beyond the last column"),
        ("patient,ct,ct,mask\nA,a,a,b\n", "column 'ct' stands there twice"),
        ("patient,ct,mask,age_years\nA,a,b,nan\n", "line 2: 'age_years' is not what is expected"),
        ("patient,ct,mask\nA,a,b\nB,a,c\n", "line 3: the scan is that of line 2"),
    ],
)
def test_a_bad_sheet_is_refused_by_line(written, text, told):
    with pytest.raises(IchflowError) as refused:
        sheet.read(written(text))
    assert told in str(refused.value)
    assert "sheet.csv" in str(refused.value)


def test_a_message_does_not_repeat_what_is_in_a_row(written):
    with pytest.raises(IchflowError) as refused:
        sheet.read(written("patient,ct,mask,age_years,sex\nA,a,b,old (born 1931),Mr Smith\n"))
    assert "1931" not in str(refused.value)
    with pytest.raises(IchflowError) as refused:
        sheet.read(written("A,a,b,71,Smith\n"))  # no header
    assert "71" not in str(refused.value)
    assert "Smith" not in str(refused.value)


def test_no_sheet_and_no_text(tmp_path):
    with pytest.raises(IchflowError, match=r"dataset\.sheet: no file at .*absent\.csv"):
        sheet.read(tmp_path / "absent.csv")
    (tmp_path / "zip.csv").write_bytes(b"PK\x03\x04\xff\xfe\x00")
    with pytest.raises(IchflowError, match="no CSV file in UTF-8"):
        sheet.read(tmp_path / "zip.csv")


def test_many_problems_are_told_in_part(written):
    with pytest.raises(IchflowError, match=r"and 5 more"):
        sheet.read(written("patient,ct,mask\n" + "".join(f"{n},,b\n" for n in range(15))))


def test_slice_labels_of_one_patient(written):
    path = written("patient,slice,epidural,fracture\nA,1,1,0\nA,2,0,1\nB,1,0,0\nA,2,1,1\n", "labels.csv")
    labels, repeated, known = sheet.read_labels(path, "A")
    assert labels == {
        1: SliceLabels(frozenset({"epidural"}), no_hemorrhage=False),
        2: SliceLabels(frozenset({"fracture"}), no_hemorrhage=True),
    }
    assert repeated == [2]
    assert known == {"epidural", "fracture"}
    assert sheet.read_labels(path, "C") == ({}, [], known)
    assert sheet.check_labels(path, ["A"]) == ["B"]


def test_spreadsheets_leave_empty_columns_and_spaces(written):
    path = written("patient , slice,epidural,,\nA ,1,1,,\n", "labels.csv")
    assert sheet.read_labels(path, "A").slices == {1: SliceLabels(frozenset({"epidural"}), no_hemorrhage=False)}


def test_bad_slice_labels_are_refused(written):
    with pytest.raises(IchflowError, match=r"(?s)dataset\.labels: .*line 2: 'slice' is not what is expected"):
        sheet.read_labels(written("patient,slice\nA,0\n", "labels.csv"), "A")
