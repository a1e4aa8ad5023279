"""The case browser in a real browser, from the file system, as a person uses it."""

import shutil

import pytest
from playwright.sync_api import expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
# The pictures are drawn without a GPU
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
PATIENCE_MS = 60_000

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine: the case browser is not tested")


@pytest.fixture(scope="module")
def made(finished, tmp_path_factory):
    """Make the browser of a copy of the finished run."""
    folder = tmp_path_factory.mktemp("browsed") / "run"
    shutil.copytree(finished.folder, folder, symlinks=True)
    run = type(finished)(folder)
    run.snakemake("browser")
    return run


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opened(made, chromium):
    """Open the page, and hold it to no error and no request to anywhere."""
    contexts, complaints, requests = [], [], []

    def open_page(address="", script=None):
        contexts.append(chromium.new_context(viewport={"width": 1366, "height": 768}))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        if script:
            page.add_init_script(script)
        page.goto(made.result("browser/index.html").as_uri() + address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert requests
    assert {url.split(":")[0] for url in requests} <= {"file", "blob", "data"}


def told(page):
    """Wait until a patient is drawn and return what is said of the picture."""
    shown = page.locator("#shown:not(:empty)")
    shown.wait_for()
    page.locator("#viewer[aria-busy]").wait_for(state="detached")
    return shown.inner_text()


def picture(page, name="planes"):
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.locator(f"#{name} canvas").screenshot()


def column(page, place):
    return page.locator(f"#table tbody tr > :nth-child({place})").all_inner_texts()


def numbers(texts):
    return [float(text) for text in texts if text != "–"]


def show_all(page):
    page.locator("[name=part]").select_option("all")


def test_the_worst_test_patient_is_shown_first_and_a_heading_sorts(opened):
    page = opened()
    dice = column(page, 3)
    assert numbers(dice) == sorted(numbers(dice))
    assert set(column(page, 2)) == {"test"}
    assert page.locator("tr[aria-current] th").inner_text() == column(page, 1)[0]
    show_all(page)
    heading = page.get_by_role("columnheader", name="True")
    for direction in ("ascending", "descending"):
        heading.get_by_role("button").click()
        assert heading.get_attribute("aria-sort") == direction
        volumes = numbers(column(page, 5))
        assert len(volumes) == 12
        assert volumes == sorted(volumes, reverse=direction == "descending")
    assert volumes[0] > volumes[-1]


def test_the_list_can_be_narrowed(opened):
    page = opened()
    show_all(page)
    assert page.locator("#count").inner_text() == "12 of 12 patients"
    page.locator("[name=shows]").select_option("a hemorrhage")
    assert 0 < len(column(page, 1)) < 12
    assert all(volume > 0 for volume in numbers(column(page, 5)))
    page.locator("[name=shows]").select_option("anything")
    page.locator("[name=text]").fill("06")
    assert sorted(column(page, 1)) == ["066", "067"]


def bleeding(page):
    """Go to a patient with hemorrhage whose truth is large enough to be seen."""
    show_all(page)
    page.get_by_role("columnheader", name="True").get_by_role("button").click()
    page.get_by_role("columnheader", name="True").get_by_role("button").click()
    link = page.locator("#table tbody a").first
    patient = link.inner_text()
    link.click()
    expect(page.locator("#shown")).to_contain_text(f"Patient {patient} ", timeout=PATIENCE_MS)
    told(page)
    return page


def test_keys_change_slice_window_overlay_and_view(opened):
    page = bleeding(opened())
    start = told(page)
    seen = {picture(page)}
    for key, change in [
        ("ArrowUp", f"slice {int(start.split('slice ')[1].split()[0]) + 1} of"),
        ("2", "subdural window, level 80, width 200 HU"),
        ("3", "bone window, level 600, width 2800 HU"),
    ]:
        page.keyboard.press(key)
        expect(page.locator("#shown")).to_contain_text(change)
        before = len(seen)
        seen.add(picture(page))
        assert len(seen) == before + 1, key
    page.keyboard.press("1")
    page.keyboard.press("ArrowDown")
    assert told(page) == start
    with_truth = picture(page), picture(page, "volume")
    page.keyboard.press("t")
    expect(page.locator("[name=truth]")).to_have_attribute("aria-pressed", "false")
    assert (picture(page), picture(page, "volume")) != with_truth
    assert picture(page) != with_truth[0]
    page.get_by_role("button", name="Truth").click()
    assert picture(page) == with_truth[0]
    page.keyboard.press("v")
    assert page.locator("#pictures").get_attribute("class") == "axial"
    assert picture(page) != with_truth[0]


def test_the_truth_is_blue_and_only_where_it_is(opened):
    page = bleeding(opened())
    colors = "() => { const c = document.createElement('canvas'), from = document.querySelector('#planes canvas');"
    colors += "planes.drawScene(); c.width = from.width; c.height = from.height; const d = c.getContext('2d');"
    colors += "d.drawImage(from, 0, 0); const p = d.getImageData(0, 0, c.width, c.height).data; let blue = 0;"
    colors += "for (let i = 0; i < p.length; i += 4) { blue += p[i + 2] > p[i] + 40; } return blue; }"
    page.keyboard.press("p")
    assert page.evaluate(colors) > 20
    page.keyboard.press("t")
    assert page.evaluate(colors) == 0


def test_the_rendering_turns_by_key_and_by_mouse_and_is_cut_open(opened):
    page = bleeding(opened())
    seen = {picture(page, "volume")}
    box = page.locator("#volume canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for change in ("ArrowLeft", "Shift+ArrowUp", "c", "mouse"):
        if change == "mouse":
            page.mouse.move(x, y)
            page.mouse.down()
            page.mouse.move(x + 40, y + 10, steps=4)
            page.mouse.up()
        else:
            page.keyboard.press(change)
        before = len(seen)
        seen.add(picture(page, "volume"))
        assert len(seen) == before + 1, change


def test_the_next_patient_and_another_model_come_by_key(opened):
    page = opened()
    first, second = column(page, 1)[:2]
    assert f"Patient {first} " in told(page)
    for key in "jkjm":  # faster than anything can be drawn
        page.keyboard.press(key)
    expect(page.locator("#shown")).to_contain_text(f"Patient {second} ", timeout=PATIENCE_MS)
    expect(page.locator("#title")).to_have_text(f"Patient {second}")
    assert "null" in page.locator("#facts").inner_text()
    assert set(numbers(column(page, 6))) == {0.0}


def test_without_webgl_the_page_says_so_and_the_list_works(opened):
    page = opened(script="HTMLCanvasElement.prototype.getContext = () => null;")
    expect(page.locator("#message")).to_contain_text("no WebGL2", timeout=PATIENCE_MS)
    expect(page.locator("#viewer")).to_be_hidden()
    page.get_by_role("columnheader", name="Wrong").get_by_role("button").click()
    assert numbers(column(page, 7)) == sorted(numbers(column(page, 7)))
