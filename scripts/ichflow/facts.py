"""What a run knows of itself, from its config, tables and trainings: what methods and checklists are made of."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from ichflow import provenance, report, windows
from ichflow.provenance import Code

FILTERS: Mapping[str, Callable[..., str]] = {"number": report.format_number, "count": report.counted}
"""What templates of text may do to a value."""


def gather(
    config: Mapping[str, Any],
    counts: Mapping[str, Any],
    inventory: pd.DataFrame,
    summary: pd.DataFrame,
    trainings: Sequence[Mapping[str, Any]],
    code: Code,
) -> dict[str, Any]:
    """Gather the facts under the names that templates use.

    Parameters
    ----------
    config
        The run's config, complete; its parts go by their own names.
    counts
        Measure to value, as :func:`ichflow.inventory.statistics` makes it; ``None`` is unknown.
    inventory
        One row a patient.
    summary
        Results by model.
    trainings
        The provenance of each training, by model and fold.
    code
        The program.

    Returns
    -------
    dict
        The parts of the config, except that ``recipes`` has only those that were trained, and:

        - ``counts``, ``code``: as given;
        - ``aside``, ``warned``: patients set aside, and used with a warning;
        - ``trainings``: by model; ``given``: models that came as files;
        - ``results``: row of the summary by model; ``tested``: one of these rows, since who was tested on is the same
          for all; ``models``: a sentence by trained model;
        - ``interval``: writes a number of such a row with its interval; ``span``: writes smallest and largest of a
          measure of the counts;
        - ``simulated``, ``windows``, ``versions``.
    """
    trained = {
        model: [each for each in trainings if each["model"] == model]
        for model in config["models"]
        if not config["recipes"][model]["file"]
    }
    results = report.by_model(summary)
    verdicts: list[str] = inventory["verdict"].tolist()
    return dict(config) | {
        "counts": counts,
        "aside": verdicts.count("set aside"),
        "warned": verdicts.count("warn"),
        "recipes": {model: config["recipes"][model] for model in trained},
        "trainings": trained,
        "given": [model for model in config["models"] if model not in trained],
        "results": results,
        "tested": next(iter(results.values()), {"n_patients": 0, "n_hemorrhage_patients": 0}),
        "simulated": config["dataset"]["source"] == "phantom",
        "interval": report.interval_of,
        "span": lambda measure: _span(counts[f"{measure}, smallest"], counts[f"{measure}, largest"]),
        "models": report.model_sentences(summary),
        "windows": windows.WINDOWS,
        "versions": provenance.versions(trainings),
        "code": code,
    }


def _span(low: float | None, high: float | None) -> str:
    ends = dict.fromkeys(report.format_number(value) for value in (low, high))
    return " to ".join(ends)
