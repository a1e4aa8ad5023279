"""The state that an interrupted training goes on from: one file, whole or not at all, for one training only."""

import errno
import hashlib
import json
import os
import platform
import time
import zipfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ichflow.errors import IchflowError
from ichflow.files import remove_leftovers, whole
from ichflow.locks import claimed

_ABOUT = "about"
_POLL_S = 1.0
_OF_CONTENT = {None, errno.EINVAL}  # of an OSError that zipfile raises at wrong bytes: all others are of the disk
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
Arrays = dict[str, list[NDArray[Any]]]


class ResumeFile:
    """Where a training leaves its state after each epoch.

    Parameters
    ----------
    path
        An ``.npz`` file; its folder need not exist.
    identity
        What makes the training this one (recipe, shards, versions) as JSON. A state of another one is set aside.
    """

    def __init__(self, path: str | Path, identity: str) -> None:
        self.path = Path(path)
        self._identity = identity

    @contextmanager
    def alone(self, tell: Callable[[str], None]) -> Generator[None]:
        """Wait until no other process, here or on another node, trains with this state, and let none do so meanwhile.

        Where Snakemake alone was killed, its training goes on, and the next one is started beside it.

        Parameters
        ----------
        tell
            Called once if there is another one, with what can be done about it.
        """
        path = _lock_of(self.path)
        if (lock := claimed(path)) is None:
            tell(self._told_other())
        while lock is None:
            time.sleep(_POLL_S)
            lock = claimed(path)
        with lock:
            lock.truncate(0)
            lock.write(f"process {os.getpid()} on {platform.node()}\n")
            _to_disk(lock)
            yield

    def _told_other(self) -> str:
        try:
            other = _lock_of(self.path).read_text(encoding="utf-8").strip()
        except OSError:
            other = "which has just ended"
        return (
            f"warning: another training ({other}) uses '{self.path}'; the Snakemake that started it may have been "
            "killed. This one waits for its end, and goes on from there if it is the same training. End that process "
            f"to have this one begin now; if its machine is down, delete '{_lock_of(self.path)}'"
        )

    def save(self, facts: Mapping[str, Any], arrays: Mapping[str, Sequence[NDArray[Any]]]) -> None:
        """Replace the state, whole or not at all.

        Parameters
        ----------
        facts
            Plain data.
        arrays
            Lists of arrays by name.

        Raises
        ------
        IchflowError
            It cannot be written; the state of before stays.
        """
        about = {"identity": self._identity, "facts": facts, "counts": {name: len(a) for name, a in arrays.items()}}
        flat = {f"{name}-{place}": array for name, group in arrays.items() for place, array in enumerate(group)}
        remove_leftovers(self.path)
        try:
            with whole(self.path) as temporary:
                np.savez(temporary, allow_pickle=False, **{_ABOUT: np.array(json.dumps(about))}, **flat)
                # A name may reach the disk before what it names: after a power failure there would be no state at all
                with temporary.open("rb") as file:
                    _to_disk(file)
        except OSError as error:
            size = sum(array.nbytes for array in flat.values()) / 1e6
            mend = "make room for twice as much" if error.errno in _NO_ROOM else "see to that"
            then = "goes on after the epoch before" if self.path.is_file() else "begins anew"
            raise IchflowError(
                f"{self.path}: the state after this epoch, {size:.0f} MB, cannot be saved ({error.strerror or error}); "
                f"{mend}, and run again: the training {then}"
            ) from None

    def load(self, tell: Callable[[str], None]) -> tuple[dict[str, Any], Arrays] | None:
        """Return the facts and arrays that were saved last, or None where there is no state to go on from.

        A state that is damaged, or that of another training, is kept beside under another name, with a warning. When
        that other training comes back, it takes its own from there.

        Parameters
        ----------
        tell
            Called with the warning.

        Raises
        ------
        IchflowError
            The file may be whole, but it cannot be read at this time.
        """
        earlier = self._kept_as(self._identity)
        if not self.path.is_file() and earlier.is_file():
            earlier.replace(self.path)
        if not self.path.is_file():
            return None
        try:
            about, arrays = self._read()
        # There is no list of what zipfile and NumPy raise at bytes that nobody wrote: TokenError is one of them
        except Exception as error:
            if self._may_be_whole(error):
                raise IchflowError(self._told_unread(error)) from None
            kept = self.path.with_name(f"{self.path.stem}-damaged{self.path.suffix}")
            told = f"it is damaged ({type(error).__name__}: {error})"
        else:
            if about["identity"] == self._identity:
                return about["facts"], arrays
            kept = self._kept_as(about["identity"])
            told = f"it is of another training: {_difference(about['identity'], self._identity)}"
        self.path.replace(kept)
        then = "its own, set aside before, is taken" if earlier.is_file() else "training begins anew"
        tell(f"warning: the state to resume from is not used, since {told}; it is kept as {kept}, and {then}")
        return self.load(tell)

    def _read(self) -> tuple[dict[str, Any], Arrays]:
        with np.load(self.path, allow_pickle=False) as file:
            about = json.loads(str(file[_ABOUT]))
            counts: dict[str, int] = about["counts"]
            return about, {name: [file[f"{name}-{place}"] for place in range(n)] for name, n in counts.items()}

    def _may_be_whole(self, error: Exception) -> bool:
        """Tell whether the file could be read at another time, on another machine, or from another disk."""
        if isinstance(error, MemoryError):  # or the size of an array is a wrong one, which NumPy reads unchecked
            return _is_whole(self.path)
        return isinstance(error, OSError) and error.errno not in _OF_CONTENT

    def _kept_as(self, identity: str) -> Path:
        """Where the state of a training lies that came to be in the way of another one."""
        name = hashlib.sha256(identity.encode()).hexdigest()[:8]
        return self.path.with_name(f"{self.path.stem}-other-{name}{self.path.suffix}")

    def _told_unread(self, error: Exception) -> str:
        return (
            f"{self.path}: the state to resume from cannot be read ({type(error).__name__}: {error}); run again where "
            "it can be, or delete it to begin anew"
        )


def remove(path: str | Path) -> None:
    """Remove a state that nobody needs any more. Its folder stays: other trainings may be about to write into it."""
    path = Path(path)
    for found in (path, _lock_of(path)):
        found.unlink(missing_ok=True)
    remove_leftovers(path)


def _is_whole(path: Path) -> bool:
    """Read each part of a zip and hold it against its checksum, a little of it in memory at a time."""
    try:
        with zipfile.ZipFile(path) as file:
            return file.testzip() is None
    except Exception:
        return False


def _to_disk(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _lock_of(path: Path) -> Path:
    return path.with_suffix(".lock")


def _difference(found: str, expected: str) -> str:
    there, here = json.loads(found), json.loads(expected)
    told = [f"{name}{_keys(there.get(name), here.get(name))}" for name in _unequal(there, here)]
    return f"{', '.join(told)} differ"


def _keys(there: Any, here: Any) -> str:
    """Name what differs within a part, as far as both have parts of their own."""
    names = _unequal(there, here) if isinstance(there, dict) and isinstance(here, dict) else []
    return f" ({', '.join(names)})" if names else ""


def _unequal(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in {*there, *here} if there.get(name) != here.get(name))
