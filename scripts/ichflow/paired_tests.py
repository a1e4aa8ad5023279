"""Two models on the same patients: overlap, volume, detection and ranking, each paired by patient."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from ichflow import effects, intervals, outcome, roc
from ichflow.group_tests import normality
from ichflow.intervals import Bootstrap, Floats, Row, auroc
from ichflow.samples import Part, bleeding, floats

WILCOXON, MCNEMAR = "Wilcoxon signed-rank", "McNemar's exact test"
DELONG, OBUCHOWSKI = "DeLong's test", "Obuchowski's test for clustered data"
MCNEMAR_NOTE = "b is the number of patients in whom the first model is right and the other one is not"


def pairs(part: Part) -> Iterator[tuple[str, str]]:
    """Give each model that is compared with what it is compared with: the baselines, and the models after it."""
    baselines = [name for name in part.models if name not in part.trained]
    for place, model in enumerate(part.trained):
        for other in [*baselines, *part.trained[place + 1 :]]:
            yield model, other


def compare(part: Part, model: str, other: str, bootstrap: Bootstrap) -> list[Row]:
    """Compare two models on the test part.

    Parameters
    ----------
    part
        The test part.
    model, other
        Names; differences are the first minus the second.
    bootstrap
        Of the resamples over patients.

    Returns
    -------
    list of dict
        Rows with the columns of :mod:`ichflow.outcome`: Dice (patients with hemorrhage), absolute error of the volume
        (all patients), sensitivity (patients with hemorrhage) and specificity (those without) of detection, AUROC of
        patients and of slices. Intervals are over patients.
    """
    base = {"analysis": outcome.MODELS, "unit": "patient", "model": model, "baseline": other}
    dice, error = (
        _signed_rank(values(part, model, other, name), base, name, bootstrap) for name in ("Dice", "volume error")
    )
    found = [
        _mcnemar(values(part, model, other, name), base, name, bootstrap) for name in ("sensitivity", "specificity")
    ]
    ranked = [_auroc(part, level, base, bootstrap) for level in ("patient", "slice")]
    return [dice, error, *found, *ranked]


UNITS = {
    "Dice": "Dice",
    "volume error": "absolute error of the volume (mL)",
    "sensitivity": "sensitivity of detection",
    "specificity": "specificity of detection",
}
"""What is compared: its name, and what differences are differences of."""


def values(part: Part, model: str, other: str, name: str) -> pd.DataFrame:
    """Return what two models have reached in the same patients.

    Parameters
    ----------
    part, model, other
        As of :func:`compare`.
    name
        Out of :data:`UNITS`.

    Returns
    -------
    DataFrame
        A row a patient with the columns ``ours`` and ``theirs``, NaN where a model has no number, and ``stratum``,
        which is 1 for those with hemorrhage and 0 for others: the bootstrap draws them separately.
    """
    columns: dict[str, pd.Series] = {}
    for column, which in (("ours", model), ("theirs", other)):
        rows = part.patients[which]
        chosen = {"volume error": np.ones(len(rows), bool), "specificity": ~bleeding(rows)}.get(name, bleeding(rows))
        index = rows["patient"].to_numpy()[chosen]
        columns[column] = pd.Series(_measured(rows, name)[chosen], index=index)
        columns["stratum"] = pd.Series(bleeding(rows)[chosen].astype(float), index=index)
    return pd.DataFrame(columns).sort_index()


def _measured(rows: pd.DataFrame, name: str) -> Floats:
    if name == "Dice":
        return floats(rows, "dice")
    if name == "volume error":
        return np.abs(floats(rows, "predicted_ml") - floats(rows, "true_ml"))
    detected = rows["detected"].to_numpy(float)
    return detected if name == "sensitivity" else 1 - detected


def who(name: str) -> str:
    """Name the patients that a comparison is over."""
    return {"volume error": "test patients", "specificity": "test patients without hemorrhage"}.get(
        name, "test patients with hemorrhage"
    )


def _about(base: Row, name: str, difference: Floats) -> Row:
    what = UNITS[name].removesuffix(" (mL)")
    differing = "" if np.isnan(difference).any() else f", the models differ in {np.count_nonzero(difference)}"
    return base | {
        "comparison": f"{what}, {base['model']} minus {base['baseline']}",
        "groups": f"{who(name)} {difference.size}{differing}",
        "n": difference.size,
    }


def _obstacle(table: pd.DataFrame, difference: Floats, name: str) -> str:
    if difference.size < 2:
        return f"2 {who(name).replace('test ', '')} or more are needed, found {difference.size}"
    if lacking := int(np.isnan(difference).sum()):
        return f"{lacking} of {difference.size} patients lack the number of one of the models"
    return "" if difference.any() else f"both models have the same {UNITS[name]} in every patient"


def _mean_difference(difference: Floats, stratum: Floats, name: str, bootstrap: Bootstrap) -> Row:
    weights = bootstrap.weights(stratum)
    low, high = intervals.interval(intervals.sums(difference, weights) / difference.size)
    of = f"mean difference of {UNITS[name]}, bootstrap over patients"
    return {"difference": float(difference.mean()), "ci_low": low, "ci_high": high, "ci_of": of}


def _signed_rank(table: pd.DataFrame, base: Row, name: str, bootstrap: Bootstrap) -> Row:
    from ichflow.lazy import pingouin

    difference, stratum = floats(table, "ours") - floats(table, "theirs"), floats(table, "stratum")
    about = _about(base, name, difference) | {"family": f"{UNITS[name]}, model against model"}
    if reason := _obstacle(table, difference, name):
        return outcome.refused(about, [WILCOXON], reason)[0]
    found = pingouin().wilcoxon(difference[difference != 0]).iloc[0]  # SciPy would give up exactness for zeros
    return outcome.row(
        about
        | _mean_difference(difference, stratum, name, bootstrap)
        | outcome.effect(
            "rank-biserial correlation",
            partial(effects.matched_rank_biserial, difference),
            stratum,
            bootstrap,
        ),
        test=WILCOXON,
        statistic_name="W",
        statistic=float(found["W_val"]),
        p=float(found["p_val"]),
    )


def _mcnemar(table: pd.DataFrame, base: Row, name: str, bootstrap: Bootstrap) -> Row:
    """Test the patients in whom just one of two models is right (McNemar 1947, DOI 10.1007/BF02295996), exactly."""
    difference, stratum = floats(table, "ours") - floats(table, "theirs"), floats(table, "stratum")
    about = _about(base, name, difference) | {"family": "detection, model against model"}
    if reason := _obstacle(table, difference, name):
        return outcome.refused(about, [MCNEMAR], reason)[0]
    ours, discordant = int((difference > 0).sum()), int((difference != 0).sum())
    return outcome.row(
        about
        | _mean_difference(difference, stratum, name, bootstrap)
        | outcome.effect("Cohen's g", partial(_cohens_g, difference), stratum, bootstrap),
        test=MCNEMAR,
        statistic_name="b",
        statistic=float(ours),
        p=float(stats.binomtest(ours, discordant).pvalue),
        note=MCNEMAR_NOTE,
    )


def _cohens_g(difference: Floats, weights: Floats) -> Floats:
    """Return by how much the share of the first model's patients differs from one half; (resample, patient)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return weights @ (difference > 0) / (weights @ (difference != 0)) - 0.5


@dataclass(frozen=True)
class Scored:
    """Scores of two models of the same patients, or slices.

    Attributes
    ----------
    level
        ``patient`` or ``slice``.
    scores
        float64 (2, case).
    positive
        bool (case,), whether there is hemorrhage.
    owner
        int (case,), position of the case's patient, 0, 1, … without gaps.
    """

    level: str
    scores: Floats
    positive: NDArray[np.bool_]
    owner: NDArray[np.intp]

    @property
    def test(self) -> str:
        """The test that compares them."""
        return DELONG if self.level == "patient" else OBUCHOWSKI

    @property
    def text(self) -> str:
        """Cases with and without hemorrhage, and patients."""
        where = f", in {np.unique(self.owner).size} patients" if self.level == "slice" else ""
        return f"{self.level}s with hemorrhage {self.positive.sum():,}, without {(~self.positive).sum():,}{where}"

    def compared(self) -> tuple[roc.Comparison | None, str]:
        """Compare the areas under the curves; or say why that cannot be done."""
        if reason := self._obstacle():
            return None, reason
        found = roc.compare(self.scores, self.positive, self.owner)
        if not found.variance > 0:
            return None, "the variance of the difference is 0, or cannot be estimated"
        return found, ""

    def _obstacle(self) -> str:
        with_positive, with_negative = (
            np.unique(self.owner[chosen]).size for chosen in (self.positive, ~self.positive)
        )
        if with_positive < 2 or with_negative < 2:
            return f"2 patients of each kind or more are needed, found {with_positive} and {with_negative}"
        if lacking := int((~np.isfinite(self.scores)).any(axis=0).sum()):
            return f"{lacking} of {self.positive.size} {self.level}s lack the score of one of the models"
        return "both models have the same scores" if (self.scores[0] == self.scores[1]).all() else ""


def scored(part: Part, level: str, model: str, other: str) -> Scored:
    """Return the scores of two models, of patients or of slices."""
    keys = ["patient"] if level == "patient" else ["patient", "slice"]
    frames = part.patients if level == "patient" else part.slices
    ours, theirs = frames[model][[*keys, "has_hemorrhage", "score"]], frames[other][[*keys, "score"]]
    table = ours.merge(theirs, on=keys, how="left", suffixes=("", "_of_other"))
    return Scored(
        level,
        np.stack([floats(table, "score"), floats(table, "score_of_other")]),
        table["has_hemorrhage"].to_numpy(bool),
        np.unique(table["patient"].to_numpy(str), return_inverse=True)[1],
    )


def _auroc(part: Part, level: str, base: Row, bootstrap: Bootstrap) -> Row:
    cases = scored(part, level, base["model"], base["baseline"])
    about = base | {
        "comparison": f"AUROC of {level}s, {base['model']} minus {base['baseline']}",
        "unit": "patient",
        "groups": cases.text,
        "n": cases.positive.size,
        "family": "AUROC, model against model",
    }
    found, reason = cases.compared()
    if not found:
        return outcome.refused(about, [cases.test], reason)[0]
    low, high = found.interval
    normal = np.isinf(found.freedom)
    return outcome.row(
        about | _auroc_effect(cases, bootstrap),
        test=cases.test,
        statistic_name="z" if normal else "t",
        statistic=found.statistic,
        df1=np.nan if normal else found.freedom,
        p=found.p,
        difference=found.difference,
        ci_low=low,
        ci_high=high,
        ci_of=f"difference of AUROC, {'normal' if normal else 't'} interval",
    )


def _auroc_effect(cases: Scored, bootstrap: Bootstrap) -> Row:
    """Estimate the difference with the house's interval: patients are drawn, apart by whether they have hemorrhage."""
    scores, positive, owner = cases.scores, cases.positive, cases.owner
    bled = np.bincount(owner, weights=positive) > 0
    weights = bootstrap.weights(bled)

    def difference(block: Floats) -> Floats:
        drawn = block[:, owner]
        return auroc(scores[0], positive, drawn) - auroc(scores[1], positive, drawn)

    low, high = intervals.interval(intervals.by_blocks(difference, weights, positive.size))
    value = float(difference(np.ones((1, bled.size)))[0])
    return {"effect_name": "difference of AUROC", "effect": value, "effect_low": low, "effect_high": high}


def assumptions(part: Part, model: str, other: str) -> list[Row]:
    """Check the differences that are ranked, and whose mean is told, for normality; rows as of group_tests."""
    rows: list[Row] = []
    for name in ("Dice", "volume error"):
        table = values(part, model, other, name)
        what = UNITS[name].removesuffix(" (mL)")
        base: dict[str, Any] = {
            "comparison": f"{what}, {model} minus {other}",
            "unit": "patient",
            "model": model,
            "baseline": other,
            "group": "differences",
        }
        rows.append(normality(floats(table, "ours") - floats(table, "theirs"), base))
    return rows
