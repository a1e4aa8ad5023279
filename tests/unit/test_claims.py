"""The text of results: every number in it is read back and found in the tables, and nothing unshown is claimed."""

import re

import numpy as np
import pandas as pd
import pytest
from ichflow import agreement, claims, outcome, power, samples, statistics, subgroups, summary
from ichflow.intervals import Bootstrap
from ichflow.recipes import BASELINES
from madeup import make_inventory, make_metrics

FEW = Bootstrap(seed=1, resamples=200)


def tables_of(metrics: pd.DataFrame) -> claims.Tables:
    part = samples.part_of_test(metrics)
    return claims.Tables(
        summary=summary.summary(metrics, resamples=FEW.resamples),
        subgroups=subgroups.table(metrics, make_inventory(metrics), smallest=3, resamples=FEW.resamples),
        tests=statistics.tests_table(part, simulated_group=True, smallest=2, bootstrap=FEW),
        assumptions=statistics.assumptions_table(part),
        agreement=agreement.table(part),
        power=power.table(part),
    )


TABLES = tables_of(make_metrics(patients=40))
TEXT = claims.markdown(TABLES)

EVIDENCE = re.compile(
    r"(?P<test>[A-Z][^;:]*?|two one-sided t-tests|one-way ANOVA|cluster-robust t-test) "
    r"(?P<letter>[tFUWHbz])(?:\((?P<df>[^)]+)\))? = (?P<statistic>-?[\d,.]+), p (?P<p>[=<] [\d.]+)"
    r"(?:, adjusted p (?P<adjusted>[=<] [\d.]+) \(Holm, (?P<family>.+?)\))?; n = (?P<n>[\d,]+) \((?P<groups>.+?)\)[.;]"
)


def number(text: str) -> float:
    return float(text.replace(",", ""))


def is_it(text: str | None, value: float) -> bool:
    """Tell whether a number as it is written is this value, rounded as written."""
    if text is None:
        return bool(np.isnan(value))
    if text.startswith("<"):
        return value < number(text[2:])
    text = text.removeprefix("= ")
    decimals = len(text.partition(".")[2])
    return abs(number(text) - value) <= 0.5 * 10.0**-decimals + 1e-9


def rows_behind(claim: str, tests: pd.DataFrame) -> list[outcome.Row]:
    """Find the rows of the table that the evidence of a claim agrees with in every number."""
    found = EVIDENCE.search(claim)
    assert found, claim
    freedom = [number(part) for part in found["df"].split(", ")] if found["df"] else []
    rows = tests[(tests["test"] == found["test"]) & (tests["groups"] == found["groups"]) & (tests["reason"] == "")]
    return [
        row
        for row in rows.to_dict("records")
        if row["statistic_name"] == found["letter"]
        and row["n"] == number(found["n"])
        and is_it(found["statistic"], row["statistic"])
        and is_it(found["p"], row["p"])
        and is_it(found["adjusted"], row["p_holm"])
        and (found["family"] or "") == row["family"]
        and [f"{row[name]:.4g}" for name in ("df1", "df2") if not np.isnan(row[name])]
        == [f"{value:.4g}" for value in freedom]
        and agree(estimates(claim), row)
    ]


def estimates(claim: str) -> list[tuple[str, ...]]:
    """Read the difference and the effect: percent, estimate, and the ends of the interval."""
    evidence = claim[: EVIDENCE.search(claim).start("test")].rsplit(": ", 1)[-1]
    return re.findall(
        r"(-?[\d,]+(?:\.\d+)?)(?:, (\d+) % interval (-?[\d,.]+) to (-?[\d,.]+?))?(?:, [^;]*)?; ", evidence
    )


def agree(read: list[tuple[str, ...]], row: outcome.Row) -> bool:
    """Hold what was read against what a row says."""
    every = [
        (row["difference"], 90 if "90 %" in row["ci_of"] else 95, row["ci_low"], row["ci_high"]),
        (row["effect"], 95, row["effect_low"], row["effect_high"]),
    ]
    known = [each for each in every if not np.isnan(each[0])]
    return len(read) == len(known) and all(
        is_it(value, estimate)
        and (np.isnan(low) if not percent else int(percent) == of and is_it(start, low) and is_it(end, high))
        for (value, percent, start, end), (estimate, of, low, high) in zip(read, known, strict=True)
    )


CLAIMS = [line for line in TEXT.split("\n\n") if EVIDENCE.search(line)]


def test_every_number_of_a_claim_is_in_the_table() -> None:
    told_of = TABLES.tests[(TABLES.tests["reason"] == "") & ~TABLES.tests["model"].isin(BASELINES)]
    assert len(CLAIMS) == len(told_of) > 30
    for claim in CLAIMS:
        rows = rows_behind(claim, TABLES.tests)
        assert len(rows) >= 1, claim


@pytest.mark.parametrize(
    "column", ["statistic", "p", "p_holm", "df1", "effect", "effect_low", "difference", "ci_high", "n"]
)
def test_a_number_that_changes_in_the_table_is_missed(column: str) -> None:
    """The comparison above can fail: with a column changed, claims that tell it have no row."""
    changed = TABLES.tests.assign(**{column: TABLES.tests[column] * 1.5 + 1})
    assert sum(not rows_behind(claim, changed) for claim in CLAIMS) > 5


def test_what_is_not_shown_is_not_claimed() -> None:
    decisive = {"models", "area", "post hoc", "slices within patients", "equivalence"}
    for claim in CLAIMS:
        for row in rows_behind(claim, TABLES.tests):
            if row["analysis"] in decisive:
                p = row["p_holm"] if row["family"] else row["p"]
                assert ("not shown" in claim.split(": ")[0]) == (p >= 0.05), claim


def test_directions_are_those_of_the_table() -> None:
    text = "\n".join(CLAIMS)
    assert "unet-small has a higher Dice than threshold" in text
    assert "unet-small errs less on the volume than null" in text
    assert "unet-small raises more false alarms than null" in text
    assert "unet-small marks a larger area in patients with hemorrhage than in those without" in text
    worse = TABLES.tests.assign(difference=-TABLES.tests["difference"])
    assert "unet-small has a lower Dice than threshold" in claims.markdown(
        claims.Tables(**{**vars(TABLES), "tests": worse})
    )


def test_volumes_and_subgroups_are_those_of_the_tables() -> None:
    known = TABLES.agreement[TABLES.agreement["model"] == "unet-small"].set_index("quantity")
    for name, meaning in agreement.QUANTITIES.items():
        found = re.search(re.escape(meaning) + r": (-?[\d.,]+), 95 % interval (-?[\d.,]+) to (-?[\d.,]+?)[.;]? ", TEXT)
        values = known.loc[name, ["value", "low", "high"]]
        assert all(is_it(text.rstrip(".;"), value) for text, value in zip(found.groups(), values, strict=True)), name
    rows = TABLES.subgroups[(TABLES.subgroups["measure"] == "dice") & (TABLES.subgroups["model"] == "unet-small")]
    for row in rows.to_dict("records"):
        line = next(line for line in TEXT.split("\n\n") if line.startswith(f"unet-small by {row['by']}, "))
        name = subgroups.NAMES.get(row["group"], row["group"])
        if row["reason"]:
            assert f"{name} ({row['n_patients']})" in line
            continue
        found = re.search(rf"[:;] {re.escape(name)} (-?[\d.]+)(?:, 95 % interval (\S+) to (\S+))?, n = (\d+)", line)
        assert is_it(found[1], row["patient"])
        assert is_it(found[2], row["patient_low"])
        assert is_it(found[3], row["patient_high"])
        assert int(found[4]) == row["n_patients"]


def test_multiplicity_pseudoreplication_and_refusals_are_told() -> None:
    made = TABLES.tests[TABLES.tests["reason"] == ""]
    assert f"{len(made)} tests were made. {(made['family'] != '').sum()} of them are in families" in TEXT
    for family, rows in made[made["family"] != ""].groupby("family"):
        assert f"{family}: {len(rows)} test" in TEXT
    assert "pseudoreplication" in TEXT
    assert "it was observed in nobody and shows nothing" in TEXT
    refused = TEXT.split("## Tests that were not made")[1]
    for row in TABLES.tests[TABLES.tests["reason"] != ""].to_dict("records"):
        assert row["reason"].removeprefix("no test: ") in refused
        assert row["comparison"] in refused


def test_the_text_is_headings_and_paragraphs() -> None:
    assert TEXT.startswith("# Results\n\n## Who was tested\n\n")
    for paragraph in TEXT.rstrip("\n").split("\n\n"):
        assert "\n" not in paragraph
        assert not re.search(r"[<>]/?[a-z]|nan|\bNone\b", paragraph), paragraph
    assert not TEXT.replace("\n\n", "").count("\n\n\n")


@pytest.mark.parametrize("case", ["no rows", "no test part", "no hemorrhage", "one patient", "baselines only"])
def test_degenerate_tables_make_a_text(case: str) -> None:
    metrics = make_metrics()
    chosen = {
        "no rows": metrics.iloc[:0],
        "no test part": metrics.assign(part="train"),
        "no hemorrhage": metrics[~metrics["patient"].isin(metrics.loc[metrics["has_hemorrhage"], "patient"])],
        "one patient": metrics[metrics["patient"] == "049"],
        "baselines only": metrics[metrics["model"] != "unet-small"],
    }[case]
    text = claims.markdown(tables_of(chosen))
    assert "nan" not in text
    assert text.count("## ") == TEXT.count("## ")
