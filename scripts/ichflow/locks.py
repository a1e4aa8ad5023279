"""Locks between processes, on one machine or on several that share a file system."""

import errno
import fcntl
import logging
import os
from pathlib import Path
from typing import IO

log = logging.getLogger(__name__)


def claimed(path: Path) -> IO[str] | None:
    """Return a file that this process alone has until it closes it or ends, or None where another process has it.

    Whoever has the file may delete it. Where a file system has no locks, everybody gets it.

    Parameters
    ----------
    path
        The file, which is made if need be, and its folder as well; it is open for appending.

    Raises
    ------
    OSError
        It cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        file = path.open("a", encoding="utf-8")  # open for reading, it could not be locked over NFS
        if not _is_locked(file):
            file.close()
            return None
        if _is_at(path, file):
            return file
        file.close()  # deleted by the process before, while this one opened it


def _is_locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # the latter from Windows' file systems
        return False
    except OSError as error:
        log.info("no lock of '%s' (%s): nothing keeps a second process from it", file.name, error)
    return True


def _is_at(path: Path, file: IO[str]) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESTALE):
            return False
        raise
