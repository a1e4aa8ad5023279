"""What the workflow asks of a source: patients, files, and the case of one patient as JSON."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
import yaml
from ichflow import ctich, intake, settings
from ichflow.errors import IchflowError
from ichflow.schemas import FOLDER
from support import unprivileged


def opened(tmp_path, **keys):
    config = {"dataset": {"name": "x", **keys}, "models": []}
    settings.complete(config, FOLDER / "config.schema.yaml")
    return intake.open_source(config, str(tmp_path / "resources"))


@pytest.fixture
def folder(tmp_path):
    for part in (ctich.SCANS, ctich.MASKS):
        (tmp_path / "data" / part).mkdir(parents=True)
        for patient in ("049", "050"):
            (tmp_path / "data" / part / f"{patient}.nii").write_text("x")
    (tmp_path / "data" / ctich.DIAGNOSIS).touch()
    return tmp_path / "data"


def test_the_phantom_and_physionet_are_complete_before_anything_is_there(tmp_path):
    phantom = opened(tmp_path, source="phantom")
    assert len(phantom.patients) == 44
    assert [Path(name).name for name in phantom.volumes("049")] == ["049.nii", "049.nii"]
    assert [Path(name).name for name in phantom.tables()] == list(ctich.TABLES)
    published = opened(tmp_path, source="physionet")
    assert len(published.patients) == 75
    assert {"059", "065"}.isdisjoint(published.patients)
    assert opened(tmp_path, source="physionet", patients=[100, 49]).patients == ["049", "100"]


def test_a_folder_gives_what_is_there(tmp_path, folder):
    source = opened(tmp_path, source="folder", folder=str(folder))
    assert source.patients == ["049", "050"]
    assert source.volumes("049") == [f"{folder}/ct_scans/049.nii", f"{folder}/masks/049.nii"]
    assert source.tables() == [f"{folder}/{ctich.DIAGNOSIS}"]
    (folder / "masks/050.nii").unlink()
    assert source.volumes("050") == [f"{folder}/ct_scans/050.nii"]
    (folder / "ct_scans/050.nii").rename(folder / "ct_scans/050.nii.gz")
    assert source.volumes("050") == [f"{folder}/ct_scans/050.nii.gz"]
    target = folder.parent / "elsewhere.nii"
    (folder / "masks/049.nii").rename(target)
    (folder / "masks/049.nii").symlink_to(target)
    assert len(source.volumes("049")) == 2


def test_a_file_that_may_not_be_read_is_no_input(folder):
    """Snakemake reads small inputs itself, and would stop at this one for all patients."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        copy = Path(shutil.copytree(folder, Path(name) / "copy"))
        for path in (copy, *copy.rglob("*")):
            path.chmod(0o755)
        (copy / "ct_scans/050.nii").chmod(0)
        source = opened(copy, source="folder", folder=str(copy))
        with unprivileged():
            assert source.volumes("050") == [f"{copy}/masks/050.nii"]
            assert len(source.volumes("049")) == 2


def test_a_folder_that_may_not_be_entered_is_told(folder):
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        copy = Path(shutil.copytree(folder, Path(name) / "copy"))
        copy.chmod(0 if os.geteuid() else 0o700)
        with (
            unprivileged(),
            pytest.raises(IchflowError, match=r"dataset\.folder: .*cannot be read \(Permission denied\)"),
        ):
            ctich.patients(copy)
        copy.chmod(0o700)


@pytest.mark.parametrize("deep", ["ct-ich", "physionet.org/files/ct-ich/1.3.1"])
def test_a_folder_too_high_up_is_told_with_the_right_one(tmp_path, folder, deep):
    (tmp_path / "up" / deep).parent.mkdir(parents=True)
    folder.rename(tmp_path / "up" / deep)
    with pytest.raises(IchflowError, match=rf"which may be '.*up/{deep}'"):
        opened(tmp_path, source="folder", folder=str(tmp_path / "up"))


def test_the_case_of_a_sheet_changes_with_its_own_row_only(tmp_path):
    sheet = tmp_path / "sheet.csv"
    rows = ["patient,ct,mask,sex", "A,a.nii,b.nii,", "B,c.nii,d.nii,"]
    sheet.write_text("\n".join(rows))
    before = opened(tmp_path, source="folder", sheet=str(sheet))
    sheet.write_text("\n".join([*rows[:2], rows[2] + "M"]))
    after = opened(tmp_path, source="folder", sheet=str(sheet))
    assert before.digest("A") == after.digest("A")
    assert before.digest("B") != after.digest("B")
    assert before.description() == after.description()
    case = intake.read_case(after.description(), "B")
    assert case.person.sex == "M"
    assert case.paths["scan"] == tmp_path / "c.nii"


def test_paths_of_a_sheet_count_from_the_folder_if_there_is_one(tmp_path):
    (tmp_path / "sheet.csv").write_text("patient,ct,mask\nA,a.nii,/elsewhere/b.nii\n")
    source = opened(tmp_path, source="folder", sheet=str(tmp_path / "sheet.csv"), folder="/data")
    assert source.case("A").paths == {"scan": Path("/data/a.nii"), "mask": Path("/elsewhere/b.nii")}


def test_why_a_series_gave_no_scan_is_handed_on(tmp_path):
    (tmp_path / "series").mkdir()
    (tmp_path / "sheet.csv").write_text("patient,ct,mask\nA,series,b.nii\n")
    source = opened(tmp_path, source="folder", sheet=str(tmp_path / "sheet.csv"))
    scan, note = source.volumes("A")
    Path(note).parent.mkdir(parents=True)
    Path(note).write_text(json.dumps({"problem": "2 volumes", "slices": ""}))
    case = intake.read_case(source.description(), "A")
    assert (case.problem, case.paths["scan"]) == ("2 volumes", Path(scan))


@pytest.mark.parametrize("odd", ["a{b}", "c<d>e"])
def test_a_path_that_snakemake_takes_for_a_pattern_is_refused(tmp_path, folder, odd):
    folder.rename(tmp_path / odd)
    with pytest.raises(IchflowError, match=r"dataset\.folder: the path .* which Snakemake takes for a pattern"):
        opened(tmp_path, source="folder", folder=str(tmp_path / odd))
    (tmp_path / "sheet.csv").write_text(f"patient,ct,mask\nA,{odd},b.nii\n")
    with pytest.raises(IchflowError, match=r"dataset\.sheet: the path .* which Snakemake takes for a pattern"):
        opened(tmp_path, source="folder", sheet=str(tmp_path / "sheet.csv"))


def test_a_number_with_a_zero_before_it_is_no_other_patient(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("dataset:\n  patients: [49, 071]\n")
    with pytest.raises(
        IchflowError, match=r"dataset\.patients: found 071, which YAML reads as an octal number; expected 71"
    ):
        settings.refuse_octal([path])
    path.write_text("dataset:\n  patients: [49, 049, '071', \"072\", a-071, 0]\n")
    settings.refuse_octal([path, FOLDER.parents[1] / "config/config.yaml"])


def test_a_new_file_in_a_folder_is_seen(tmp_path, folder):
    source = opened(tmp_path, source="folder", folder=str(folder))
    before = source.listing()
    (folder / ".hidden").touch()
    assert source.listing() == before
    (folder / "masks/notes.txt").touch()
    assert source.listing() != before


def test_labels_that_are_not_there_are_told(tmp_path):
    (tmp_path / "sheet.csv").write_text("patient,ct,mask\nA,a.nii,b.nii\n")
    with pytest.raises(IchflowError, match=r"dataset\.labels: no file at .*absent\.csv"):
        opened(tmp_path, source="folder", sheet=str(tmp_path / "sheet.csv"), labels="absent.csv")


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"source": "zip"}, "dataset.zip: nothing found"),
        ({"source": "folder"}, "dataset.folder: nothing found"),
        ({"source": "phantom", "zip": "a.zip"}, "dataset.zip: found a value, expected none"),
        ({"source": "zip", "zip": "a.zip", "sheet": "a.csv"}, "dataset.sheet: found a value, expected none"),
        (
            {"source": "folder", "folder": "a", "labels": "a.csv"},
            "dataset.labels: found a value, expected none without",
        ),
        ({"source": "folder", "folder": "a", "mask_classes": ["epidural"]}, "expected none without dataset.sheet"),
        ({"source": "physionet", "connections": 99}, "dataset.connections: 99 is greater than the maximum of 8"),
    ],
)
def test_keys_at_odds_are_refused(tmp_path, keys, told):
    with pytest.raises(IchflowError) as refused:
        opened(tmp_path, **keys)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("keys", "restricted"),
    [
        ({"source": "phantom"}, False),
        ({"source": "folder", "folder": "a"}, True),
        ({"source": "zip", "zip": "a"}, True),
        ({"source": "physionet"}, True),
        ({"source": "physionet", "restricted": False}, False),
        ({"source": "phantom", "restricted": True}, True),
    ],
)
def test_everything_but_the_phantom_is_restricted_unless_said_otherwise(keys, restricted):
    config = {"dataset": {"name": "x", **keys}, "models": []}
    settings.complete(config, FOLDER / "config.schema.yaml")
    assert config["dataset"]["restricted"] is restricted


def test_what_the_workflow_makes_is_ignored_by_git():
    ignored = (FOLDER.parents[1] / ".gitignore").read_text().splitlines()
    assert {"/resources/", "/results/", "/logs/", "/benchmarks/"} <= set(ignored)
    assert (
        yaml.safe_load((FOLDER.parents[1] / "config/ct-ich.yaml").read_text())["dataset"]["edition"] == "ct-ich-1.3.1"
    )
