"""Text for people: what is a value stays a value, and nothing but text comes out."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ichflow import prose
from ichflow.errors import IchflowError

PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)


@given(PRINTABLE)
def test_values_stand_in_the_text_as_they_are(value: str) -> None:
    text = prose.fill("A {{ name }} b", {"name": value}, name="test")
    assert prose.plain(text) == f"A {value} b"


def test_numbers_lists_and_nothing() -> None:
    text = prose.fill("{{ n }}, {{ [1, 2] | join('_') }}, {{ none }}.", {"n": 0.5, "none": None}, name="test")
    assert text == r"0.5, 1\_2, ."


def test_filters_can_be_given() -> None:
    assert prose.fill("{{ 2 | twice }}", {}, name="test", filters={"twice": lambda x: 2 * x}) == "4"


@pytest.mark.parametrize("template", ["{{ absent }}", "{% if %}", "{{ 1 | absent }}"])
def test_a_template_that_asks_for_what_is_not_there_is_refused_by_name(template: str) -> None:
    with pytest.raises(IchflowError, match=r"methods\.md"):
        prose.fill(template, {}, name="methods.md")


def test_no_html_and_no_resource_gets_through() -> None:
    text = "<script>alert(1)</script>\n\n![a](http://x/y.png) [b](javascript:alert) <img src=x> [c](https://doi.org/1)"
    html = prose.html(text)
    assert not re.search(r"<(?!/?(p|a)\b)", html)
    assert "javascript:" not in re.sub(r">[^<]*<", "><", html)
    assert '<a href="https://doi.org/1">c</a>' in html


def test_headings_go_below_that_of_the_section_and_tables_scroll() -> None:
    html = prose.html("# Title\n\n## Part\n\ntext\n\n### Detail\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
    assert "Title" not in html
    assert "<h3>Part</h3>" in html
    assert "<h4>Detail</h4>" in html
    assert re.search(r'<div class="table" tabindex="0">\s*<table>.*</table>\s*</div>', html, flags=re.DOTALL)


def test_a_text_that_is_not_there_is_told(tmp_path) -> None:
    with pytest.raises(IchflowError, match=r"study\.md: found no file"):
        prose.read(tmp_path / "study.md")
