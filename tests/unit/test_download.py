"""A dataset is fetched whole from a server on this machine that fails in every way a server does."""

import errno
import hashlib
import itertools
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from base64 import b64encode
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest
from ichflow import download
from ichflow.errors import IchflowError
from support import ROOT

USERNAME = "reader-kq7"
PASSWORD = "swordfish-x81z-€"  # has a letter that Latin-1 lacks
AUTHORIZATION = "Basic " + b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
BASE = "/files/ct-ich/1.3.1/"
SUMS = "SHA256SUMS.txt"
SCAN, MASK, TABLE = "ct_scans/049.nii", "masks/049.nii", "a table.csv"
SIZE = 100_000
FILES = {
    name: hashlib.shake_256(name.encode()).digest(size) for name, size in [(SCAN, SIZE), (MASK, 70_000), (TABLE, 900)]
}


def digest(content):
    return hashlib.sha256(content).hexdigest()


@dataclass
class Seen:
    name: str
    headers: Message
    port: int
    time: float

    @property
    def range(self):
        return self.headers["Range"]

    @property
    def authorization(self):
        return self.headers["Authorization"]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        server, headers, name = self.server, self.headers, unquote(self.path).removeprefix(BASE)
        server.seen.append(Seen(name, headers, self.client_address[1], time.monotonic()))
        if server.protected and headers["Authorization"] != AUTHORIZATION:
            self.answer(401, {"WWW-Authenticate": 'Basic realm="PhysioNet"'})
            return
        fault = next(server.faults.get(name, iter(())), Handler.serve)
        with server.counted():
            fault(self)

    def answer(self, status, headers=None):
        self.send_response(status)
        for key, value in {"Content-Length": "0", **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()

    def serve(self, *, ranges=True, begin=None, limit=None, change=lambda body: body, pause=lambda: None):
        """Send a file as it should be; or ``limit`` bytes of it, a pause, and then the rest or the end."""
        name = unquote(self.path).removeprefix(BASE)
        if name not in self.server.files:
            self.answer(404)
            return
        body = change(self.server.files[name])
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "") if ranges else None
        start = int(asked[1]) if asked else 0
        start = start if begin is None else begin
        if asked and start >= len(body):
            self.answer(416, {"Content-Range": f"bytes */{len(body)}"})
            return
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start:][:limit])
        if limit is not None:
            pause()
            self.close_connection = True


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = dict(files)
        self.list_files()
        self.faults = {}
        self.seen = []
        self.protected = True
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def list_files(self):
        lines = [f"{digest(content)}  {name}\n" for name, content in self.files.items() if name != SUMS]
        self.files[SUMS] = "".join(lines).encode()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}{BASE}"

    @contextmanager
    def counted(self):
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        yield
        with self._lock:
            self.at_once -= 1

    def asked(self, name):
        return [seen for seen in self.seen if seen.name == name]

    def handle_error(self, *_):
        """Say nothing of clients that go away, which is what some are here to do."""


@contextmanager
def serving(files):
    server = Server(files)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def server():
    with serving(FILES) as running:
        yield running


@pytest.fixture
def silence():
    """Give what a fault may wait for that stays silent until the test is over."""
    event = threading.Event()
    yield lambda: event.wait(20)
    event.set()


@pytest.fixture(autouse=True)
def credentials(monkeypatch, tmp_path):
    monkeypatch.setenv("PHYSIONET_USERNAME", USERNAME)
    monkeypatch.setenv("PHYSIONET_PASSWORD", PASSWORD)
    monkeypatch.setenv("NETRC", str(tmp_path / "no netrc"))


@pytest.fixture
def netrc(monkeypatch, tmp_path):
    """Let the credentials come from a netrc file with this text instead."""

    def write(text):
        path = tmp_path / "netrc"
        path.touch(mode=0o600)
        path.write_text(text)
        monkeypatch.setenv("NETRC", str(path))
        monkeypatch.delenv("PHYSIONET_USERNAME")
        monkeypatch.delenv("PHYSIONET_PASSWORD")
        return path

    return write


def status(code, **headers):
    return lambda handler: handler.answer(code, {key.replace("_", "-"): value for key, value in headers.items()})


def sending(**how):
    return lambda handler: handler.serve(**how)


def flipped(body):
    return bytes([body[0] ^ 1]) + body[1:]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def lines():
    return []


@pytest.fixture
def fetch(server, folder, lines):
    """Fetch all files but the list, without long waits."""

    def call(url=server.url, wanted=lambda name: name != SUMS, **options):
        return download.fetch(
            url, folder, wanted, options.pop("tell", lines.append), **{"backoff_s": 0.01, "attempts": 3, **options}
        )

    return call


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# What comes out


def test_the_wanted_files_and_nothing_else_are_in_the_folder(server, fetch, folder):
    assert fetch(wanted=lambda name: name != MASK) == {name: digest(server.files[name]) for name in (SCAN, TABLE, SUMS)}
    assert content(folder) == {name: server.files[name] for name in (SCAN, TABLE, SUMS)}
    assert not server.asked(MASK)


def test_the_list_is_kept_only_where_it_is_wanted(fetch, folder):
    assert fetch() == {name: digest(body) for name, body in FILES.items()}
    assert content(folder) == FILES


def test_the_address_may_lack_its_last_slash(server, fetch, folder):
    fetch(server.url.rstrip("/"))
    assert content(folder) == FILES


def test_each_request_says_who_asks_and_connections_are_used_again(server, fetch):
    server.files |= {f"{number}.nii": b"%d" % number for number in range(20)}
    server.list_files()
    fetch(connections=2)
    (agent,) = {seen.headers["User-Agent"] for seen in server.seen}
    assert agent.startswith("ichflow/")
    assert {seen.headers["Accept-Encoding"] for seen in server.seen} == {"identity"}
    assert len({seen.port for seen in server.seen}) <= 3  # the list has one of its own


def test_a_file_that_is_there_is_not_fetched_again(server, fetch, folder):
    fetch()
    (folder / MASK).write_bytes(b"spoiled")
    (folder / f"{SCAN}.part").write_bytes(b"left over")
    server.seen.clear()
    assert fetch() == {name: digest(body) for name, body in FILES.items()}
    assert [seen.name for seen in server.seen] == [SUMS, MASK]
    assert content(folder) == FILES


def test_an_empty_file_is_made_and_nothing_wanted_is_no_error(server, fetch, folder):
    assert fetch(wanted=lambda name: False) == {}
    server.files["empty"] = b""
    server.list_files()
    fetch(wanted=lambda name: name == "empty")
    assert content(folder) == {"empty": b""}


def test_the_list_may_have_one_space_binary_marks_and_itself(server, fetch, folder):
    server.files[SUMS] = f"{digest(FILES[MASK]).upper()} *./{MASK}\r\n{'0' * 64} {SUMS}\n\n".encode()
    assert fetch(wanted=lambda name: True) == {MASK: digest(FILES[MASK]), SUMS: digest(server.files[SUMS])}


def test_connections_run_at_once_and_never_more_than_allowed(server, fetch):
    server.files = {f"{number}.nii": b"%d" % number for number in range(8)}
    server.list_files()
    together = threading.Barrier(2, timeout=5)

    def met(handler):
        together.wait()  # broken where only one comes
        time.sleep(0.02)  # in which a third would come
        handler.serve()

    server.faults = {f"{number}.nii": iter([met]) for number in range(8)}
    fetch(connections=2, attempts=1)
    assert server.most_at_once == 2


def test_no_connections_are_refused(fetch):
    with pytest.raises(IchflowError, match="connections: found 0"):
        fetch(connections=0)


# Address and credentials


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ftp://physionet.org/files/", "found 'ftp://physionet.org/files/', expected the http or https address"),
        ("physionet.org/files/", "expected the http or https address"),
        ("https://", "expected the http or https address"),
        ("https://physionet.org:port/", "expected the http or https address"),
        ("https://[physionet.org/", "expected the http or https address"),
        ("https://physionet.org/?key=" + PASSWORD, "expected the http or https address"),
        (f"https://{USERNAME}:{PASSWORD}@physionet.org/files/", "a user name or password"),
        (f"https://{PASSWORD}@physionet.org/files/", "a user name or password"),
        (f"https://{USERNAME}:12/{PASSWORD}@physionet.org/", "a user name or password"),
        ("http://physionet.org/files/ct-ich/1.3.1/", "expected https"),
        ("http://127.0.0.1.example.org/", "expected https"),
    ],
)
def test_an_address_that_a_password_may_not_go_to_is_refused(fetch, folder, url, told):
    with pytest.raises(IchflowError, match=r"^dataset\.url: ") as error:
        fetch(url)
    assert told in str(error.value)
    assert PASSWORD not in str(error.value)
    assert USERNAME not in str(error.value)
    assert not folder.exists()


@pytest.mark.parametrize("missing", ["PHYSIONET_USERNAME", "PHYSIONET_PASSWORD"])
def test_half_of_the_credentials_is_an_error(fetch, monkeypatch, missing):
    monkeypatch.delenv(missing)
    with pytest.raises(IchflowError, match=f"^{missing}: not set"):
        fetch()


def test_netrc_is_used_where_the_environment_has_nothing(fetch, netrc, folder, lines):
    path = netrc(f"machine 127.0.0.1 login {USERNAME} password {PASSWORD}\n")
    fetch()
    assert content(folder) == FILES
    assert lines[0].endswith(f"with the credentials of {path}")


def test_the_environment_goes_before_netrc(fetch, netrc, monkeypatch, folder):
    netrc("machine 127.0.0.1 login other password wrong\n")
    monkeypatch.setenv("PHYSIONET_USERNAME", USERNAME)
    monkeypatch.setenv("PHYSIONET_PASSWORD", PASSWORD)
    fetch()
    assert content(folder) == FILES


def test_a_malformed_netrc_is_told_without_its_words(fetch, netrc):
    path = netrc(f"machine 127.0.0.1\nlogin {USERNAME} {PASSWORD}\n")
    with pytest.raises(IchflowError) as error:
        fetch()
    assert re.match(rf"{path}: not understood at or just before line [23];", str(error.value))
    assert leaks(error.value) == []


def test_a_netrc_in_latin_1_is_told_without_its_words(fetch, netrc):
    path = netrc("")
    path.write_bytes(f"machine 127.0.0.1 login {USERNAME} password {PASSWORD[:-1]}".encode() + b"\xe4")
    with pytest.raises(IchflowError) as error:
        fetch()
    assert str(error.value).startswith(f"{path}: it is no text in UTF-8")
    assert leaks(error.value) == []


def test_a_netrc_that_cannot_be_read_is_told(fetch, netrc):
    path = netrc("")
    path.unlink()
    path.mkdir()
    with pytest.raises(IchflowError, match=f"{path}: Is a directory"):
        fetch()


def test_a_server_that_asks_for_nothing_gets_nothing(server, fetch, netrc, folder):
    netrc("")
    server.protected = False
    fetch()
    assert {seen.authorization for seen in server.seen} == {None}
    assert content(folder) == FILES


@pytest.mark.parametrize("code", [401, 403])
def test_a_refusal_says_what_is_needed(server, fetch, folder, code):
    server.faults[SUMS] = iter([status(code)])
    with pytest.raises(IchflowError) as error:
        fetch()
    told = str(error.value)
    assert f"refused access with the credentials of PHYSIONET_USERNAME (HTTP {code})" in told
    assert f"http://127.0.0.1:{server.server_port}/content/ct-ich/1.3.1/" in told
    assert "data use agreement" in told
    assert ("wget" in told) == (code == 403)  # which PhysioNet also answers to programs that are not on its list
    assert len(server.seen) == 1
    assert not folder.exists()


def test_a_refusal_without_credentials_says_so(server, fetch, netrc):
    netrc("")
    with pytest.raises(IchflowError, match="refused access without credentials"):
        fetch()


def test_a_refusal_stops_all_others(server, fetch, monkeypatch, silence):
    monkeypatch.setattr(download, "_FAREWELL_S", 0.1)
    server.faults = {SCAN: iter([sending(limit=50_000, pause=silence)]), MASK: iter([status(403)])}
    started = time.monotonic()
    with pytest.raises(IchflowError, match="HTTP 403"):
        fetch(connections=2)
    assert time.monotonic() - started < 2
    assert not server.asked(TABLE)


def test_a_refusal_ends_a_transfer_that_is_under_way(server, fetch):
    def slowly(handler):
        handler.answer(200, {"Content-Length": str(10 * SIZE)})
        for _ in range(500):
            handler.wfile.write(bytes(2000))
            time.sleep(0.01)

    def late(handler):
        time.sleep(0.1)
        handler.answer(403)

    server.faults = {SCAN: iter([slowly]), MASK: iter([late])}
    with pytest.raises(IchflowError, match="HTTP 403"):
        fetch(connections=2)
    assert not [thread for thread in threading.enumerate() if "_work" in thread.name]


def test_another_host_gets_no_credentials(server, fetch, folder):
    with serving(FILES) as other:
        other.protected = False
        server.faults[SCAN] = iter([status(302, Location=f"http://localhost:{other.server_port}{BASE}{SCAN}")])
        fetch()
        assert [(seen.name, seen.authorization) for seen in other.seen] == [(SCAN, None)]
    assert {seen.authorization for seen in server.seen} == {AUTHORIZATION}
    assert content(folder) == FILES


def test_another_host_gets_no_default_of_netrc_either(server, netrc, monkeypatch):
    """Away from loopback, requests looks into the environment: for proxies, and by itself for netrc."""
    netrc(f"default login {USERNAME} password {PASSWORD}\n")
    monkeypatch.setenv("NO_PROXY", "*")
    with serving(FILES) as other, download._Session() as session:
        other.protected = False
        session.auth = (USERNAME, PASSWORD.encode())
        server.faults[SCAN] = iter([status(302, Location=f"http://localhost:{other.server_port}{BASE}{SCAN}")])
        assert session.get(server.url + SCAN).content == FILES[SCAN]
        assert [seen.authorization for seen in other.seen] == [None]


@pytest.mark.parametrize(("url", "trusted"), [("https://physionet.org/", True), ("http://localhost/", False)])
def test_proxies_are_used_for_https_alone(url, trusted):
    run = download._Run(url, Path(), None, "", 1, 0, 0, 1)
    assert download._session(run).trust_env is trusted


def test_loopback_needs_no_proxy(fetch, monkeypatch, folder):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    fetch()
    assert content(folder) == FILES


# The list


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<!DOCTYPE html>\n<html></html>", "line 1 is '<!DOCTYPE html>', expected a SHA-256 and a path"),
        (f"{'0' * 64}  a\n{'0' * 63}  b\n", "line 2 is '000"),
        (f"{'0' * 64}\n", "line 1 is"),
        (f"{'0' * 64}  /etc/passwd\n", "line 1 has the path '/etc/passwd'"),
        (f"{'0' * 64}  ct_scans/../../passwd\n", "line 1 has the path 'ct_scans/../../passwd'"),
        (f"{'0' * 64}  ..\\passwd\n", "line 1 has the path"),
        (f"{'0' * 64}  C:passwd\n", "line 1 has the path 'C:passwd'"),
        (f"{'0' * 64}  .\n", "line 1 has the path '.'"),
        (f"{'0' * 64}  a\0b\n", "line 1 has the path 'a\\x00b'"),
        (f"{'0' * 64}  a\n{'1' * 64}  ./a\n", "line 2 has another SHA-256 for './a'"),
        ("\n", "empty, expected"),
    ],
)
def test_a_list_that_cannot_be_trusted_is_refused(server, fetch, folder, text, told):
    server.files[SUMS] = text.encode()
    with pytest.raises(IchflowError) as error:
        fetch()
    assert told in str(error.value)
    assert SUMS in str(error.value)
    assert len(server.seen) == 1
    assert not folder.exists()


def test_a_line_said_twice_is_no_error(server, fetch):
    server.files[SUMS] *= 2
    fetch()
    assert Counter(seen.name for seen in server.seen) == dict.fromkeys([SUMS, *FILES], 1)


def test_no_list_is_told_with_what_to_set(server, fetch):
    del server.files[SUMS]
    with pytest.raises(IchflowError, match=r"dataset\.url: .*SHA256SUMS\.txt: the server answers 404 Not Found\. "):
        fetch()


def test_the_list_is_tried_again_as_files_are(server, fetch, folder):
    server.faults[SUMS] = iter([status(503), sending(limit=20)])
    fetch()
    assert content(folder) == FILES


# Faults on the way


def test_a_file_cut_many_times_is_resumed_and_ends(server, fetch, folder):
    """Each attempt gets somewhere, so that two attempts without progress never come together."""
    server.faults[SCAN] = itertools.repeat(sending(limit=20_000), 4)
    fetch(attempts=2)
    starts = [int(seen.range.removeprefix("bytes=").rstrip("-")) for seen in server.asked(SCAN)[1:]]
    assert len(starts) == 4
    assert all(earlier < later for earlier, later in itertools.pairwise([0, *starts]))
    assert content(folder) == FILES


def test_a_file_that_never_gets_on_is_given_up_and_goes_on_in_the_next_run(server, fetch, folder):
    server.faults[SCAN] = itertools.chain([sending(limit=50_000)], itertools.repeat(sending(limit=0), 3))
    with pytest.raises(IchflowError) as error:
        fetch(connections=1)
    assert len(server.asked(SCAN)) == 4
    assert f"1 of 3 files of {server.url}" in str(error.value)
    assert f"  {SCAN}: the connection was cut at 0.0 MB, given up after 3 attempts\n" in str(error.value)
    assert "The same command goes on where this one stopped" in str(error.value)
    there = content(folder)
    assert there.keys() == {MASK, TABLE, f"{SCAN}.part"}
    size = len(there[f"{SCAN}.part"])
    server.seen.clear()
    fetch()
    assert [seen.range for seen in server.asked(SCAN)] == [f"bytes={size}-"]
    assert content(folder) == FILES


def test_a_connection_that_is_refused_is_tried_again(fetch, lines):
    with serving(FILES) as gone:
        pass
    with pytest.raises(IchflowError, match=r"no connection or answer \(.*given up after 3 attempts"):
        fetch(gone.url)
    assert len(lines) == 2


def test_a_silent_server_is_left_after_the_timeout(server, fetch, folder, silence):
    server.faults[SCAN] = iter([lambda handler: silence(), sending(limit=50_000, pause=silence)])
    fetch(timeout_s=0.5)
    assert [seen.range is None for seen in server.asked(SCAN)] == [True, True, False]
    assert content(folder) == FILES


def test_a_server_without_ranges_sends_all_anew(server, fetch, folder, lines):
    server.faults[SCAN] = iter([sending(limit=50_000), sending(ranges=False)])
    fetch()
    assert server.asked(SCAN)[1].range
    assert any(line.startswith(f"{SCAN}: the server does not go on at") for line in lines)
    assert content(folder) == FILES


def test_a_server_without_ranges_that_never_gets_further_is_given_up(server, fetch):
    server.faults[SCAN] = itertools.cycle([sending(limit=limit, ranges=False) for limit in (50_000, 30_000)])
    with pytest.raises(IchflowError, match="given up after 3 attempts"):
        fetch()
    assert len(server.asked(SCAN)) == 4


def test_a_part_that_is_longer_than_its_file_starts_over(server, fetch, folder):
    part = folder / f"{SCAN}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * (SIZE + 1))
    fetch()
    assert [seen.range for seen in server.asked(SCAN)] == [f"bytes={SIZE + 1}-", None]
    assert content(folder) == FILES


def test_a_part_that_is_whole_is_not_fetched(server, fetch, folder):
    part = folder / f"{SCAN}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(FILES[SCAN])
    fetch()
    assert not server.asked(SCAN)
    assert content(folder) == FILES


def test_a_part_of_something_else_starts_over(server, fetch, folder):
    part = folder / f"{SCAN}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 10)
    fetch()
    assert [seen.range for seen in server.asked(SCAN)] == ["bytes=10-", None]
    assert content(folder) == FILES


def test_a_server_that_goes_on_elsewhere_sends_all_anew(server, fetch, folder, lines):
    part = folder / f"{SCAN}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(FILES[SCAN][:1000])
    server.faults[SCAN] = iter([sending(begin=500)])
    fetch()
    assert [seen.range for seen in server.asked(SCAN)] == ["bytes=1000-", None]
    assert not any("wrong SHA-256" in line for line in lines)
    assert content(folder) == FILES


def test_a_wrong_byte_is_fetched_once_more(server, fetch, folder, lines):
    server.faults[SCAN] = iter([sending(change=flipped)])
    fetch()
    assert [seen.range for seen in server.asked(SCAN)] == [None, None]
    assert f"{SCAN}: wrong SHA-256, fetched once more from the start" in lines
    assert content(folder) == FILES


def test_a_file_that_stays_wrong_is_an_error_with_both_hashes(server, fetch, folder):
    server.faults[SCAN] = itertools.repeat(sending(change=flipped))
    with pytest.raises(IchflowError) as error:
        fetch()
    assert f"{SCAN}: SHA-256 of what came is {digest(flipped(FILES[SCAN]))}" in str(error.value)
    assert f"expected {digest(FILES[SCAN])}" in str(error.value)
    assert len(server.asked(SCAN)) == 2
    assert content(folder).keys() == {MASK, TABLE}


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(server, fetch, folder, lines, code):
    server.faults[SCAN] = iter([status(code), status(code)])
    fetch()
    assert len(server.asked(SCAN)) == 3
    assert any(re.match(rf"{SCAN}: the server answers {code} \w.*; waiting .* attempt 2 of 3", line) for line in lines)
    assert content(folder) == FILES


def test_a_wait_that_the_server_asks_for_is_kept(server, fetch, lines):
    server.faults[SCAN] = iter([status(429, Retry_After="1")])
    fetch()
    first, second = server.asked(SCAN)
    assert second.time - first.time >= 1
    assert f"{SCAN}: the server answers 429 Too Many Requests, which asks for 1 s; waiting 1.0 s" in "\n".join(lines)


@pytest.mark.parametrize("asked", [lambda: "3600", lambda: formatdate(time.time() + 3600, usegmt=True)])
def test_a_wait_has_a_limit(server, fetch, lines, asked):
    server.faults[SCAN] = iter([status(503, Retry_After=asked())])
    fetch(longest_wait_s=0.1)
    assert any(re.search(r"which asks for 3[56]\d\d s; waiting 0\.1 s", line) for line in lines)


@pytest.mark.parametrize("asked", ["soon", "-1", "9" * 5000])
def test_a_wait_that_makes_no_sense_is_passed_over(server, fetch, asked):
    server.faults[SCAN] = iter([status(503, Retry_After=asked)])
    fetch()


def test_what_is_not_there_is_asked_for_once_and_the_rest_is_fetched(server, fetch, folder):
    del server.files[MASK]
    server.faults[TABLE] = itertools.repeat(status(503))
    with pytest.raises(IchflowError) as error:
        fetch(connections=1)
    assert "2 of 3 files" in str(error.value)
    assert f"{MASK}: the server answers 404 Not Found\n" in str(error.value)
    assert f"{TABLE}: the server answers 503 Service Unavailable, given up after 3 attempts\n" in str(error.value)
    assert len(server.asked(MASK)) == 1
    assert content(folder) == {SCAN: FILES[SCAN]}


def test_a_circle_of_redirects_is_told(server, fetch):
    server.faults[SCAN] = itertools.repeat(status(302, Location=SCAN.rpartition("/")[2]))
    with pytest.raises(IchflowError, match="TooManyRedirects"):
        fetch()


# The disk


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_told_by_name_and_ends_all(server, fetch, folder, monkeypatch):
    monkeypatch.setattr(download._Body, "append", full)
    monkeypatch.setattr(download, "_fetched_list", lambda *_: server.files[SUMS])
    with pytest.raises(IchflowError, match=f"'{folder}': no space left") as error:
        fetch(connections=1)
    assert "goes on where this one stopped" in str(error.value)
    assert [seen.name for seen in server.seen] == [SCAN]
    assert content(folder) == {}


def test_a_folder_that_cannot_be_made_is_told(fetch, folder):
    folder.write_text("a file")
    with pytest.raises(IchflowError, match=f"'{folder}': File exists"):
        fetch()


def test_a_file_that_cannot_be_written_is_told_and_the_rest_is_fetched(fetch, folder):
    (folder / TABLE).mkdir(parents=True)
    with pytest.raises(IchflowError, match="1 of 3 files") as error:
        fetch()
    assert f"  {TABLE}: " in str(error.value)
    assert content(folder).keys() >= {SCAN, MASK}


@pytest.mark.parametrize("link", ["ct_scans", SCAN, f"{SCAN}.part"])
def test_no_link_leads_out_of_the_folder(fetch, folder, tmp_path, link):
    outside = tmp_path / "outside"
    outside.mkdir()
    path = folder / link
    path.parent.mkdir(parents=True)
    path.symlink_to(outside if link == "ct_scans" else outside / "new")
    with pytest.raises(IchflowError, match=f"'{path}' is a symbolic link"):
        fetch()
    assert list(outside.iterdir()) == []
    assert content(folder).keys() == {MASK, TABLE}


def test_the_folder_itself_may_be_a_link(fetch, folder, tmp_path):
    (tmp_path / "disk").mkdir()
    folder.symlink_to(tmp_path / "disk")
    fetch()
    assert content(tmp_path / "disk") == FILES


def test_two_never_fetch_into_one_folder(server, fetch):
    told = []

    def tell(line):
        if not told:
            with pytest.raises(IchflowError, match="another process is fetching") as error:
                fetch()
            told.append(error)

    fetch(tell=tell)
    assert told


def test_a_lock_that_a_killed_process_left_holds_nobody_back(fetch, folder):
    folder.mkdir()
    (folder / ".lock").touch()
    fetch()
    assert content(folder) == FILES


# What is told


def test_all_is_told_in_the_calling_thread(server, fetch):
    threads = []
    server.faults = {SCAN: iter([status(503)]), MASK: iter([sending(change=flipped)])}
    fetch(tell=lambda line: threads.append(threading.current_thread()))
    assert threads == [threading.current_thread()] * 4


def test_progress_is_told_now_and_then(server, fetch, folder, lines):
    def slowly(handler):
        time.sleep(0.3)
        handler.serve()

    server.faults = {name: iter([slowly]) for name in FILES}
    started = time.monotonic()
    fetch(connections=1, told_every_s=0.2)
    first, *others, last = lines
    assert first == f"3 files of {server.url} into '{folder}', 1 at a time, with the credentials of PHYSIONET_USERNAME"
    assert 3 <= len(others) <= (time.monotonic() - started) / 0.2
    assert all(re.match(r"\d of 3 files, \d\.\d MB, \d+\.\d\d MB/s, ", line) for line in others)
    assert others[0].endswith("time left not known yet")
    left = r"about 0:00:0\d left if the [12] not begun are as large as the others"
    assert any(re.search(left, line) for line in others)
    assert re.fullmatch(r"3 of 3 files, 0\.2 MB, \d+\.\d\d MB/s; 0\.2 MB fetched now in 0:00:0\d", last)


def test_sizes_are_told_in_gigabytes_where_they_are_large():
    assert [download._amount(size) for size in (0, 1_230_000, 2_345_000_000)] == ["0.0 MB", "1.2 MB", "2.35 GB"]


# The end of the process


def in_process(server, folder):
    script = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # which a shell may have set to be ignored
        f"sys.path.append({str(ROOT / 'scripts')!r})\n"
        "from ichflow import download\n"
        f"download.fetch({server.url!r}, {str(folder)!r}, lambda name: True, print)\n"
    )
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def has_size(path):
    return path.is_file() and path.stat().st_size > 0


def test_a_killed_process_is_gone_on_from(server, fetch, folder, lines, silence):
    server.faults[SCAN] = iter([sending(limit=SIZE // 2, pause=silence)])
    part = folder / f"{SCAN}.part"
    with in_process(server, folder) as process:
        wait_for(lambda: has_size(part) and (folder / MASK).is_file() and (folder / TABLE).is_file())
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    size = part.stat().st_size
    assert 0 < size < SIZE
    server.seen.clear()
    fetch()
    assert [(seen.name, seen.range) for seen in server.seen] == [(SUMS, None), (SCAN, f"bytes={size}-")]
    assert f"{SCAN}: goes on at 0.0 MB" in lines
    assert content(folder) == FILES | {SUMS: server.files[SUMS]}


def test_an_interrupt_ends_the_process_though_the_server_is_silent(server, folder, silence):
    server.faults[SCAN] = iter([sending(limit=SIZE // 2, pause=silence)])
    with in_process(server, folder) as process:
        wait_for(lambda: has_size(folder / f"{SCAN}.part"))
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=10)
    assert time.monotonic() - started < 5
    assert process.returncode != 0
    assert "KeyboardInterrupt" in output
    assert PASSWORD not in output
    assert AUTHORIZATION not in output


# The password


def leaks(error, *texts):
    """Name what of the error, whatever is chained to it and the texts holds the credentials."""
    shown, todo = list(texts), [error]
    while todo:
        if (one := todo.pop()) is not None:
            shown += [repr(one), str(one), "".join(traceback.format_exception(one))]
            todo += [one.__cause__, one.__context__]
    secrets = (PASSWORD, PASSWORD[:-1], PASSWORD.encode().decode("latin-1"), AUTHORIZATION.split()[1], USERNAME)
    return [text for text in shown if any(secret in text for secret in secrets)]


FAILURES = {
    "refused": {SCAN: status(401)},
    "forbidden list": {SUMS: status(403)},
    "absent": {SCAN: status(404)},
    "absent list": {SUMS: status(404)},
    "busy": {SCAN: status(429, Retry_After="0")},
    "broken": {SUMS: status(500)},
    "cut": {SCAN: sending(limit=0)},
    "cut list": {SUMS: sending(limit=0)},
    "wrong": {SCAN: sending(change=flipped)},
    "page": {SUMS: sending(change=lambda body: b"<html>")},
    "circle": {SCAN: status(302, Location="049.nii")},
    "nowhere": {SCAN: status(302, Location="http://localhost:1/")},
    "no address": {SCAN: status(302, Location="http://[/")},
    "no protocol": {SUMS: lambda handler: handler.wfile.write(b"gibberish\r\n\r\n")},
    "silent": {SCAN: lambda handler: time.sleep(0.3)},
}


@pytest.mark.parametrize("failure", FAILURES)
def test_no_failure_shows_the_credentials(server, fetch, folder, lines, caplog, capfd, failure):
    caplog.set_level(logging.DEBUG)
    server.faults = {name: itertools.repeat(fault) for name, fault in FAILURES[failure].items()}
    with pytest.raises(IchflowError) as error:
        fetch(attempts=2, timeout_s=0.2)
    assert {seen.authorization for seen in server.seen} == {AUTHORIZATION}
    there = [body.decode("latin-1") for body in content(folder).values()] if folder.exists() else []
    assert leaks(error.value, caplog.text, *capfd.readouterr(), *lines, *there) == []


def test_a_full_disk_does_not_show_the_credentials(fetch, monkeypatch, lines):
    monkeypatch.setattr(download, "whole", full)
    with pytest.raises(IchflowError, match="no space left") as error:
        fetch(wanted=lambda name: True)
    assert leaks(error.value, *lines) == []
