"""Files that appear whole or not at all."""

import glob
import hashlib
import json
import os
import re
import shutil
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ichflow.errors import IchflowError


@contextmanager
def whole(path: str | Path) -> Generator[Path]:
    """Give a temporary name beside ``path`` and move it there once the block has succeeded.

    Parameters
    ----------
    path
        The file to be made. Its folder is created.

    Yields
    ------
    Path
        Where to write. It ends as ``path`` does, since writers choose a format by the suffix.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(path: str | Path) -> None:
    """Remove what writers of ``path`` left of it beside it because they were killed; nobody may be writing it now."""
    path = Path(path)
    for found in path.parent.glob(f".*.{glob.escape(path.name)}"):
        if re.fullmatch(r"\.\d+\." + re.escape(path.name), found.name):
            found.unlink(missing_ok=True)


def link_all(names: Iterable[str], source: str | Path, target: str | Path) -> None:
    """Make files of one folder appear in another one, under the same relative paths, without taking room twice.

    They are copied where the file system has no hard links.
    """
    for name in names:
        with whole(Path(target, name)) as temporary:
            try:
                os.link(Path(source, name), temporary)
            except OSError:
                shutil.copyfile(Path(source, name), temporary)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write ``content``, whole or not at all."""
    with whole(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, content: Any) -> None:
    """Write ``content`` as indented JSON with a final newline, whole or not at all."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read one JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def is_readable(path: str | Path) -> bool:
    """Return whether there is a file, symbolic links followed, that this process may read."""
    ids = os.access in os.supports_effective_ids
    return Path(path).is_file() and os.access(path, os.R_OK, effective_ids=ids)


def plain(path: Path, key: str) -> Path:
    """Refuse a path that Snakemake would take for a pattern.

    Raises
    ------
    IchflowError
        With the key of the config that it came from.
    """
    if odd := sorted(set(str(path)) & set("{}<>")):
        raise IchflowError(
            f"{key}: the path '{path}' has {' '.join(odd)} in it, which Snakemake takes for a pattern; expected a path "
            "without. Rename it, or give a symbolic link to it."
        )
    return path


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
