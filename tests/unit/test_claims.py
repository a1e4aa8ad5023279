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


NUMBER = r"-?[\d,]*\d(?:\.\d+)?"
INTERVAL = rf"(?:, (?P<percent>\d+) % interval (?P<low>{NUMBER}) to (?P<high>{NUMBER}))?"
ESTIMATE = re.compile(rf"(?P<value>{NUMBER}){INTERVAL}(?:, [^;]*)?; ")
WHO = re.compile(
    rf"test part has ({NUMBER}) patients, ({NUMBER}) with hemorrhage, and ({NUMBER}) slices, ({NUMBER}) with hemorrhage"
)
QUANTITY = re.compile(
    rf"(?P<meaning>{'|'.join(map(re.escape, agreement.QUANTITIES.values()))}): (?P<value>{NUMBER}){INTERVAL}[;.] "
)
VOLUMES_OF = re.compile(r"Volumes of (?P<model>.+?) in (?P<n>\d+) patients with hemorrhage")
SPOKEN = re.compile(rf"(?<=[:;] )(?P<group>[^;:]+?) (?P<value>{NUMBER}){INTERVAL}, n = (?P<n>\d+)(?=[;.])")
SILENT = re.compile(r"(?<=[:,] )(?P<group>[^:;]+?) \((?P<n>\d+)\)(?=[,.])")
POWER = re.compile(
    rf"(?P<about>.+): (?P<effect_name>.+?) (?P<effect>{NUMBER})"
    rf"(?:, that is (?P<difference>{NUMBER}) \((?P<difference_of>.+)\))?; n = (?P<n>{NUMBER}) \((?P<groups>.+)\)\."
)
DOUBT = re.compile(r"(?P<assumption>[a-z ]+): in doubt \(p below 0\.05\) in (?P<doubtful>\d+) of (?P<made>\d+) checks?")
COUNTED = re.compile(
    r"(\d+) tests were made\. (\d+) of them are in families, .+?; (\d+) pairs are adjusted by Games and Howell's own "
    r"method; (\d+), those of the original study"
)
FAMILY = re.compile(r"(?<=[:;] )(?P<family>[^:;]+): (?P<tests>\d+) tests?(?=[;.])")
FIXED = (
    *("p below 0.05", "below 0.05", "power 0.8, two-sided 0.05", "by slices: p is not below 0.05"),
    *("95 % of the differences", "excludes 0", "includes 0", "(0 not at all, 1 wholly)"),
)
"""What the sentences say of every run, and no table holds."""


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
    return ESTIMATE.findall(claim[: EVIDENCE.search(claim).start("test")].rsplit(": ", 1)[-1])


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
    assert "marks is smaller in the group none than in the group large bleed" in text
    turned = changed_text(difference=-TABLES.tests["difference"], effect=-TABLES.tests["effect"])
    assert "unet-small has a lower Dice than threshold" in turned
    assert "marks is larger in the group none than in the group large bleed" in turned


def changed_text(**columns: pd.Series) -> str:
    return claims.markdown(claims.Tables(**{**vars(TABLES), "tests": TABLES.tests.assign(**columns)}))


def test_a_rank_test_is_told_in_the_direction_of_the_ranks() -> None:
    """One patient with a huge difference turns the mean round, and not what was tested."""
    others = changed_text(difference=-TABLES.tests["difference"])
    (told,) = (line for line in others.split("\n\n") if "has a higher Dice than threshold" in line)
    assert told.endswith(
        "The mean points the other way than the ranks, by a few patients who differ much: a hint and no more."
    )
    assert "points the other way" not in TEXT


@pytest.mark.parametrize(
    ("p_holm", "effect_low", "words"),
    [
        (0.2, 0.1, "An interval, which is adjusted for nothing, excludes 0: a hint and no more."),
        (0.2, -0.1, ""),
        (0.01, 0.1, ""),
        (0.01, -0.1, "An interval includes 0: a hint and no more."),
    ],
)
def test_intervals_that_do_not_say_what_the_test_says_are_named(p_holm: float, effect_low: float, words: str) -> None:
    ranked = TABLES.tests["test"] == "Mann-Whitney U test"
    known = {"p_holm": p_holm, "effect": 0.3, "effect_low": effect_low, "effect_high": 0.6}
    text = changed_text(**{name: TABLES.tests[name].mask(ranked, value) for name, value in known.items()})
    for line in (line for line in text.split("\n\n") if "Mann-Whitney U test U = " in line):
        assert line.endswith(f"). {words}" if words else ").")


def section(heading: str, text: str = TEXT) -> list[str]:
    """Return the paragraphs below a heading."""
    return text.split(f"## {heading}\n\n")[1].partition("\n\n## ")[0].rstrip("\n").split("\n\n")


def told(found: re.Match[str], row: outcome.Row, value: str, low: str = "low", high: str = "high") -> bool:
    """Hold an estimate with its interval against a row."""
    return all(is_it(found[name], row[of]) for name, of in (("value", value), ("low", low), ("high", high)))


def test_those_who_were_tested_are_those_of_the_table() -> None:
    row = TABLES.summary.iloc[0]
    slices = row["n_positive_slices"] + row["n_negative_slices"]
    expected = (row["n_patients"], row["n_hemorrhage_patients"], slices, row["n_positive_slices"])
    assert tuple(map(number, WHO.search(TEXT).groups())) == expected


def test_volumes_are_those_of_the_table() -> None:
    known = TABLES.agreement[TABLES.agreement["model"] == "unet-small"].set_index("quantity")
    (line,) = (line for line in section("Predicted and true volume") if VOLUMES_OF.match(line))
    assert VOLUMES_OF.match(line).groups() == ("unet-small", str(known["n"].iloc[0]))
    read = {found["meaning"]: found for found in QUANTITY.finditer(line)}
    for name, meaning in agreement.QUANTITIES.items():
        assert told(read[meaning], known.loc[name], "value"), name


@pytest.mark.parametrize(("high", "words"), [(0.2, "with the size is not shown"), (-0.1, "and the limits with them")])
def test_limits_hold_for_every_size_unless_the_slope_says_otherwise(high: float, words: str) -> None:
    changed = TABLES.agreement.copy()
    changed.loc[changed["quantity"] == "slope", ["value", "low", "high"]] = [-0.3, -0.8, high]
    text = claims.markdown(claims.Tables(**{**vars(TABLES), "agreement": changed}))
    (line,) = (line for line in section("Predicted and true volume", text) if VOLUMES_OF.match(line))
    assert line.endswith(f"{words}.")


def test_subgroups_are_those_of_the_table() -> None:
    rows = TABLES.subgroups[(TABLES.subgroups["measure"] == "dice") & (TABLES.subgroups["model"] == "unet-small")]
    for by, groups in rows.groupby("by"):
        line = next(line for line in section("Subgroups") if line.startswith(f"unet-small by {by}, "))
        spoken = {found["group"]: found for found in SPOKEN.finditer(line)}
        silent = {found["group"]: found["n"] for found in SILENT.finditer(line)}
        for row in groups.to_dict("records"):
            name = subgroups.NAMES.get(row["group"], row["group"])
            if row["reason"]:
                assert silent.pop(name) == str(row["n_patients"])
            else:
                found = spoken.pop(name)
                assert told(found, row, "patient", "patient_low", "patient_high")
                assert found["n"] == str(row["n_patients"])
        assert not spoken
        assert not silent


def test_what_could_be_shown_is_that_of_the_table() -> None:
    lines = section("What this many patients could show")[1:]
    rows = TABLES.power.to_dict("records")
    assert len(rows) > 5
    for line, row in zip(lines, rows, strict=True):
        if row["reason"]:
            assert line.endswith(f"{row['test']}: {row['reason']}.")
            continue
        found = POWER.fullmatch(line)
        assert found["about"].startswith(row["comparison"])
        assert found["about"].endswith(row["test"])
        assert row["baseline"] or row["model"] in found["about"]
        assert is_it(found["effect"], row["effect"])
        assert is_it(found["difference"], row["difference"])
        assert number(found["n"]) == row["n"]
        for name in ("effect_name", "groups", "difference_of"):
            assert (found[name] or "") == row[name]


def test_assumptions_in_doubt_are_those_of_the_table() -> None:
    made = TABLES.assumptions[TABLES.assumptions["reason"] == ""]
    read = {found["assumption"].strip(): found for found in DOUBT.finditer(section("Assumptions")[0])}
    assert set(read) == set(made["assumption"]) == {"normality", "equal variances"}
    for assumption, rows in made.groupby("assumption"):
        assert int(read[assumption]["made"]) == len(rows)
        assert int(read[assumption]["doubtful"]) == (rows["p"] < 0.05).sum()


def test_multiplicity_pseudoreplication_and_refusals_are_told() -> None:
    made = TABLES.tests[TABLES.tests["reason"] == ""]
    alone = made["family"] == ""
    of_pairs, of_study = ((alone & (made["analysis"] == name)).sum() for name in (outcome.POST_HOC, outcome.STUDY))
    assert tuple(map(int, COUNTED.search(TEXT).groups())) == (len(made), (~alone).sum(), of_pairs, of_study)
    families = {found["family"]: int(found["tests"]) for found in FAMILY.finditer(section("Multiplicity")[1])}
    assert families == made.loc[~alone, "family"].value_counts().to_dict()
    assert "pseudoreplication" in TEXT
    assert "it was observed in nobody and shows nothing" in TEXT
    refused = "\n".join(section("Tests that were not made"))
    for row in TABLES.tests[TABLES.tests["reason"] != ""].to_dict("records"):
        assert row["reason"].removeprefix("no test: ") in refused
        assert row["comparison"] in refused


def test_no_number_is_left_that_is_not_read_back() -> None:
    """What the readers above find is taken out of the text, and so are names and notes of the tables."""
    texts = [table.select_dtypes(exclude="number") for table in vars(TABLES).values()]
    cells = {str(cell) for table in texts for cell in table.to_numpy().ravel()}
    names = {part for cell in cells for part in (cell, *cell.split("; "), *cell.split(", "), *cell.split(" within "))}
    names |= {name.removeprefix("no test: ") for name in names} | set(FIXED)
    for paragraph in TEXT.split("\n\n"):
        rest = EVIDENCE.sub("", paragraph) if paragraph in CLAIMS else paragraph
        readers = [ESTIMATE] if paragraph in CLAIMS else [WHO, VOLUMES_OF, QUANTITY, SPOKEN, SILENT, POWER]
        for reader in (*readers, DOUBT, COUNTED, FAMILY):
            rest = reader.sub("", rest)
        for name in sorted((name for name in names if re.search(r"\d", name)), key=len, reverse=True):
            rest = rest.replace(name, "")
        assert not re.search(r"\d", rest), paragraph


def test_the_text_is_headings_and_paragraphs() -> None:
    assert TEXT.startswith("# Results\n\n## Who was tested\n\n")
    for paragraph in TEXT.rstrip("\n").split("\n\n"):
        assert "\n" not in paragraph
        assert not re.search(r"[<>]/?[a-z]|nan|\bNone\b", paragraph), paragraph
    assert not TEXT.replace("\n\n", "").count("\n\n\n")


NOTHING = {"predicted_px": 0, "study_px": 0, "predicted_ml": 0.0, "score": 0.0}


@pytest.mark.parametrize(
    "case",
    [
        *("no rows", "no test part", "no hemorrhage", "one patient", "baselines only"),
        *("nothing predicted", "numbers missing"),
    ],
)
def test_degenerate_tables_make_a_text(case: str) -> None:
    metrics = make_metrics()
    chosen = {
        "no rows": metrics.iloc[:0],
        "no test part": metrics.assign(part="train"),
        "no hemorrhage": metrics[~metrics["patient"].isin(metrics.loc[metrics["has_hemorrhage"], "patient"])],
        "one patient": metrics[metrics["patient"] == "049"],
        "baselines only": metrics[metrics["model"] != "unet-small"],
        "nothing predicted": metrics.assign(**NOTHING),
        "numbers missing": metrics.assign(**dict.fromkeys((*NOTHING, "dice"), np.nan), detected=False),
    }[case]
    text = claims.markdown(tables_of(chosen))
    assert "nan" not in text
    assert text.count("## ") == TEXT.count("## ")
