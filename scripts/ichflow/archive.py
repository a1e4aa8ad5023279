"""The zip that PhysioNet offers: its files go to their places one by one, and to no other place."""

import shutil
import zipfile
import zlib
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from ichflow import ctich, dataset
from ichflow.errors import IchflowError
from ichflow.files import whole, write_bytes

AGAIN = "Download it again; the zip of CT-ICH 1.3.1 has about 601 MB"
_CHUNK = 1 << 20
_SMALL = 50_000_000
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError)


class Archive:
    """The files of a dataset in a zip, under their names in the layout of CT-ICH.

    Only the zip's directory is read to make one.

    Parameters
    ----------
    path
        The zip.

    Raises
    ------
    IchflowError
        There is no such file, it is no zip, it is cut off, it is encrypted, or it holds no scans or masks.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with _opened(self.path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        root = _root(self.path, entries)
        members = {entry.filename.removeprefix(root): entry for entry in entries if entry.filename.startswith(root)}
        self._members = {name: entry for name, entry in members.items() if _is_known(name)}
        if locked := [name for name, entry in self._members.items() if entry.flag_bits & 1]:
            raise IchflowError(f"{self.path}: '{locked[0]}' is encrypted; expected the zip as PhysioNet gives it")

    @property
    def names(self) -> frozenset[str]:
        """Relative paths of all files."""
        return frozenset(self._members)

    @property
    def patients(self) -> list[str]:
        """All patients that a file's name, the list of checksums or the table of slice labels speaks of."""
        checksums, _ = ctich.parse_checksums(self._text(ctich.CHECKSUMS))
        labeled: set[str] = set()
        with suppress(IchflowError):  # verification tells what is wrong with the table
            labeled = set(ctich.parse_diagnosis(self._text(ctich.DIAGNOSIS)).labels)
        return dataset.in_order(ctich.named_patients([*self._members, *checksums]) | labeled)

    def _text(self, name: str) -> str:
        """Return the text of a small file; nothing where it is absent, damaged or not small."""
        entry = self._members.get(name)
        if entry is None or entry.file_size > _SMALL:
            return ""
        with _opened(self.path) as archive:
            try:
                return archive.read(entry).decode(errors="replace")
            except _DAMAGED:
                return ""

    def extract(self, names: Iterable[str], folder: str | Path) -> list[str]:
        """Write files below a folder, each whole or not at all.

        Returns
        -------
        list of str
            Files that are damaged in the zip. They are written empty, so that verification sets their patients aside
            and the others go on.

        Raises
        ------
        IchflowError
            The disk has no room for them.
        """
        names, folder = sorted(names), Path(folder)
        needed = sum(self._members[name].file_size for name in names)
        folder.mkdir(parents=True, exist_ok=True)
        if (free := shutil.disk_usage(folder).free) < needed:
            raise IchflowError(
                f"{folder}: found {free / 1e9:.1f} GB free, expected {needed / 1e9:.1f} GB for the files of "
                f"{self.path}. Make room, or run with --directory on another disk."
            )
        with _opened(self.path) as archive:
            return [name for name in names if not self._write(archive, name, folder / name)]

    def _write(self, archive: zipfile.ZipFile, name: str, target: Path) -> bool:
        try:
            with archive.open(self._members[name]) as source, whole(target) as temporary, temporary.open("wb") as file:
                shutil.copyfileobj(source, file, _CHUNK)
        except _DAMAGED:
            write_bytes(target, b"")
            return False
        return True


@contextmanager
def _opened(path: Path) -> Generator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except FileNotFoundError:
        raise IchflowError(
            f"dataset.zip: no file at '{path.absolute()}'; expected the zip of a dataset in the layout of CT-ICH. "
            f"{ctich.ACCESS}. Once it is unpacked, dataset.source: folder needs it no more."
        ) from None
    except OSError as error:
        raise IchflowError(f"dataset.zip: '{path}' cannot be read ({error.strerror}); expected a zip file") from None
    except zipfile.BadZipFile:
        raise IchflowError(f"dataset.zip: {_what_it_is(path)}. {AGAIN}.") from None
    with archive:
        yield archive


def _what_it_is(path: Path) -> str:
    size = path.stat().st_size
    with path.open("rb") as file:
        begins = file.read(4)
    if begins == b"PK\3\4":
        return f"'{path}' is cut off: found {size / 1e6:.1f} MB without the directory that ends a zip"
    return f"'{path}' is no zip: found {size / 1e6:.1f} MB that begin otherwise than one"


def _root(path: Path, entries: list[zipfile.ZipInfo]) -> str:
    """Return the folder inside the zip that holds scans and masks, with a slash, or nothing at the top."""
    # Archives made on a Mac have a second tree of the same names that holds no data
    names = [entry.filename for entry in entries if not entry.filename.startswith("__MACOSX/")]
    roots = {
        str(PurePosixPath(name).parents[1])
        for name in names
        if ctich.named_patients(["/".join(PurePosixPath(name).parts[-2:])])
    }
    if len(roots) != 1:
        held = f"several datasets ({', '.join(sorted(roots))})" if roots else "no scan or mask"
        raise IchflowError(
            f"dataset.zip: '{path}' holds {held}; expected one folder with {ctich.SCANS}/049.nii and the like"
        )
    root = roots.pop()
    return "" if root == "." else f"{root}/"


def _is_known(name: str) -> bool:
    """Whether a member is a file that the dataset has: no other is unpacked, so that nothing can land elsewhere."""
    return name in (*ctich.TABLES, *ctich.ACCOMPANYING) or bool(ctich.named_patients([name]))
