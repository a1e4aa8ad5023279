"""The page in a real browser: it asks for nothing, and its tables sort by keyboard (skipped without Chromium)."""

import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest
from ichflow import report
from test_report import TEMPLATE, make_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")

OPTIONS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--virtual-time-budget=4000"),
]


@pytest.fixture
def server():
    """Answer any request on loopback, and remember it."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", asked
        running.shutdown()


def shown(page: Path, folder: Path) -> str:
    """Open a page and return its elements after its scripts have run."""
    assert CHROMIUM
    command = [CHROMIUM, *OPTIONS, f"--user-data-dir={folder / 'profile'}", "--dump-dom", page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def make(folder: Path) -> str:
    frame = pd.DataFrame({"patient": ["049", "050", "051"], "dice": [0.5, float("nan"), 0.25]})
    (folder / "a.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="5" height="5"/>', encoding="utf-8")
    pictures = [report.picture(folder / "a.svg", "a picture")]
    sections = [report.section("results", tables=[report.table(frame, "Dice")], pictures=pictures)]
    report.render(TEMPLATE, make_page(sections=sections), folder / "report.html")
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("guarded", [True, False])
def test_the_browser_refuses_whatever_is_not_in_the_page(guarded: bool, server, tmp_path: Path) -> None:
    """Even a page into which somebody put resources asks for none; without its policy it would."""
    address, asked = server
    smuggled = (
        f'<img src="{address}/image"><script src="{address}/script"></script><link rel="stylesheet" '
        f'href="{address}/style"><iframe src="{address}/frame"></iframe><script>fetch("{address}/fetch")</script>'
    )
    html = make(tmp_path).replace("</main>", f"{smuggled}</main>")
    if not guarded:
        html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
    (tmp_path / "smuggled.html").write_text(html, encoding="utf-8")
    assert 'id="results"' in shown(tmp_path / "smuggled.html", tmp_path)
    assert bool(asked) != guarded, asked


def test_tables_sort_by_keyboard(tmp_path: Path) -> None:
    presses = """<script>
      const heading = document.querySelectorAll(".sort")[1];
      heading.focus();
      ["Enter", " "].slice(0, PRESSES).forEach(function (key) {
        document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: key, bubbles: true}));
      });
    </script></body>"""
    html = make(tmp_path)
    orders = []
    for number in range(3):
        page = tmp_path / f"{number}.html"
        page.write_text(html.replace("</body>", presses.replace("PRESSES", str(number))), encoding="utf-8")
        dom = shown(page, tmp_path)
        orders.append((re.findall(r">(0\d\d)</td>", dom), re.findall(r'<th[^>]* aria-sort="(\w+)"', dom)))
    assert orders == [
        (["049", "050", "051"], []),
        (["051", "049", "050"], ["ascending"]),
        (["049", "051", "050"], ["descending"]),
    ]
