"""Text for people: Markdown out of templates and values, and Markdown to HTML.

Values are escaped where they enter Markdown, and no HTML of a text passes to the page, so that a name or path shows as
what it is.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jinja2
from markdown_it import MarkdownIt
from markdown_it.token import Token

from ichflow.errors import IchflowError

_SPECIAL = re.compile(r"([\\`*_\[\]<>|&#])")


def fill(
    template: str, values: Mapping[str, Any], *, name: str, filters: Mapping[str, Callable[..., Any]] | None = None
) -> str:
    """Fill a Jinja template of Markdown.

    Parameters
    ----------
    template
        Its text; every value is escaped, so that it stands in the text as it is.
    values
        What the template may use. A name that it lacks is an error; ``None`` is written as nothing.
    name
        What the template is called in an error.
    filters
        Functions that it may use on a value, besides those of Jinja.

    Raises
    ------
    IchflowError
        The template has a fault, or uses a name that there is not.
    """
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, finalize=_escaped, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    environment.filters |= filters or {}
    try:
        return environment.from_string(template).render(values)
    except jinja2.TemplateError as error:
        raise IchflowError(f"{name}: {error}; mend the template, or give it what it asks for") from error


def _escaped(value: Any) -> Any:
    if value is None:
        return ""
    return _SPECIAL.sub(r"\\\1", value) if isinstance(value, str) else value


def plain(markdown: str) -> str:
    """Return a line of Markdown as plain text, as it goes into a table: without its escapes, emphasis and links."""
    token = MarkdownIt("commonmark").parseInline(" ".join(markdown.split()))[0]
    return "".join(child.content for child in token.children or [])


def html(markdown: str) -> str:
    """Turn Markdown into HTML for a section of the page.

    Parameters
    ----------
    markdown
        CommonMark with tables. Its title (``#``) is left out, since the section has one; ``##`` becomes ``h3`` and so
        on. HTML in it is shown as text.

    Returns
    -------
    str
        HTML without any resource: pictures are shown as their text.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    return parser.renderer.render(_fitted(parser.parse(markdown)), parser.options, {})


def _fitted(tokens: list[Token]) -> list[Token]:
    """Take the title out, move headings below that of a section, and let wide tables scroll."""
    kept: list[Token] = []
    titled = False
    for token in tokens:
        if token.type == "heading_open" and token.tag == "h1":
            titled = True
        if not titled:
            kept += _wrapped(token)
        if token.type == "heading_close" and token.tag == "h1":
            titled = False
    for token in kept:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 1)}"
    return kept


def _wrapped(token: Token) -> list[Token]:
    if token.type == "table_open":
        scroll = Token("html_block", "", 0, content='<div class="table" tabindex="0">\n')
        return [scroll, token]
    if token.type == "table_close":
        return [token, Token("html_block", "", 0, content="</div>\n")]
    return [token]


def read(path: str | Path) -> str:
    """Read a text.

    Raises
    ------
    IchflowError
        It is not there.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise IchflowError(f"{path}: found no file, expected a text of the report there") from None
