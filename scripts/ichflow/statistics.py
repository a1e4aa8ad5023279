"""From a table of metrics to tests: each with its n, its interval and, where none can be made, the reason.

Only rows of the test part enter, and the patient is the unit. All tests are fixed beforehand; families are adjusted by
Holm's method. Tests whose unit is the slice are there because the original study made them, and every such row says
that they overstate the evidence. docs/statistics.md says which test answers what, and why this one.
"""

from collections.abc import Iterable

import pandas as pd

from ichflow import agreement, clustered, group_tests, outcome, paired_tests, samples
from ichflow.group_tests import ANOVA, ASSUMPTION_COLUMNS, STUDENT, Groups
from ichflow.intervals import Bootstrap, Row
from ichflow.recipes import STUDY_THRESHOLD
from ichflow.samples import Part

SLICE_NOTE = (
    "slices of one patient are not independent, so p is too small: shown only because the original study did it"
)
SIMULATED_NOTE = "the third group is simulated, as in the original study: it was observed in nobody and shows nothing"

TWO, SIZES, SUBTYPES = COMPARISONS = (
    "predicted area, hemorrhage against none",
    "predicted area, no, small and large bleeds",
    "predicted area, none and single subtypes",
)
"""What is compared of areas: of two groups, of bleed sizes, of subtypes."""

_BY = {TWO: "group", SIZES: "size", SUBTYPES: "subtype"}


def tests_table(
    part: Part,
    *,
    n: int = 10,
    margin_ml: float = 6.0,
    smallest: int = 5,
    simulated_group: bool = False,
    bootstrap: Bootstrap | None = None,
) -> pd.DataFrame:
    """Make every test of every model and put the rows into one table.

    Parameters
    ----------
    part
        The test part.
    n
        Slices a group that are drawn as in the original study.
    margin_ml
        Mean difference of volumes that counts as none.
    smallest
        Fewest patients of a subtype that is compared.
    simulated_group
        Whether the simulated third group of the original study is tested as well.
    bootstrap
        Of the intervals; slices are drawn by its seed.

    Returns
    -------
    DataFrame
        The columns of :mod:`ichflow.outcome`. First models against baselines and each other, then for every model,
        baselines too, areas by patients, pairs of groups, slices within patients, equivalence of volumes, and slices
        as in the original study. A row has either a ``p`` or a ``reason``.
    """
    bootstrap = bootstrap or Bootstrap()
    rows: list[Row] = []
    for model, other in paired_tests.pairs(part):
        rows += paired_tests.compare(part, model, other, bootstrap)
    for model in part.models:
        rows += _areas(part, model, smallest, bootstrap)
    for model in part.models:
        rows.append(clustered.compare(_all_slices(part, model), _base(outcome.CLUSTERED, TWO, model), bootstrap))
    for model in part.models:
        rows.append(agreement.equivalence(part, model, margin_ml, bootstrap))
    for model in part.models:
        rows += _as_in_the_study(part, model, n, bootstrap, simulated=simulated_group)
    order = [outcome.MODELS, outcome.AREA, outcome.POST_HOC, outcome.CLUSTERED, outcome.EQUIVALENCE, outcome.STUDY]
    return outcome.frame(outcome.holm(sorted(rows, key=lambda row: order.index(row["analysis"]))))


def _base(analysis: str, comparison: str, model: str) -> Row:
    study = analysis == outcome.STUDY
    named = _in_the_study(comparison) if study else comparison
    base = {"analysis": analysis, "comparison": named, "model": model, "unit": "slice" if study else "patient"}
    if study:
        return base | {"note": SLICE_NOTE}
    of = "slices within patients" if analysis == outcome.CLUSTERED else "patients"
    return base | ({} if analysis == outcome.POST_HOC else {"family": f"{comparison}, {of}"})


def _in_the_study(comparison: str) -> str:
    return comparison.replace("area", f"area at threshold {STUDY_THRESHOLD}")


def _all_slices(part: Part, model: str) -> pd.DataFrame:
    return samples.labeled(part.slices[model], "true_px")


def _groups(drawn: pd.DataFrame, comparison: str, smallest: int = 2) -> Groups:
    members = samples.groups_of(drawn, _BY[comparison])
    return Groups(group_tests.without_small(members, smallest) if comparison == SUBTYPES else members)


def _areas(part: Part, model: str, smallest: int, bootstrap: Bootstrap) -> Iterable[Row]:
    """Test the areas of patients, the groups and then the pairs of them."""
    drawn = samples.patient_samples(part.patients[model])
    yield from group_tests.compare_two(_groups(drawn, TWO), _base(outcome.AREA, TWO, model), bootstrap)
    for comparison in (SIZES, SUBTYPES):
        groups = _groups(drawn, comparison, smallest)
        yield from group_tests.compare_several(groups, _base(outcome.AREA, comparison, model), bootstrap)
        family = f"{comparison}, pairs of {model}"
        yield from group_tests.compare_pairs(groups, _base(outcome.POST_HOC, comparison, model), family, bootstrap)


def _as_in_the_study(part: Part, model: str, n: int, bootstrap: Bootstrap, *, simulated: bool) -> Iterable[Row]:
    """Test slices as if each were a patient, with the tests of the original study."""
    for comparison in COMPARISONS:
        drawn = samples.study_samples(part.slices[model], by=_BY[comparison], n=n, seed=bootstrap.seed)
        groups, base = _groups(drawn, comparison), _base(outcome.STUDY, comparison, model)
        if comparison == TWO:
            yield from group_tests.compare_two(groups, base, bootstrap, (STUDENT,))
            if simulated:
                yield from _simulated(groups, base, n, bootstrap)
        else:
            yield from group_tests.compare_several(groups, base, bootstrap, (ANOVA,))


def _simulated(groups: Groups, base: Row, n: int, bootstrap: Bootstrap) -> Iterable[Row]:
    third = samples.simulated_group(dict(groups.members), n, bootstrap.seed)
    about = base | {
        "comparison": _in_the_study("predicted area, hemorrhage, none and a simulated group"),
        "note": f"{SIMULATED_NOTE}; {base['note']}",
    }
    three = Groups({**groups.members, "simulated": third})
    yield from group_tests.compare_several(three, about, bootstrap, (ANOVA,))


def assumptions_table(part: Part, *, n: int = 10, smallest: int = 5, seed: int = 0) -> pd.DataFrame:
    """Check what the tests assume: normality and equal variances, which choose no test.

    Parameters
    ----------
    part, n, smallest
        As of :func:`tests_table`.
    seed
        Of the draw of slices.

    Returns
    -------
    DataFrame
        :data:`ichflow.group_tests.ASSUMPTION_COLUMNS`, a row a check.
    """
    rows: list[Row] = []
    for model, other in paired_tests.pairs(part):
        rows += paired_tests.assumptions(part, model, other)
    for model in part.models:
        rows.append(agreement.assumptions(part, model))
        for comparison in COMPARISONS:
            patients = samples.patient_samples(part.patients[model])
            slices = samples.study_samples(part.slices[model], by=_BY[comparison], n=n, seed=seed)
            for unit, drawn, named, least in (
                ("patient", patients, comparison, smallest),
                ("slice", slices, _in_the_study(comparison), 2),
            ):
                base = {"comparison": named, "unit": unit, "model": model}
                rows += group_tests.assumptions(_groups(drawn, comparison, least), base)
    return pd.DataFrame(rows, columns=list(ASSUMPTION_COLUMNS))
