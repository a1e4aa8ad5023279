"""The zip of a dataset: taken apart file by file, and told for what it is when it is none."""

import os
import shutil
import zipfile
from pathlib import Path

import pytest
from ichflow import archive, ctich
from ichflow.archive import Archive
from ichflow.errors import IchflowError

ROOT = "computed-tomography-1.3.1/"
FILES = {
    "ct_scans/049.nii": b"scan" * 5000,
    "masks/049.nii": b"mask" * 5000,
    "masks/066.nii.gz": b"other",
    "SHA256SUMS.txt": b"sums",
    "LICENSE.txt": b"license",
}


@pytest.fixture
def zipped(tmp_path):
    def write(files, root=ROOT, compression=zipfile.ZIP_DEFLATED):
        path = tmp_path / "copy of CT-ICH.zip"
        with zipfile.ZipFile(path, "w", compression) as made:
            for name, content in files.items():
                made.writestr(root + name, content)
        return path

    return write


@pytest.mark.parametrize("root", [ROOT, "", "a/b/"])
def test_files_come_out_under_their_names(zipped, tmp_path, root):
    opened = Archive(zipped(FILES, root))
    assert opened.names == set(FILES)
    assert opened.patients == ["049", "066"]
    assert opened.extract(FILES, tmp_path / "out") == []
    assert {name: (tmp_path / "out" / name).read_bytes() for name in FILES} == FILES


def test_only_what_is_asked_for_comes_out(zipped, tmp_path):
    Archive(zipped(FILES)).extract(["masks/049.nii"], tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").rglob("*.nii")] == ["049.nii"]


@pytest.mark.parametrize(
    "evil",
    [
        "../evil.txt",
        "../../evil.txt",
        "ct_scans/../../evil.txt",
        "/evil.txt",
        "a\\..\\evil.txt",
        "C:evil.txt",
        "./evil",
    ],
)
@pytest.mark.parametrize("root", [ROOT, ""])
def test_no_path_leaves_the_folder(zipped, tmp_path, evil, root):
    opened = Archive(zipped(FILES | {evil: b"evil"}, root))
    assert opened.names == set(FILES)
    opened.extract(opened.names, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").rglob("*.*")} == {Path(name).name for name in FILES}
    assert not list(tmp_path.glob("*evil*"))


def test_a_dataset_that_lies_above_the_folder_comes_into_it(zipped, tmp_path):
    Archive(zipped(FILES, "../../")).extract(["masks/049.nii"], tmp_path / "in" / "out")
    assert (tmp_path / "in/out/masks/049.nii").is_file()
    assert not (tmp_path / "masks").exists()


def test_what_a_mac_adds_is_passed_over(zipped):
    files = {ROOT + name: content for name, content in FILES.items()}
    opened = Archive(zipped(files | {f"__MACOSX/{ROOT}ct_scans/._049.nii": b"", "__MACOSX/ct_scans/049.nii": b""}, ""))
    assert opened.names == set(FILES)


def test_a_link_becomes_a_plain_file(tmp_path):
    path = tmp_path / "links.zip"
    with zipfile.ZipFile(path, "w") as made:
        entry = zipfile.ZipInfo("ct_scans/049.nii")
        entry.external_attr = 0o120777 << 16
        made.writestr(entry, "/etc/passwd")
    Archive(path).extract(["ct_scans/049.nii"], tmp_path / "out")
    assert not (tmp_path / "out/ct_scans/049.nii").is_symlink()
    assert (tmp_path / "out/ct_scans/049.nii").read_text() == "/etc/passwd"


def test_a_truncated_zip_is_told_as_such(zipped):
    path = zipped(FILES)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(IchflowError, match=r"dataset\.zip: .*is cut off.*Download it again"):
        Archive(path)


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><title>Log in</title>"])
def test_no_zip_is_told_as_such(tmp_path, content):
    path = tmp_path / "page.zip"
    path.write_bytes(content)
    with pytest.raises(IchflowError, match=r"dataset\.zip: .*is no zip"):
        Archive(path)


def test_no_file_and_no_scans(zipped, tmp_path):
    with pytest.raises(IchflowError, match=r"dataset\.zip: no file at .*data use agreement"):
        Archive(tmp_path / "absent.zip")
    with pytest.raises(IchflowError, match="holds no scan or mask"):
        Archive(zipped({"readme.txt": b""}))
    with pytest.raises(IchflowError, match="several datasets"):
        Archive(zipped({"a/masks/049.nii": b"", "b/masks/049.nii": b""}, ""))


def test_a_damaged_file_is_named_and_empty_and_the_others_come_out(zipped, tmp_path):
    path = zipped(FILES, compression=zipfile.ZIP_STORED)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"scanscan", b"scansCan", 1).replace(b"license", b"licence", 1))
    assert Archive(path).extract(FILES, tmp_path / "out") == ["LICENSE.txt", "ct_scans/049.nii"]
    assert (tmp_path / "out/ct_scans/049.nii").read_bytes() == b""
    assert (tmp_path / "out/masks/049.nii").read_bytes() == FILES["masks/049.nii"]


def test_a_patient_whose_files_are_missing_is_one_all_the_same(zipped):
    """The list of checksums and the table of labels know of it."""
    header = ",".join(ctich.DIAGNOSIS_COLUMNS)
    tables = {
        ctich.CHECKSUMS: f"{'a' * 64}  masks/070.nii\n".encode(),
        ctich.DIAGNOSIS: f"{header}\n71,1,0,0,0,0,0,1,0\n".encode("utf-8-sig"),
    }
    assert Archive(zipped(FILES | tables)).patients == ["049", "066", "070", "071"]


def test_a_full_disk_is_told_before_anything_is_written(zipped, tmp_path, monkeypatch):
    full = shutil._ntuple_diskusage(10, 10, 0)
    monkeypatch.setattr(archive.shutil, "disk_usage", lambda _: full)
    with pytest.raises(IchflowError, match=r"found 0\.0 GB free, expected"):
        Archive(zipped(FILES)).extract(FILES, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())
