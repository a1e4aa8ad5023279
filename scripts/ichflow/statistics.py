"""From a table of metrics to claims: each with its n, its interval and, where none can be made, the reason.

Only rows of the test part enter. The patient is the unit of every interval: patients are resampled as a whole,
with all their slices (cluster bootstrap), separately among patients with and without hemorrhage. Tests whose unit is
the slice are there because the original study made them, and every such row says that they overstate the evidence.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ichflow.intervals import Floats, Row, auroc_by_patient, patient_weights, percentiles, ratio, share
from ichflow.recipes import BASELINES

RESAMPLES = 10_000
TWO_GROUPS = ("hemorrhage", "none")
PATIENT_SHARES = ("patient_sensitivity", "patient_specificity")
THREE_GROUPS = ("none", "small bleed", "large bleed")
SLICE_NOTE = (
    "slices of one patient are not independent, so p is too small: shown only because the original study did it"
)

ETA_NOTE = "eta-squared and its interval are biased upwards in small samples"

TEST_COLUMNS: dict[str, Any] = {
    "comparison": "",
    "unit": "",
    "model": "",
    "baseline": "",
    "test": "",
    "groups": "",
    "n": 0,
    "statistic": np.nan,
    "df1": np.nan,
    "df2": np.nan,
    "p": np.nan,
    "effect_name": "",
    "effect": np.nan,
    "effect_low": np.nan,
    "effect_high": np.nan,
    "difference": np.nan,
    "ci_low": np.nan,
    "ci_high": np.nan,
    "ci_of": "",
    "note": "",
    "reason": "",
}
"""Columns of the table of tests, in order, with what stands in them where a test gives nothing."""


def summary(metrics: pd.DataFrame, *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Summarize the test patients, one row a model, each number with its interval and its n.

    Parameters
    ----------
    metrics
        Table of metrics, slice and patient level, all models and parts.
    seed, resamples
        Of the bootstrap.

    Returns
    -------
    DataFrame
        One row a model: ``null`` and ``threshold`` first, then by name. ``n_patients``, ``n_hemorrhage_patients``,
        ``n_other_patients``, ``n_positive_slices``, ``n_negative_slices``; then, each with ``_low`` and ``_high``, the
        ends of a 95 % percentile interval of the bootstrap over patients:

        - ``dice``, ``iou``, ``sensitivity``, ``precision``: means over patients with hemorrhage; where a model predicts
          nothing in a patient there is no precision, and ``n_precision`` patients have one;
        - ``slice_dice``: mean over slices with hemorrhage;
        - ``pooled_dice``: from the pixels of all patients together;
        - ``accuracy``, ``specificity``: of pixels, all patients together;
        - ``slice_sensitivity``, ``slice_specificity``, ``patient_sensitivity``, ``patient_specificity``: of detection,
          which is one predicted pixel or more;
        - ``slice_auroc``: of a slice's ``score``, ties counted as one half;
        - ``volume_bias_ml``: mean over patients of predicted minus true volume, mL.

        A number that is not defined (no patient of that kind), and an interval over fewer than two patients, is NaN.
    """
    rows = [
        {"model": model, **_summary_of(metrics, model, seed, resamples)} for model in order_of_models(metrics["model"])
    ]
    return pd.DataFrame(rows)


def order_of_models(models: Iterable[str]) -> list[str]:
    """Return the different models of a column, baselines first, then by name."""
    found = sorted({str(model) for model in models})
    return [name for name in BASELINES if name in found] + [name for name in found if name not in BASELINES]


def _summary_of(metrics: pd.DataFrame, model: str, seed: int, resamples: int) -> Row:
    patients = rows_of_test(metrics, model, "patient")
    slices = rows_of_test(metrics, model, "slice")
    truth = patients["has_hemorrhage"].to_numpy(bool)
    positive = slices["has_hemorrhage"].to_numpy(bool)
    owner = pd.Index(patients["patient"]).get_indexer(pd.Index(slices["patient"]))
    weights = patient_weights(truth, resamples, seed)

    result: Row = {
        "n_patients": truth.size,
        "n_hemorrhage_patients": int(truth.sum()),
        "n_other_patients": int((~truth).sum()),
        "n_positive_slices": int(positive.sum()),
        "n_negative_slices": int((~positive).sum()),
        "n_precision": int((truth & np.isfinite(floats(patients, "precision"))).sum()),
    }
    ratios = _patient_ratios(patients, truth) | _slice_ratios(slices, positive, owner, truth.size)
    for name, (numerator, denominator) in ratios.items():
        if name in PATIENT_SHARES:
            result |= share(name, numerator.sum(), denominator.sum())
        else:
            result |= ratio(name, numerator, denominator, weights)
    return result | auroc_by_patient("slice_auroc", floats(slices, "score"), positive, owner, weights)


def _patient_ratios(patients: pd.DataFrame, truth: NDArray[np.bool_]) -> dict[str, tuple[Floats, Floats]]:
    """Give each number as what is summed over patients and what that sum is divided by."""
    ratios: dict[str, tuple[Floats, Floats]] = {}
    for name in ("dice", "iou", "sensitivity", "precision"):
        values = floats(patients, name)
        counted = truth & np.isfinite(values)
        ratios[name] = np.where(counted, values, 0.0), counted.astype(float)

    hit, false_alarm = floats(patients, "true_positive_px"), floats(patients, "false_positive_px")
    miss, rest = floats(patients, "false_negative_px"), floats(patients, "true_negative_px")
    ratios["pooled_dice"] = 2 * hit, 2 * hit + false_alarm + miss
    ratios["accuracy"] = hit + rest, hit + rest + false_alarm + miss
    ratios["specificity"] = rest, rest + false_alarm

    detected = patients["detected"].to_numpy(bool)
    ratios["patient_sensitivity"] = (truth & detected).astype(float), truth.astype(float)
    ratios["patient_specificity"] = (~truth & ~detected).astype(float), (~truth).astype(float)
    bias = floats(patients, "predicted_ml") - floats(patients, "true_ml")
    ratios["volume_bias_ml"] = bias, np.ones(truth.size)
    return ratios


def _slice_ratios(
    slices: pd.DataFrame, positive: NDArray[np.bool_], owner: NDArray[np.intp], patients: int
) -> dict[str, tuple[Floats, Floats]]:
    """Give each number as sums of slices in each patient; ``owner`` is the position of a slice's patient."""

    def in_each_patient(values: NDArray[Any], chosen: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        summed = np.bincount(owner[chosen], weights=values[chosen], minlength=patients)
        counted = np.bincount(owner[chosen], minlength=patients)
        return summed.astype(float), counted.astype(float)

    dice = floats(slices, "dice")
    detected = slices["detected"].to_numpy(bool)
    return {
        "slice_dice": in_each_patient(dice, positive & np.isfinite(dice)),
        "slice_sensitivity": in_each_patient(detected, positive),
        "slice_specificity": in_each_patient(~detected, ~positive),
    }


def study_samples(metrics: pd.DataFrame, model: str, *, by: str = "group", n: int = 10, seed: int = 0) -> pd.DataFrame:
    """Draw test slices at random, up to ``n`` of each group, as the original study compared them.

    The draw depends on the seed and the truth alone, so that every model is judged on the same slices.

    Parameters
    ----------
    metrics
        Table of metrics.
    model
        Whose predictions are looked at.
    by
        ``group`` (hemorrhage, none) or ``size`` (none, small bleed, large bleed).
    n
        Slices a group.
    seed
        Of the draw.

    Returns
    -------
    DataFrame
        One row a slice: ``unit`` ("slice"), ``model``, ``patient``, ``slice``, ``group``, ``size``, ``area_px``
        (predicted pixels of the scan's own grid), ``true_px``. A slice is a small bleed if its true pixels do not
        exceed the median of all test slices with hemorrhage.
    """
    units = _units(metrics, model, "slice")
    generator = np.random.default_rng(seed)
    names = TWO_GROUPS if by == "group" else THREE_GROUPS
    drawn = [
        rows.iloc[np.sort(generator.choice(len(rows), size=min(n, len(rows)), replace=False))]
        for rows in (units[units[by] == name] for name in names)
    ]
    return pd.concat(drawn, ignore_index=True)


def patient_samples(metrics: pd.DataFrame, model: str) -> pd.DataFrame:
    """Return all test patients with their total predicted area.

    Returns
    -------
    DataFrame
        Columns as of :func:`study_samples`, one row a patient, ``unit`` "patient", ``slice`` null. ``area_px`` is the
        sum of predicted pixels over the slices of a patient; a patient is a small bleed if the true volume does not
        exceed the median of all test patients with hemorrhage.
    """
    return _units(metrics, model, "patient")


def areas_by_group(
    metrics: pd.DataFrame, model: str, *, n: int = 10, seed: int = 0
) -> dict[str, dict[str, list[float]]]:
    """Return the areas that the tests compare, for drawing: title of a panel to groups to predicted px.

    Parameters
    ----------
    metrics, model, n, seed
        As for :func:`study_samples`.
    """
    panels: dict[str, dict[str, list[float]]] = {}
    for by, names in (("group", TWO_GROUPS), ("size", THREE_GROUPS)):
        slices, patients = study_samples(metrics, model, by=by, n=n, seed=seed), patient_samples(metrics, model)
        for unit, samples in (("slices, as in the study", slices), ("patients", patients)):
            panels[f"{model}: {unit}, {len(names)} groups"] = {
                name: samples["area_px"].to_numpy(float)[(samples[by] == name).to_numpy(bool)].tolist()
                for name in names
            }
    return panels


def _units(metrics: pd.DataFrame, model: str, level: str) -> pd.DataFrame:
    rows = rows_of_test(metrics, model, level)
    positive = rows["has_hemorrhage"].to_numpy(bool)
    bleed = floats(rows, "true_ml" if level == "patient" else "true_px")
    median = np.median(bleed[positive]) if positive.any() else 0.0
    return pd.DataFrame(
        {
            "unit": level,
            "model": model,
            "patient": rows["patient"].to_numpy(),
            "slice": rows["slice"].to_numpy(),
            "group": np.where(positive, *TWO_GROUPS),
            "size": np.select([~positive, bleed <= median], THREE_GROUPS[:2], THREE_GROUPS[2]),
            "area_px": floats(rows, "predicted_px"),
            "true_px": floats(rows, "true_px"),
        }
    )


def rows_of_test(metrics: pd.DataFrame, model: str, level: str) -> pd.DataFrame:
    """Return a model's rows of the test part, of slices or of patients, in order."""
    chosen = (metrics["part"] == "test") & (metrics["model"] == model) & (metrics["level"] == level)
    rows: Any = metrics[chosen.to_numpy(bool)]
    return rows.sort_values(["patient", "slice"])


def floats(table: pd.DataFrame, column: str) -> Floats:
    """Return a column as float64, NaN where it is empty."""
    return table[column].to_numpy(float, na_value=np.nan)


@dataclass(frozen=True)
class _Groups:
    """Named groups of values that are to be compared."""

    members: Mapping[str, Floats]

    @property
    def text(self) -> str:
        return ", ".join(f"{name} {len(values)}" for name, values in self.members.items())

    @property
    def n(self) -> int:
        return sum(len(values) for values in self.members.values())

    @property
    def obstacle(self) -> str:
        """Why these groups cannot be compared; empty if they can."""
        short = [f"{name} {len(values)}" for name, values in self.members.items() if len(values) < 2]
        if short:
            return f"no test: each group needs 2 values or more, found {', '.join(short)}"
        missing = sum(int(np.isnan(values).sum()) for values in self.members.values())
        if missing:
            return f"no test: {missing} of {self.n} values are missing"
        if all(np.ptp(values) == 0 for values in self.members.values()):
            different = len({float(values[0]) for values in self.members.values()}) > 1
            return "no test: no group varies" if different else "no test: all values are the same"
        return ""

    def resampled(self, count: int, seed: int) -> list[Floats]:
        """Draw each group with replacement: one array (count, values) a group."""
        generator = np.random.default_rng(seed)
        return [generator.choice(values, size=(count, values.size)) for values in self.members.values()]


def _groups(samples: pd.DataFrame, by: str, names: Sequence[str]) -> _Groups:
    return _Groups({name: samples.loc[samples[by] == name, "area_px"].to_numpy(float) for name in names})


def compare_two(
    samples: pd.DataFrame, *, model: str, unit: str, seed: int = 0, resamples: int = RESAMPLES
) -> list[Row]:
    """Compare the predicted area with and without hemorrhage by Student's and by Welch's t-test.

    Parameters
    ----------
    samples
        As :func:`study_samples` or :func:`patient_samples` gives them.
    model, unit
        What stands in the row; ``unit`` is "slice" or "patient".
    seed, resamples
        Of the bootstrap of the effect.

    Returns
    -------
    list of dict
        Two rows with the columns :data:`TEST_COLUMNS`: ``difference`` of means (hemorrhage minus none, px) with its
        95 % t interval, and Hedges' g (DOI 10.3102/10769986006002107) with a bootstrap interval over units. Without a
        test, ``reason`` is filled and everything else empty.
    """
    groups = _groups(samples, "group", TWO_GROUPS)
    base = {
        "comparison": "predicted area, hemorrhage against none",
        "unit": unit,
        "model": model,
        "groups": groups.text,
        "n": groups.n,
        "note": _note(unit),
    }
    names = {"Student's t-test": False, "Welch's t-test": True}
    if groups.obstacle:
        return [_row(base, test=name, reason=groups.obstacle) for name in names]
    first, second = groups.members.values()
    effect_low, effect_high = percentiles(_hedges(*groups.resampled(resamples, seed)))
    rows: list[Row] = []
    for name, welch in names.items():
        found = _pingouin().ttest(first, second, correction=welch).iloc[0]
        rows.append(
            _row(
                base,
                test=name,
                statistic=float(found["T"]),
                df1=float(found["dof"]),
                p=float(found["p_val"]),
                effect_name="Hedges' g",
                effect=float(_hedges(first, second)),
                effect_low=effect_low,
                effect_high=effect_high,
                difference=float(first.mean() - second.mean()),
                ci_low=float(found["CI95"][0]),
                ci_high=float(found["CI95"][1]),
                ci_of="difference of means (px), t interval",
            )
        )
    return rows


def compare_three(samples: pd.DataFrame, *, model: str, unit: str, seed: int = 0, resamples: int = RESAMPLES) -> Row:
    """Compare the predicted area of no, small and large bleeds by a one-way analysis of variance.

    Parameters
    ----------
    samples
        As :func:`study_samples` with ``by="size"`` or :func:`patient_samples` gives them.
    model, unit
        What stands in the row.
    seed, resamples
        Of the bootstrap of the effect.

    Returns
    -------
    dict
        One row with the columns :data:`TEST_COLUMNS`; the effect is eta-squared, the part of the variance that lies
        between groups, with a bootstrap interval over units. Eta-squared is biased upwards in small samples, and so
        is its interval.
    """
    groups = _groups(samples, "size", THREE_GROUPS)
    base = {
        "comparison": "predicted area, no, small and large bleeds",
        "unit": unit,
        "model": model,
        "test": "one-way ANOVA",
        "groups": groups.text,
        "n": groups.n,
        "note": _note(unit, ETA_NOTE),
    }
    if groups.obstacle:
        return _row(base, reason=groups.obstacle)
    table = pd.DataFrame(
        {
            "area": np.concatenate(list(groups.members.values())),
            "group": np.repeat(list(groups.members), [len(values) for values in groups.members.values()]),
        }
    )
    found = _pingouin().anova(table, dv="area", between="group", detailed=True).set_index("Source")
    effect_low, effect_high = percentiles(_eta_squared(groups.resampled(resamples, seed)))
    return _row(
        base,
        statistic=float(found.loc["group", "F"]),
        df1=float(found.loc["group", "DF"]),
        df2=float(found.loc["Within", "DF"]),
        p=float(found.loc["group", "p_unc"]),
        effect_name="eta-squared",
        effect=float(found.loc["group", "np2"]),
        effect_low=effect_low,
        effect_high=effect_high,
    )


def against_baseline(
    metrics: pd.DataFrame, model: str, baseline: str, *, seed: int = 0, resamples: int = RESAMPLES
) -> list[Row]:
    """Compare two models by the Dice of the same test patients with hemorrhage.

    Parameters
    ----------
    metrics
        Table of metrics.
    model, baseline
        Names in its column ``model``.
    seed, resamples
        Of the bootstrap over patients.

    Returns
    -------
    list of dict
        Two rows with the columns :data:`TEST_COLUMNS`, ``difference`` being the mean of model minus baseline: the
        Wilcoxon signed-rank test (effect: matched-pairs rank-biserial correlation, DOI 10.2466/11.IT.3.1) with the
        percentile interval of the bootstrap, and the paired t-test (effect: Cohen's d of the differences) with the
        t interval.
    """
    ours, theirs = _paired_dice(metrics, model, baseline)
    difference = ours - theirs
    base = {
        "comparison": f"Dice, {model} minus {baseline}",
        "unit": "patient",
        "model": model,
        "baseline": baseline,
        "groups": f"test patients with hemorrhage {difference.size}",
        "n": difference.size,
    }
    reason = _paired_obstacle(difference)
    if reason:
        return [_row(base, test=name, reason=reason) for name in ("Wilcoxon signed-rank", "paired t-test")]
    draws = np.random.default_rng(seed).choice(difference, size=(resamples, difference.size)).mean(axis=1)
    low, high = percentiles(draws)
    shared = base | {"difference": float(difference.mean())}
    wilcoxon = _pingouin().wilcoxon(ours, theirs).iloc[0]
    rows = [
        _row(
            shared,
            test="Wilcoxon signed-rank",
            statistic=float(wilcoxon["W_val"]),
            p=float(wilcoxon["p_val"]),
            effect_name="rank-biserial correlation",
            effect=float(wilcoxon["RBC"]),
            ci_low=low,
            ci_high=high,
            ci_of="mean difference of Dice, bootstrap over patients",
        )
    ]
    if np.ptp(difference) == 0:
        return [*rows, _row(shared, test="paired t-test", reason="no test: all differences are the same")]
    paired = _pingouin().ttest(ours, theirs, paired=True).iloc[0]
    rows.append(
        _row(
            shared,
            test="paired t-test",
            statistic=float(paired["T"]),
            df1=float(paired["dof"]),
            p=float(paired["p_val"]),
            effect_name="Cohen's d of differences",
            effect=float(difference.mean() / difference.std(ddof=1)),
            ci_low=float(paired["CI95"][0]),
            ci_high=float(paired["CI95"][1]),
            ci_of="mean difference of Dice, t interval",
        )
    )
    return rows


def _paired_dice(metrics: pd.DataFrame, model: str, baseline: str) -> tuple[Floats, Floats]:
    dice: dict[str, pd.Series] = {}
    for name in (model, baseline):
        rows = rows_of_test(metrics, name, "patient")
        bleeds = rows["has_hemorrhage"].to_numpy(bool)
        dice[name] = pd.Series(floats(rows, "dice")[bleeds], index=rows["patient"].to_numpy()[bleeds])
    table = pd.DataFrame(dice).sort_index()
    return floats(table, model), floats(table, baseline)


def _paired_obstacle(difference: Floats) -> str:
    if difference.size < 2:
        return f"no test: 2 patients with hemorrhage or more are needed, found {difference.size}"
    missing = int(np.isnan(difference).sum())
    if missing:
        return f"no test: {missing} of {difference.size} patients lack a Dice of one of the models"
    if not difference.any():
        return "no test: both models have the same Dice in every patient"
    return ""


def tests_table(metrics: pd.DataFrame, *, n: int = 10, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Make every test of every model and put the rows into one table.

    Parameters
    ----------
    metrics
        Table of metrics.
    n
        Slices a group that are drawn as in the original study.
    seed, resamples
        Of draws and bootstraps.

    Returns
    -------
    DataFrame
        Columns :data:`TEST_COLUMNS`. First the trained models against each baseline, then for every model, baselines
        too, the comparisons by patients and by slices. A row has either a ``p`` or a ``reason``.
    """
    models = order_of_models(metrics["model"])
    options: dict[str, int] = {"seed": seed, "resamples": resamples}
    rows: list[Row] = []
    for model in (name for name in models if name not in BASELINES):
        for baseline in (name for name in BASELINES if name in models):
            rows += against_baseline(metrics, model, baseline, **options)
    for model in models:
        patients = patient_samples(metrics, model)
        rows += compare_two(patients, model=model, unit="patient", **options)
        rows.append(compare_three(patients, model=model, unit="patient", **options))
        slices = study_samples(metrics, model, n=n, seed=seed)
        rows += compare_two(slices, model=model, unit="slice", **options)
        sized = study_samples(metrics, model, by="size", n=n, seed=seed)
        rows.append(compare_three(sized, model=model, unit="slice", **options))
    return pd.DataFrame(rows, columns=list(TEST_COLUMNS))


def _row(base: Row, **values: Any) -> Row:
    return TEST_COLUMNS | base | values


def _note(unit: str, *more: str) -> str:
    return "; ".join([SLICE_NOTE] * (unit == "slice") + list(more))


def _hedges(first: Floats, second: Floats) -> Floats:
    """Return Hedges' g along the last axis, with the usual approximation of its small-sample correction."""
    m, n = first.shape[-1], second.shape[-1]
    pooled = ((m - 1) * first.var(axis=-1, ddof=1) + (n - 1) * second.var(axis=-1, ddof=1)) / (m + n - 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        d = (first.mean(axis=-1) - second.mean(axis=-1)) / np.sqrt(pooled)
    return d * (1 - 3 / (4 * (m + n) - 9))


def _eta_squared(groups: Sequence[Floats]) -> Floats:
    """Return the sum of squares between groups over the total one, along the last axis."""
    grand = np.concatenate(groups, axis=-1).mean(axis=-1)
    between = sum(group.shape[-1] * (group.mean(axis=-1) - grand) ** 2 for group in groups)
    within = sum(group.shape[-1] * group.var(axis=-1) for group in groups)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(between / (between + within))


def _pingouin() -> Any:
    """Import pingouin, which takes seconds, only for a test, and keep it from rounding intervals to two decimals."""
    import pingouin

    pingouin.options["round.column.CI95"] = None
    return pingouin
