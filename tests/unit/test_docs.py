"""What the documentation says of the program is what the program does."""

import re

from ichflow.findings import KINDS
from ichflow.measure_tables import LABELS
from support import ROOT


def test_the_table_of_findings_is_that_of_the_program():
    text = (ROOT / "docs/data.md").read_text(encoding="utf-8")
    table = text.split("<!-- findings -->\n")[1].split("<!-- end -->")[0].splitlines()[2:]
    expected = [f"| `{code}` | {kind.verdict} | {kind.meaning} | {kind.remedy} |" for code, kind in KINDS.items()]
    assert table == expected


def test_the_table_of_measures_is_that_of_the_program():
    text = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    table = text.split("<!-- measures -->\n")[1].split("<!-- end -->")[0].splitlines()[2:]
    found = [line.split(" | ")[:2] for line in table]
    assert found == [[f"| `{key}`", label] for key, label in LABELS.items()]


def test_every_link_to_a_file_leads_to_one():
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("config/*.md")]:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"
