"""The page: complete, self-contained, escaped, with sentences made from the tables."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ichflow import report
from ichflow.errors import IchflowError

TEMPLATE = Path(__file__).parents[2] / "workflow" / "report" / "page.html.j2"


def make_page(**changes: Any) -> report.Page:
    default: dict[str, Any] = {
        "title": "A run",
        "dataset_name": "phantom",
        "restricted": False,
        "phantom": True,
        "summary": ["One sentence."],
        "sections": [report.section("limits", text=report.LIMITS)],
    }
    return report.Page(**(default | changes))


def render(page: report.Page, folder: Path) -> str:
    report.render(TEMPLATE, page, folder / "report.html")
    return (folder / "report.html").read_text(encoding="utf-8")


class Elements(HTMLParser):
    """All start tags with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def values(self, attribute: str) -> list[str]:
        return [attributes[attribute] or "" for _, attributes in self.found if attribute in attributes]


def make_summary(models: tuple[str, ...] = ("null", "threshold", "unet-small")) -> pd.DataFrame:
    rows = []
    for model in models:
        dice = {"null": 0.0, "threshold": 0.3}.get(model, 0.7123)
        row: dict[str, Any] = {"model": model, "n_patients": 20, "n_hemorrhage_patients": 10, "n_other_patients": 10}
        row |= {"n_positive_slices": 80, "n_negative_slices": 660, "n_precision": 0 if model == "null" else 10}
        for name, *_ in report.RESULTS:
            row |= {name: dice, f"{name}_low": dice - 0.1, f"{name}_high": dice + 0.1}
        row |= {"accuracy": 0.99951, "accuracy_low": np.nan, "accuracy_high": np.nan}
        rows.append(row)
    return pd.DataFrame(rows)


def make_tests(**changes: Any) -> pd.DataFrame:
    row: dict[str, Any] = {
        "analysis": "models",
        "comparison": "Dice, unet-small minus threshold",
        "unit": "patient",
        "model": "unet-small",
        "baseline": "threshold",
        "test": "Wilcoxon signed-rank",
        "groups": "test patients with hemorrhage 10",
        "n": 10,
        "statistic_name": "W",
        "statistic": 1.0,
        "df1": np.nan,
        "df2": np.nan,
        "p": 0.0004,
        "family": "Dice, model against model",
        "p_holm": 0.0012,
        "effect_name": "rank-biserial correlation",
        "effect": 0.96,
        "effect_low": np.nan,
        "effect_high": np.nan,
        "difference": 0.4123,
        "ci_low": 0.3,
        "ci_high": 0.5,
        "ci_of": "mean difference of Dice, bootstrap over patients",
        "note": "",
        "reason": "",
    }
    return pd.DataFrame([row | changes])


def make_inventory() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "patient": ["049", "050", "051"],
            "verdict": ["accept", "warn", "set aside"],
            "slices": [30, 1200, 0],
            "hemorrhage_slices": [4, 0, 0],
        }
    )


def test_every_section_is_there_even_if_nothing_was_made(tmp_path: Path) -> None:
    html = render(make_page(sections=[]), tmp_path)
    ids = [attributes["id"] for tag, attributes in Elements(html).found if tag == "section"]
    assert ids == list(report.SECTIONS)
    assert [f"#{name}" for name in report.SECTIONS] == Elements(html).values("href")
    assert html.count("This run made nothing for this section.") == len(report.SECTIONS)


def test_sections_keep_their_order_and_say_why_they_are_empty(tmp_path: Path) -> None:
    sections = [report.section("limits", text=["A limit."]), report.section("samples", missing="No hemorrhage here.")]
    html = render(make_page(sections=sections), tmp_path)
    assert html.index("No hemorrhage here.") < html.index("A limit.")


def test_page_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"not really a picture")
    (tmp_path / "b.svg").write_text("<svg/>", encoding="utf-8")
    pictures = [report.picture(tmp_path / name, "a caption") for name in ("a.png", "b.svg")]
    html = render(make_page(sections=[report.section("bone", pictures=pictures)]), tmp_path)
    elements = Elements(html)
    assert all(source.startswith("data:image/") for source in elements.values("src"))
    assert all(target.startswith("#") for target in elements.values("href"))
    assert not re.search(r"https?:|@import|url\(", html)
    assert not {"link", "iframe", "object"} & {tag for tag, _ in elements.found}


def test_picture_carries_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x00\xff")
    uri = report.picture(tmp_path / "a.png", "").uri
    assert uri.startswith("data:image/png;base64,")
    assert base64.b64decode(uri.split(",")[1]) == b"\x00\xff"


def test_picture_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IchflowError, match=r"a\.bmp"):
        report.picture(tmp_path / "a.bmp", "")


def test_everything_is_escaped(tmp_path: Path) -> None:
    evil = "<script>alert('x')</script>"
    frame = pd.DataFrame({evil: [evil]})
    (tmp_path / "a.svg").write_text("<svg/>", encoding="utf-8")
    pictures = [report.picture(tmp_path / "a.svg", f'"{evil}')]
    sections = [report.section("dataset", text=[evil], tables=[report.table(frame, evil)], pictures=pictures)]
    html = render(make_page(title=evil, dataset_name=evil, summary=[evil], sections=sections), tmp_path)
    assert "<script>alert" not in html
    assert html.count("&lt;script&gt;alert") >= 8


@pytest.mark.parametrize("restricted", [True, False])
def test_banners(restricted: bool, tmp_path: Path) -> None:
    html = render(make_page(restricted=restricted), tmp_path)
    assert '<div class="banner">Not for clinical use</div>' in html
    assert ("Do not share" in html) == restricted


def test_same_page_same_bytes(tmp_path: Path) -> None:
    assert render(make_page(), tmp_path) == render(make_page(), tmp_path)


def test_template_with_an_unknown_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.j2").write_text("{{ page.author }}", encoding="utf-8")
    with pytest.raises(IchflowError, match="author"):
        report.render(tmp_path / "bad.j2", make_page(), tmp_path / "report.html")
    with pytest.raises(IchflowError, match=r"absent\.j2"):
        report.render(tmp_path / "absent.j2", make_page(), tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_table_formats_and_sorts_by_value(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "model": ["null", ""],
            "n_slices": [1234, 5],
            "dice": [0.71234, np.nan],
            "p": [0.00004, 0.25],
            "fracture": [True, False],
        }
    )
    table = report.table(frame, "A caption", headers={"dice": "Dice"})
    assert [column.name for column in table.columns] == ["model", "n slices", "Dice", "p", "fracture"]
    assert [column.numeric for column in table.columns] == [False, True, True, True, False]
    assert [cell.text for cell in table.rows[0]] == ["null", "1,234", "0.712", "< 0.001", "yes"]
    assert [cell.text for cell in table.rows[1]] == ["", "5", "–", "0.250", "no"]
    html = render(make_page(sections=[report.section("results", tables=[table])]), tmp_path)
    assert "<caption>A caption</caption>" in html
    sorts = Elements(html).values("data-sort")
    assert sorts == ["null", "1234.0", "0.71234", "4e-05", "1.0", "5.0", "0.25", "0.0"]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0"),
        (0.5, "0.500"),
        (0.99953, "0.99953"),
        (1.0, "1.00"),
        (-3.14159, "-3.14"),
        (523.61, "523.6"),
        (12345.6, "12,346"),
        (0.00012, "0.00012"),
        (7, "7"),
        (np.int64(31_032_837), "31,032,837"),
        (np.nan, "–"),
        (None, "–"),
        (np.inf, "inf"),
    ],
)
def test_numbers(number: Any, text: str) -> None:
    assert report.format_number(number) == text


def test_intervals_share_their_decimals() -> None:
    assert report.format_interval(0.25, 0.1, 1.0) == "0.250 [0.100, 1.000]"
    assert report.format_interval(0.25, np.nan, np.nan) == "0.250"
    assert report.format_interval(2370.0, -54.63, 4794.63) == "2,370 [-55, 4,795]"
    assert report.format_interval(1e-17, -0.21, 0.332) == "0.000 [-0.210, 0.332]"
    assert report.format_interval(0.99953, 0.9992, 1.0) == "0.99953 [0.99920, 1.00000]"
    assert report.format_interval(np.nan, np.nan, np.nan) == "–"


def test_results_have_a_column_for_each_model() -> None:
    table = report.results_table(make_summary())
    assert [column.name for column in table.columns] == ["quantity", "null", "threshold", "unet-small", "n"]
    assert [cell.text for cell in table.rows[0][1:]] == [
        "0.000 [-0.100, 0.100]",
        "0.300 [0.200, 0.400]",
        "0.712 [0.612, 0.812]",
        "10 patients",
    ]
    precision = next(row for row in table.rows if "precision" in row[0].text)
    assert precision[-1].text == "0 / 10 / 10 patients"


def test_tests_are_laid_out_by_analysis() -> None:
    not_made = make_tests(
        analysis="as in the study",
        baseline="",
        p=np.nan,
        p_holm=np.nan,
        statistic=np.nan,
        effect=np.nan,
        difference=np.nan,
    )
    not_made = not_made.assign(ci_low=np.nan, ci_high=np.nan, note="a note", reason="no test: too few")
    against, slices = report.tables_of_tests(pd.concat([make_tests(), not_made]))
    assert [cell.text for cell in against.rows[0]] == [
        "Dice, unet-small minus threshold",
        "unet-small",
        "Wilcoxon signed-rank",
        "test patients with hemorrhage 10",
        "W = 1",
        "< 0.001",
        "0.001",
        "0.412 [0.300, 0.500]",
        "rank-biserial correlation 0.960",
    ]
    assert "A note." in slices.caption
    assert [cell.text for cell in slices.rows[0]][4:] == ["no test: too few", "–", "–", "–", "–"]


def test_results_come_back_from_csv_as_they_were(tmp_path: Path) -> None:
    for name, frame in (("summary", make_summary()), ("tests", make_tests())):
        frame.to_csv(tmp_path / name, index=False)
        pd.testing.assert_frame_equal(report.read_results(tmp_path / name), frame, check_dtype=False)


def test_sentences_say_what_the_tables_say() -> None:
    sentences = report.summary_sentences(make_summary(), make_tests(), make_inventory(), "phantom", phantom=True)
    text = "\n".join(sentences)
    assert "phantom: 2 patients (1 with hemorrhage), 1,230 slices (4 with hemorrhage); 1 patient set aside." in text
    assert "simulated" in text
    assert "20 test patients: mean Dice 0.712 (95 % interval 0.612 to 0.812) over the 10 with hemorrhage" in text
    assert "threshold (a threshold on Hounsfield units) reaches 0.300" in text
    assert (
        "Dice of unet-small minus that of threshold: 0.412 (95 % interval over patients 0.300 to 0.500; Wilcoxon "
        "signed-rank p < 0.001, adjusted p = 0.001; n = 10): unet-small has the higher Dice."
    ) in text
    assert "null 0.99951" in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"p": 0.0421, "p_holm": 0.0842}, "p = 0.042, adjusted p = 0.084; n = 10): no difference is"),
        ({"ci_low": np.nan, "ci_high": np.nan, "p_holm": 0.4}, "0.412 (Wilcoxon signed-rank p < 0.001, adjusted p"),
        ({"effect": -0.5, "difference": -0.1}, "unet-small has the lower Dice."),
        ({"effect": -0.5}, "unet-small has the lower Dice by ranks, though not by the mean"),
        ({"reason": "no test: found 1"}, "minus that of threshold: no test: found 1."),
    ],
)
def test_sentences_do_not_claim_more_than_was_shown(changes: dict[str, Any], words: str) -> None:
    text = "\n".join(report.summary_sentences(make_summary(), make_tests(**changes), make_inventory(), "phantom"))
    assert words in text
    assert "the higher Dice" not in text
    assert "simulated" not in text


def test_sentences_without_a_trained_model_or_hemorrhage() -> None:
    baselines = make_summary(models=("null", "threshold"))
    text = "\n".join(report.summary_sentences(baselines, make_tests().iloc[:0], make_inventory(), "scans"))
    assert "No trained model in this run" in text
    healthy = make_summary().assign(dice=np.nan, n_hemorrhage_patients=0)
    text = "\n".join(report.summary_sentences(healthy, make_tests().iloc[:0], make_inventory(), "scans"))
    assert "none with hemorrhage: Dice is not defined" in text


def test_whole_numbers_stay_whole_beside_fractions() -> None:
    frame = pd.DataFrame({"value": pd.Series([44, 33.7, 1482], dtype=object)})
    made = report.table(frame, "Counts")
    assert made.columns[0].numeric
    assert [row[0].text for row in made.rows] == ["44", "33.70", "1,482"]
