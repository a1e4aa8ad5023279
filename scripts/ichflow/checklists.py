"""Reporting guidelines, filled in as far as a run knows: what is answered, where, and what its author must still write.

Nothing is answered that is not made from the run's own config, tables and trainings; the rest is named as open.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from ichflow import facts, prose, report
from ichflow.errors import IchflowError
from ichflow.report import Cell, Column, Section, Table

ANSWERED, PARTLY, OPEN = STATUSES = ("answered", "partly answered", "open")
TOP = "top"
"""Where the summary stands, which is no section."""

NOTE = (
    "Filled in by the program from what the run knows; the items are told in short, so read the guidelines themselves. "
    "An item counts as met only once the paper says it. The same list is in checklist.csv."
)


@dataclass(frozen=True)
class Item:
    """One item of a guideline as a run answers it.

    Attributes
    ----------
    guideline, item, section, topic, asks
        Which item it is, and what it asks for in short.
    status
        One of :data:`STATUSES`.
    answer
        What the run says to it; may be empty.
    where
        Titles of the report's sections that show more.
    open
        What the author must still write; may be empty.
    """

    guideline: str
    item: str
    section: str
    topic: str
    asks: str
    status: str
    answer: str
    where: str
    open: str


COLUMNS = [field.name for field in fields(Item)]


def fill(path: str | Path, known: Mapping[str, Any]) -> list[Item]:
    """Fill in the checklists.

    Parameters
    ----------
    path
        YAML file of guidelines with their items.
    known
        Facts of the run, see :func:`ichflow.facts.gather`.

    Raises
    ------
    IchflowError
        A text uses a fact that there is not, or names a section that the report has not.
    """
    guidelines: list[dict[str, Any]] = yaml.safe_load(prose.read(path))
    return [_filled(path, each["guideline"], item, known) for each in guidelines for item in each["items"]]


def _filled(path: str | Path, guideline: str, item: Mapping[str, Any], known: Mapping[str, Any]) -> Item:
    name = f"{path}: {guideline}, item {item['item']}"
    answer, left = (
        prose.plain(prose.fill(item.get(key, ""), known, name=name, filters=facts.FILTERS))
        for key in ("answer", "open")
    )
    if not answer and not left:
        raise IchflowError(f"{name}: found neither an answer nor what is open, expected one of them for every run")
    status = OPEN if not answer else PARTLY if left else ANSWERED
    texts = {key: item[key] for key in ("item", "section", "topic", "asks")}
    where = _titles(name, item.get("where", ())) if answer else ""
    return Item(guideline, **texts, status=status, answer=answer, where=where, open=left)


def _titles(name: str, sections: Sequence[str]) -> str:
    known = {TOP: "Summary", **report.SECTIONS}
    if unknown := set(sections) - set(known):
        raise IchflowError(f"{name}: where: found {', '.join(sorted(unknown))}, expected ids of the report's sections")
    return ", ".join(known[section] for section in sections)


def rows(items: Sequence[Item]) -> list[dict[str, str]]:
    """Return the items as rows of a table with :data:`COLUMNS`."""
    return [asdict(item) for item in items]


def section(items: Sequence[Item]) -> Section:
    """Lay out the checklists for reading: what is open first, then a table for each guideline."""
    guidelines = list(dict.fromkeys(item.guideline for item in items))
    chosen = {name: [item for item in items if item.guideline == name] for name in guidelines}
    text = [NOTE, *(_told(name, found) for name, found in chosen.items())]
    return report.section("checklists", text=text, tables=[_table(name, found) for name, found in chosen.items()])


def _told(guideline: str, items: Sequence[Item]) -> str:
    counts = {status: sum(item.status == status for item in items) for status in STATUSES}
    still = ", ".join(f"{item.item} {item.topic.lower()}" for item in items if item.status == OPEN)
    return (
        f"{guideline}: of {len(items)} items {counts[ANSWERED]} are answered, {counts[PARTLY]} in part, "
        f"{counts[OPEN]} are open{f': {still}' if still else ''}."
    )


def _table(guideline: str, items: Sequence[Item]) -> Table:
    columns = [Column(name, False) for name in ("item", "asks for", "status", "what the run says", "still to write")]
    lines = [
        [
            Cell(item.item, float(number)),
            Cell(f"{item.topic}: {item.asks[0].lower()}{item.asks[1:]}", item.topic),
            Cell(item.status, float(STATUSES.index(item.status))),
            Cell(
                " ".join(filter(None, (item.answer, f"See {item.where}." if item.where else ""))), item.answer or None
            ),
            Cell(item.open, item.open or None),
        ]
        for number, item in enumerate(items, start=1)
    ]
    return Table(guideline, columns, lines)
