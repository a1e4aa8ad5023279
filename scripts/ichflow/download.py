"""A PhysioNet dataset fetched by its list of checksums: resumed where it stopped, and kept only once verified.

PhysioNet asks for the account of somebody who has signed the data use agreement. The password comes from the
environment or from netrc, and no message, log or exception holds it; messages are made from what is known of a
failure rather than from the text of an exception, which may quote an address or a line of netrc.

Each connection has a thread. Threads hand what is to be counted or told to the calling thread, which alone does it.
"""

import errno
import hashlib
import os
import queue
import random
import re
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from http.client import responses
from io import SEEK_END, BufferedRandom, BytesIO
from ipaddress import ip_address
from netrc import NetrcParseError
from pathlib import Path, PurePosixPath
from typing import NoReturn
from urllib.parse import SplitResult, quote, urlsplit

import requests
from requests.auth import HTTPBasicAuth
from requests.utils import get_netrc_auth
from urllib3.exceptions import HTTPError, InvalidHeader
from urllib3.util import Retry

from ichflow.ctich import CHECKSUMS
from ichflow.errors import IchflowError
from ichflow.files import sha256, whole
from ichflow.locks import claimed

USERNAME = "PHYSIONET_USERNAME"
PASSWORD = "PHYSIONET_PASSWORD"
EXAMPLE = "https://physionet.org/files/ct-ich/1.3.1/"

# PhysioNet takes a password only from programs on its list, which names wget and libwfdb, and asks others for a name
# of their own by which it may list them: HTTP_AUTH_USER_AGENT in physionet-django/project/utility.py,
# https://github.com/MIT-LCP/physionet-build. To all others it answers 403, whatever the password.
USER_AGENT = "ichflow/0.1"

_PART = ".part"
_LOCK = ".lock"
_CHUNK = 16 * 1024  # bytes; a cut costs at most this much
_CONNECT_S = 20.0
_FAREWELL_S = 2.0  # how long threads get to notice that all is over
_BUSY = (429, 500, 502, 503, 504)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_LINE = re.compile(r"([0-9a-fA-F]{64})\s+\*?(\S.*)")

_Events = queue.SimpleQueue[Callable[[], None]]


def fetch(
    url: str,
    folder: str | Path,
    wanted: Callable[[str], bool],
    tell: Callable[[str], None],
    *,
    expected: Iterable[str] = (),
    connections: int = 4,
    attempts: int = 8,
    backoff_s: float = 1.0,
    longest_wait_s: float = 300.0,
    timeout_s: float = 60.0,
    told_every_s: float = 5.0,
) -> dict[str, str]:
    """Fetch the wanted files of a PhysioNet dataset that are not in a folder yet.

    Credentials are taken from ``PHYSIONET_USERNAME`` and ``PHYSIONET_PASSWORD``, else from netrc (``~/.netrc``, or
    the file that ``NETRC`` names). What was fetched of a file stays as ``NAME.part`` until its SHA-256 is right.

    Parameters
    ----------
    url
        The folder of one version of the dataset (``dataset.url``), with ``SHA256SUMS.txt`` in it.
    folder
        Where the files go. It is made.
    wanted
        Asked with each listed path, and with ``SHA256SUMS.txt``, which is fetched anew each time.
    tell
        Called, in the calling thread, with each line for the user.
    expected
        Relative paths that the list has to have; nothing is fetched if it lacks one.
    connections
        Most files fetched at once; at least 1.
    attempts
        How often a file is tried without a byte of progress.
    backoff_s
        Wait before the second attempt, in seconds; doubled at each further one, and up to half of it taken off
        by chance.
    longest_wait_s
        Longest wait before an attempt in seconds, whatever the server asks for.
    timeout_s
        Longest silence of the server in seconds.
    told_every_s
        Least time between two lines of progress in seconds.

    Returns
    -------
    dict
        Relative path to SHA-256, as hexadecimal digits, of all that is wanted; all of it is in the folder.

    Raises
    ------
    IchflowError
        The address or the credentials cannot be used, the server refuses them, the list is malformed or leads out
        of the folder, the disk is full, another process fetches into the folder, or, once all others were fetched,
        some files could not be.
    """
    if connections < 1:
        raise IchflowError(f"connections: found {connections}, expected 1 or more.")
    base = _base(url)
    auth, source = _credentials(base)
    run = _Run(base, Path(folder), auth, source, attempts, backoff_s, longest_wait_s, timeout_s)
    checksums = _fetched_list(run, tell)
    listed = _listed(checksums.decode(errors="replace"), base + CHECKSUMS)
    _check_complete(listed, expected, base)
    todo = {name: digest for name, digest in listed.items() if name != CHECKSUMS and wanted(name)}
    with _alone(run.folder):
        present: dict[str, str] = {}
        if wanted(CHECKSUMS):
            _keep_list(run, checksums)
            present[CHECKSUMS] = hashlib.sha256(checksums).hexdigest()
        tell(f"{len(todo)} files of {base} into '{run.folder}', {connections} at a time, {source}")
        progress = _Progress(len(todo), tell, told_every_s)
        _fetch_all(run, todo, progress, connections)
    tell(progress.summary())
    if progress.failures:
        raise IchflowError(_not_fetched(progress.failures, len(todo), run))
    return present | todo


def _check_complete(listed: Iterable[str], expected: Iterable[str], base: str) -> None:
    missing = sorted(set(expected) - {*listed, CHECKSUMS})
    if missing:
        raise IchflowError(
            f"{base}{CHECKSUMS} does not list {', '.join(missing)}; expected it for the patients of this run. "
            "Name only patients in dataset.patients that the dataset has."
        )


class _FileError(Exception):
    """One file cannot be fetched, for the reason in the message; the others may be."""


class _StopError(Exception):
    """All is over, for what another thread found or the user wants: this one is to end."""


@dataclass(frozen=True)
class _Trouble:
    """Why an attempt is to be repeated, and the seconds that the server asks to wait."""

    reason: str
    asked_s: float = 0.0


@dataclass(frozen=True)
class _Run:
    """What all connections share; ``source`` says in words where the credentials are from."""

    base: str
    folder: Path
    auth: HTTPBasicAuth | None = field(repr=False)
    source: str
    attempts: int
    backoff_s: float
    longest_wait_s: float
    timeout_s: float
    stop: threading.Event = field(default_factory=threading.Event)

    def wait(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise _StopError


# Address and credentials


def _base(url: str) -> str:
    """Return the address with a slash at its end, once it is one that a password may go to."""
    if "@" in url:  # and never show it
        raise IchflowError(
            "dataset.url: a user name or password ('@') found in the address; expected none, as configs are passed "
            f"on. Take it out and set {USERNAME} and {PASSWORD} in the environment, or write it into ~/.netrc."
        )
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        shown = re.split(r"[?#]", url)[0]
        raise IchflowError(
            f"dataset.url: found '{shown}', expected the http or https address of a folder such as '{EXAMPLE}'."
        )
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise IchflowError(
            f"dataset.url: found '{url}', expected https: over http the password would travel in the clear. "
            "Write https:// in its place."
        )
    return parts.geturl().rstrip("/") + "/"


def _split(url: str) -> SplitResult | None:
    with suppress(ValueError):
        parts = urlsplit(url)
        _ = parts.port  # is looked at only when asked for
        return parts
    return None


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def _credentials(base: str) -> tuple[HTTPBasicAuth | None, str]:
    missing = [name for name in (USERNAME, PASSWORD) if not os.environ.get(name)]
    if len(missing) == 1:
        raise IchflowError(
            f"{missing[0]}: not set in the environment, expected both {USERNAME} and {PASSWORD} or neither. "
            "Set it, or unset the other one to use ~/.netrc."
        )
    if not missing:
        return _auth(os.environ[USERNAME], os.environ[PASSWORD]), f"with the credentials of {USERNAME}"
    found = _netrc(base)
    if found is None:
        return None, "without credentials"
    return _auth(*found), f"with the credentials of {_netrc_name()}"


def _auth(username: str, password: str) -> HTTPBasicAuth:
    # As bytes, since text would be sent as Latin-1, and what that lacks be quoted in an error
    return HTTPBasicAuth(username.encode(errors="surrogateescape"), password.encode(errors="surrogateescape"))


def _netrc_name() -> str:
    return os.environ.get("NETRC", "~/.netrc")


def _netrc(base: str) -> tuple[str, str] | None:
    try:
        return get_netrc_auth(base, raise_errors=True)
    except NetrcParseError as error:
        reason = f"not understood at or just before line {error.lineno}"
    except OSError as error:
        reason = f"{error.strerror}"
    except ValueError:
        reason = "it is no text in UTF-8"
    # Out here, for an exception in the chain would quote a word of the file
    raise IchflowError(
        f"{_netrc_name()}: {reason}; expected entries 'machine {urlsplit(base).hostname} login NAME password WORD'. "
        f"Mend it, or set {USERNAME} and {PASSWORD} in the environment."
    )


def _refused(run: _Run, status: int) -> IchflowError:
    parts = urlsplit(run.base)
    project = re.fullmatch(r"/files/([^/]+)/([^/]+)/", parts.path)
    page = f"{parts.scheme}://{parts.netloc}/content/{project[1]}/{project[2]}/" if project else "its page"
    unknown = (
        f" If all of that is so, the server takes no password from '{USER_AGENT}': fetch the dataset with the wget "
        "command on its page, and set dataset.source to folder and dataset.folder to where it lies."
    )
    return IchflowError(
        f"dataset.url: {run.base} refused access {run.source} (HTTP {status}). Needed is a PhysioNet account that "
        f"has signed the data use agreement of the dataset at {page}. Then set {USERNAME} and {PASSWORD} in the "
        f"environment, or write 'machine {parts.hostname} login NAME password WORD' into ~/.netrc."
        + (unknown if status == 403 else "")
    )


# The list of checksums


def _fetched_list(run: _Run, tell: Callable[[str], None]) -> bytes:
    content = BytesIO()
    try:
        with _Connection(run, tell) as connection:
            connection.complete(CHECKSUMS, _Body(content))
        return content.getvalue()
    except _FileError as error:
        reason = str(error)
    raise IchflowError(
        f"dataset.url: {run.base}{CHECKSUMS}: {reason}. Expected the address of one version of a dataset, such as "
        f"'{EXAMPLE}', and a network that leads there; mend what is wrong and start again."
    )


def _listed(text: str, where: str) -> dict[str, str]:
    """Read the list: relative path to lower-case SHA-256. No path in it leads out of the folder."""
    listed: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if not match:
            raise IchflowError(
                f"{where}: line {number} is {line.strip()[:60]!r}, expected a SHA-256 and a path. Set dataset.url to "
                f"the address of one version of a dataset, such as '{EXAMPLE}'; if it is, a page came in place of "
                "the list, or the list was damaged: open it in a browser, and start again."
            )
        name, digest = match[2], match[1].lower()
        if not _is_safe(name):
            raise IchflowError(
                f"{where}: line {number} has the path {name[:200]!r}, expected one inside the folder, relative, with "
                "'/'. Nothing was fetched; check dataset.url, and tell those who publish the dataset."
            )
        if listed.setdefault(str(PurePosixPath(name)), digest) != digest:
            raise IchflowError(
                f"{where}: line {number} has another SHA-256 for '{name}' than a line before, expected one for each "
                "file. Nothing was fetched; tell those who publish the dataset."
            )
    if not listed:
        raise IchflowError(f"{where}: empty, expected a SHA-256 and a path on each line. Check dataset.url.")
    return listed


def _is_safe(name: str) -> bool:
    path = PurePosixPath(name)
    inside = path.parts and ".." not in path.parts and not path.is_absolute()
    return bool(inside) and name.isprintable() and not re.match(r"[A-Za-z]:|.*[\\\ufffd]", name)


# The folder


@contextmanager
def _alone(folder: Path) -> Generator[None]:
    """Make the folder and lock it: two that write the same ``.part`` would spoil a file already verified."""
    path = folder / _LOCK
    try:
        lock = claimed(path)
    except OSError as error:
        raise _disk_error(error, folder) from None
    if lock is None:
        raise IchflowError(
            f"'{folder}': another process is fetching into this folder, expected to be alone. Wait until it has ended."
        )
    with lock:
        try:
            yield
        finally:
            with suppress(OSError):  # what stays of it holds nobody back
                path.unlink()


def _keep_list(run: _Run, checksums: bytes) -> None:
    try:
        with whole(run.folder / CHECKSUMS) as temporary:
            temporary.write_bytes(checksums)
    except OSError as error:
        raise _disk_error(error, run.folder) from None


def _disk_error(error: OSError, folder: Path) -> IchflowError:
    if error.errno in _FULL:
        return IchflowError(
            f"'{folder}': no space left ({error.strerror}). Make room, or set another folder; the same command goes "
            "on where this one stopped."
        )
    return IchflowError(f"'{error.filename or folder}': {error.strerror}; expected to be allowed to write there.")


def _place(folder: Path, name: str) -> tuple[Path, Path]:
    """Return where a file goes and where its part is, once no symbolic link leads either away."""
    target = folder / name
    part = target.with_name(target.name + _PART)
    for path in (part, target, *target.parents):
        if path == folder:
            break
        if path.is_symlink():
            raise _FileError(f"'{path}' is a symbolic link, which is not followed; remove it")
    return target, part


class _Body:
    """The bytes of one file so far, with their running SHA-256.

    ``file`` is open for reading and appending; what is in it counts as fetched before. ``size`` is known once the
    server told it.
    """

    def __init__(self, file: BufferedRandom | BytesIO) -> None:
        file.seek(0)
        self._file = file
        self._hash = hashlib.file_digest(file, "sha256")
        self.length = file.seek(0, SEEK_END)
        self.arrived = 0
        self.size: int | None = None

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def append(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self._hash.update(chunk)
        self.length += len(chunk)
        self.arrived += len(chunk)

    def clear(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._hash = hashlib.sha256()
        self.length = 0


@contextmanager
def _opened(part: Path) -> Generator[_Body]:
    """Open what there is of a file, and leave nothing where there is still nothing at the end."""
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        with part.open("a+b") as file:
            yield _Body(file)
    except BaseException:
        if part.is_file() and not part.stat().st_size:
            part.unlink()
        raise


# Transfer


class _Connection:
    """The way of one thread to the server; ``say`` takes lines for the user."""

    def __init__(self, run: _Run, say: Callable[[str], None]) -> None:
        self._run = run
        self._say = say
        self._session = _session(run)

    def __enter__(self) -> "_Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def verified(self, name: str, digest: str, body: _Body) -> None:
        """Complete a body until its SHA-256 is right; one that is wrong is thrown away once."""
        for last in (False, True):
            if body.digest == digest:
                return
            self.complete(name, body)
            if (found := body.digest) == digest:
                return
            body.clear()
            if last:
                raise _FileError(f"SHA-256 of what came is {found}, expected {digest}, twice")
            self._say(f"{name}: wrong SHA-256, fetched once more from the start")

    def complete(self, name: str, body: _Body) -> None:
        """Ask until the whole body is there, with the count of attempts begun anew after each progress."""
        failed, longest = 0, body.length
        while trouble := self._attempt(name, body):
            failed = 0 if body.length > longest else failed + 1
            longest = max(longest, body.length)
            if failed >= self._run.attempts:
                raise _FileError(f"{trouble.reason}, given up after {failed} attempts")
            self._wait(name, trouble, failed)

    def _wait(self, name: str, trouble: _Trouble, failed: int) -> None:
        run = self._run
        # By chance, lest all come back at once
        backoff = run.backoff_s * 2 ** max(failed - 1, 0) * random.uniform(0.5, 1)
        seconds = min(max(backoff, trouble.asked_s), run.longest_wait_s)
        asked = f", which asks for {trouble.asked_s:.0f} s" if trouble.asked_s else ""
        self._say(
            f"{name}: {trouble.reason}{asked}; waiting {seconds:.1f} s before attempt {failed + 1} of {run.attempts}"
        )
        run.wait(seconds)

    def _attempt(self, name: str, body: _Body) -> _Trouble | None:
        """Make one attempt; return what went wrong where another may help."""
        try:
            return self._exchange(name, body)
        except requests.exceptions.ChunkedEncodingError:
            return _Trouble(f"the connection was cut at {_amount(body.length)}")
        except (requests.ConnectionError, requests.Timeout) as error:
            return _Trouble(f"no connection or answer ({_cause(error)})")
        except (requests.RequestException, HTTPError, ValueError) as error:  # ValueError: where a redirect leads
            reason = f"what the server sent cannot be used ({type(error).__name__})"
        raise _FileError(reason)

    def _exchange(self, name: str, body: _Body) -> _Trouble | None:
        start = body.length
        with self._session.get(
            self._run.base + quote(name),
            headers={"Range": f"bytes={start}-"} if start else {},
            stream=True,
            timeout=(min(_CONNECT_S, self._run.timeout_s), self._run.timeout_s),
        ) as response:
            self._run.wait(0)
            if trouble := self._trouble(response, start):
                return trouble
            range_sent = response.headers.get("Content-Range", "")
            goes_on = response.status_code == 206 and range_sent.startswith(f"bytes {start}-")
            if start and not goes_on:
                body.clear()
                self._say(f"{name}: the server does not go on at {_amount(start)}, fetched from the start")
            elif start and not body.arrived:
                self._say(f"{name}: goes on at {_amount(start)}")
            if response.status_code == 200 or goes_on:
                return self._receive(response, body)
        return self._exchange(name, body)  # with nothing there, so without a range

    def _trouble(self, response: requests.Response, start: int) -> _Trouble | None:
        status = response.status_code
        if status in (401, 403):
            raise _refused(self._run, status)
        reason = f"the server answers {status} {responses.get(status, '')}".rstrip()
        if status in _BUSY:
            return _Trouble(reason, _retry_after(response))
        if status != 200 and not (start and status in (206, 416)):
            raise _FileError(reason)
        return None

    def _receive(self, response: requests.Response, body: _Body) -> None:
        with suppress(KeyError, ValueError):
            body.size = body.length + int(response.headers["Content-Length"])
        for chunk in response.iter_content(_CHUNK):
            self._run.wait(0)
            body.append(chunk)


class _Session(requests.Session):
    """A session that takes nothing from netrc on a redirect: its ``default`` entry would go to any host."""

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        if self.should_strip_auth(str(response.request.url), str(prepared_request.url)):
            prepared_request.headers.pop("Authorization", None)


def _session(run: _Run) -> _Session:
    session = _Session()
    session.auth = run.auth
    # The bytes that the checksum is of, since a range is counted in them
    session.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": "identity"})
    # A proxy would get the password in the clear
    session.trust_env = run.base.startswith("https:")
    return session


def _cause(error: requests.RequestException) -> str:
    """Say what failed without the address, which may hold a signature after a redirect."""
    inner = error.args[0] if error.args else error
    return str(getattr(inner, "reason", None) or type(inner).__name__)


def _retry_after(response: requests.Response) -> float:
    with suppress(KeyError, InvalidHeader, ValueError, OverflowError):
        return Retry().parse_retry_after(response.headers["Retry-After"])
    return 0.0


# All files


class _Progress:
    """How far all files are. Only the calling thread uses it."""

    def __init__(self, files: int, tell: Callable[[str], None], every_s: float) -> None:
        self.tell = tell
        self.failures: dict[str, str] = {}
        self._files = files
        self._every_s = every_s
        self._started = self._told = time.monotonic()
        self._done = 0
        self._present_bytes: list[int] = []
        self._bodies: list[_Body] = []
        self._under_way: dict[str, _Body] = {}

    @property
    def open_files(self) -> int:
        """How many files are neither there nor given up."""
        return self._files - self._done - len(self.failures)

    def found(self, size: int) -> None:
        """Count a file that was there, with its size in bytes."""
        self._done += 1
        self._present_bytes.append(size)

    def begin(self, name: str, body: _Body) -> None:
        self._bodies.append(body)
        self._under_way[name] = body

    def end(self, name: str) -> None:
        self._done += 1
        del self._under_way[name]

    def fail(self, name: str, reason: str) -> None:
        self.failures[name] = reason
        self._under_way.pop(name, None)

    def due_in(self) -> float:
        """Return the seconds until the next line may be told."""
        return max(0.0, self._told + self._every_s - time.monotonic())

    def tell_if_due(self) -> None:
        if self.open_files and not self.due_in():
            self._told = time.monotonic()
            self.tell(f"{self._counts()}, {self._left()}")

    def summary(self) -> str:
        elapsed = timedelta(seconds=round(time.monotonic() - self._started))
        failed = f", {len(self.failures)} failed" if self.failures else ""
        return f"{self._counts()}{failed}; {_amount(self._arrived())} fetched now in {elapsed}"

    def _counts(self) -> str:
        have = sum(self._present_bytes) + sum(body.length for body in self._bodies)
        return f"{self._done} of {self._files} files, {_amount(have)}, {self._rate() / 1e6:.2f} MB/s"

    def _arrived(self) -> int:
        return sum(body.arrived for body in self._bodies)

    def _rate(self) -> float:
        """Return the bytes a second since the start."""
        return self._arrived() / max(time.monotonic() - self._started, 1e-3)

    def _left(self) -> str:
        """Say how long the rest takes; the server tells the size of a file only when it begins."""
        known = self._present_bytes + [body.size for body in self._bodies if body.size is not None]
        missing = [body.size - body.length for body in self._under_way.values() if body.size is not None]
        unknown = self.open_files - len(missing)
        if not known or not self._rate():
            return "time left not known yet"
        left = sum(missing) + unknown * sum(known) / len(known)
        guess = f" if the {unknown} not begun are as large as the others" if unknown else ""
        return f"about {timedelta(seconds=round(left / self._rate()))} left{guess}"


def _amount(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _fetch_all(run: _Run, todo: dict[str, str], progress: _Progress, connections: int) -> None:
    files: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
    for entry in todo.items():
        files.put(entry)
    events: _Events = queue.SimpleQueue()
    # Daemons, lest one that waits for a silent server hold up the end of the process
    threads = [
        threading.Thread(target=_work, args=(run, files, progress, events), daemon=True)
        for _ in range(min(connections, len(todo)))
    ]
    try:
        for thread in threads:
            thread.start()
        while progress.open_files:
            with suppress(queue.Empty):
                events.get(timeout=progress.due_in())()
            progress.tell_if_due()
    finally:
        run.stop.set()
        farewell = time.monotonic() + _FAREWELL_S
        for thread in threads:
            if thread.is_alive():
                thread.join(max(0.0, farewell - time.monotonic()))


def _work(run: _Run, files: queue.SimpleQueue[tuple[str, str]], progress: _Progress, events: _Events) -> None:
    """Fetch one file after the other, and hand what the calling thread is to do over as ``events``."""
    with _Connection(run, lambda line: events.put(partial(progress.tell, line))) as connection:
        while not run.stop.is_set():
            try:
                name, digest = files.get_nowait()
            except queue.Empty:
                return
            try:
                _fetch_file(run, connection, name, digest, progress, events)
            except _StopError:
                return
            except _FileError as error:
                events.put(partial(progress.fail, name, str(error)))
            except OSError as error:
                told = _disk_error(error, run.folder)
                if error.errno in _FULL:
                    _end_all(run, told, events)
                else:
                    events.put(partial(progress.fail, name, str(told)))
            except Exception as error:
                _end_all(run, error, events)


def _end_all(run: _Run, error: Exception, events: _Events) -> None:
    run.stop.set()
    events.put(partial(_raise, error))


def _raise(error: Exception) -> NoReturn:
    raise error


def _fetch_file(
    run: _Run, connection: _Connection, name: str, digest: str, progress: _Progress, events: _Events
) -> None:
    target, part = _place(run.folder, name)
    if target.is_file() and sha256(target) == digest:
        part.unlink(missing_ok=True)
        events.put(partial(progress.found, target.stat().st_size))
        return
    with _opened(part) as body:
        events.put(partial(progress.begin, name, body))
        connection.verified(name, digest, body)
    part.replace(target)
    events.put(partial(progress.end, name))


def _not_fetched(failures: dict[str, str], files: int, run: _Run) -> str:
    return (
        f"{len(failures)} of {files} files of {run.base} could not be fetched:\n"
        + "".join(f"  {name}: {reason}\n" for name, reason in sorted(failures.items()))
        + f"The others are in '{run.folder}'. The same command goes on where this one stopped."
    )
