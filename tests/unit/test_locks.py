"""Locks between processes; that another process is kept off is tested with what uses them."""

import errno
import fcntl
from pathlib import Path

import pytest
from ichflow.locks import claimed


def test_a_lock_is_had_by_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "lock"
    first = claimed(path)
    assert first is not None
    assert claimed(path) is None
    first.close()
    assert claimed(path) is not None


def test_a_file_that_was_deleted_in_between_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, opened, flock = tmp_path / "lock", [], fcntl.flock

    def deleted(file: object, operation: int) -> None:
        flock(file, operation)  # pyright: ignore[reportArgumentType]
        opened.append(file)
        if len(opened) == 1:
            path.unlink()

    monkeypatch.setattr(fcntl, "flock", deleted)
    found = claimed(path)
    assert len(opened) == 2
    assert found is opened[1]


@pytest.mark.parametrize(("code", "is_had"), [(errno.ENOLCK, True), (errno.EAGAIN, False), (errno.EACCES, False)])
def test_where_a_file_system_has_no_locks_everybody_gets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, is_had: bool
) -> None:
    def failing(file: object, operation: int) -> None:
        raise OSError(code, "no lock")

    monkeypatch.setattr(fcntl, "flock", failing)
    assert (claimed(tmp_path / "lock") is not None) == is_had
