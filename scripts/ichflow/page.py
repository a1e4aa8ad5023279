"""The report's page: which tables, pictures and sentences stand in which section."""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from ichflow import measure_tables, report
from ichflow.files import read_json
from ichflow.report import Page, Picture, Section, Table

VERSIONS = (
    "snakemake",
    "tensorflow",
    "keras",
    "openvino",
    "albumentations",
    "nibabel",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "pingouin",
)


INVENTORY_NOTE = "The dataset itself, with a slice of every patient, is on the page inventory.html beside this one."


@dataclass(frozen=True)
class Sources:
    """Files that the page is made of; lists and mappings are empty where a run has no trained model.

    Attributes
    ----------
    dataset, inventory, summary, measures, subgroups, tests
        Tables as CSV.
    samples, bone, augmentation, areas, dice, reliability, rules
        Pictures.
    networks, curves, overlays
        Pictures by model.
    cases
        Pictures of single patients, in a folder for each model, named as :meth:`ichflow.cases.pick` names them.
    provenance
        JSON of each training.
    """

    dataset: str
    inventory: str
    summary: str
    measures: str
    subgroups: str
    tests: str
    samples: str
    bone: str
    augmentation: str
    areas: str
    dice: str
    reliability: str
    thresholds: str
    by_threshold: str
    rules: str
    networks: Mapping[str, str]
    curves: Mapping[str, str]
    overlays: Mapping[str, str]
    cases: Sequence[str]
    provenance: Sequence[str]


def assemble(sources: Sources, config: Mapping[str, Any]) -> Page:
    """Make the page of a run.

    Parameters
    ----------
    sources
        Its files.
    config
        The run's config, complete.
    """
    name = config["dataset"]["name"]
    phantom = config["dataset"]["source"] == "phantom"
    inventory = pd.read_csv(sources.inventory, dtype={"patient": str})
    summary, tests = report.read_results(sources.summary), report.read_results(sources.tests)
    sections = [
        _dataset(sources, inventory),
        report.section(
            "samples",
            text=["Hemorrhage is marked in blue. The patient's right is on the left, as radiologists look at it."],
            pictures=[report.picture(sources.samples, "Slices with and without hemorrhage, brain window")],
        ),
        report.section(
            "augmentation",
            text=["What training sees of one slice; R and L show where it was mirrored."],
            pictures=[report.picture(sources.augmentation, "Random changes, image and mask together")],
        ),
        _network(sources, config),
        _training(sources),
        _by_model("predictions", sources.overlays, "truth in blue and prediction in orange, from best to worst Dice"),
        _cases(sources.cases),
        report.section("bone", pictures=[report.picture(sources.bone, "Bone window, with fractures where there are")]),
        _results(sources, summary),
        _measures(sources),
        _thresholds(sources),
        report.section("subgroups", tables=measure_tables.of_subgroups(report.read_results(sources.subgroups))),
        _statistics(sources, tests),
        report.section(
            "workflow", pictures=[report.picture(sources.rules, "Rules of the workflow: each makes its files once")]
        ),
        _provenance(config),
        report.section("limits", text=report.LIMITS),
    ]
    return Page(
        title=f"Intracranial hemorrhage segmentation: {name}",
        dataset_name=name,
        restricted=config["dataset"]["restricted"],
        phantom=phantom,
        summary=report.summary_sentences(summary, tests, inventory, name, phantom=phantom),
        sections=sections,
    )


def _dataset(sources: Sources, inventory: pd.DataFrame) -> Section:
    counts = pd.read_csv(sources.dataset)
    whole = [int(value) if float(value).is_integer() else value for value in counts["value"]]
    counts["value"] = pd.Series(whole, dtype=object)  # as numbers of one type all would be fractions
    told: pd.DataFrame = inventory.loc[inventory["verdict"] != "accept", ["patient", "verdict", "reasons"]]
    text = [*([] if len(told) else ["Every patient passed every check."]), INVENTORY_NOTE]
    tables = [report.table(counts, "Counts")]
    if len(told):
        tables.append(report.table(told, "Patients with findings; those set aside are in no count below the first"))
    return report.section("dataset", text=text, tables=tables)


def _network(sources: Sources, config: Mapping[str, Any]) -> Section:
    models = [model for model in config["models"] if model in sources.networks]
    if not models:
        return report.section("network", missing="This run trains no network: its model came as a file.")
    recipes = {model: config["recipes"][model] for model in models}
    keys = [key for key in next(iter(recipes.values())) if key != "file"]
    parameters = pd.DataFrame(
        {"key": keys, **{model: [_plain(recipe[key]) for key in keys] for model, recipe in recipes.items()}}
    )
    return report.section(
        "network",
        tables=[report.table(parameters, "Training parameters; config/README.md explains each key")],
        pictures=[report.picture(path, f"Network of {model}") for model, path in sources.networks.items()],
    )


def _training(sources: Sources) -> Section:
    if not sources.curves:
        return report.section("training", missing="This run trains no network: its model came as a file.")
    return report.section(
        "training",
        tables=[_trainings(sources.provenance)],
        pictures=_pictures(sources.curves, "loss, Dice, learning rate"),
    )


def _trainings(paths: Sequence[str]) -> Table:
    facts = [read_json(path) for path in paths]
    columns = ("model", "fold", "parameters", "epochs", "best_epoch", "seconds", "precision", "backend")
    rows = [{key: fact[key] for key in columns} for fact in facts]
    for row, fact in zip(rows, facts, strict=True):
        row |= {f"{part}_patients": len(fact["patients"][part]) for part in ("train", "validation")}
        row |= {"threshold": fact["threshold"]["used"], "validation_threshold": fact["threshold"]["validation"]}
    return report.table(pd.DataFrame(rows), "Trainings")


def _by_model(section: str, paths: Mapping[str, str], caption: str) -> Section:
    return report.section(section, pictures=_pictures(paths, caption), missing="" if paths else "No model in this run.")


def _pictures(paths: Mapping[str, str], caption: str) -> list[Picture]:
    return [report.picture(path, f"{model}: {caption}") for model, path in paths.items()]


CASE_NOTE = (
    "Test patients with the best, the median and the worst Dice, and the largest false alarm. "
    "The same of every patient, and a montage of the whole scan: snakemake --cores 8 cases."
)
CASE_PICTURES = {
    "heatmap": "probability of hemorrhage on the slices that matter, true mask outlined in blue",
    "attention": "what the score of a slice rests on: how much it rises when a place of the hidden head is shown",
    "rendering": "true mask (blue, above) and prediction (orange, below) in three dimensions",
}


def _cases(paths: Sequence[str]) -> Section:
    pictures: list[Picture] = []
    for path in map(Path, paths):
        case, _, kind = path.stem.rpartition("-")
        pictures.append(report.picture(path, f"{path.parent.name}, {case.replace('-', ' ')}: {CASE_PICTURES[kind]}"))
    return report.section(
        "cases", text=[CASE_NOTE], pictures=pictures, missing="" if paths else "No model in this run."
    )


def _results(sources: Sources, summary: pd.DataFrame) -> Section:
    return report.section(
        "results",
        tables=[report.results_table(summary)] if len(summary) else [],
        pictures=[report.picture(sources.dice, "Dice of the test patients with hemorrhage")],
    )


def _measures(sources: Sources) -> Section:
    return report.section(
        "measures",
        text=[report.MEASURES_NOTE],
        tables=measure_tables.of_measures(report.read_results(sources.measures)),
        pictures=[report.picture(sources.reliability, "Reliability: whether a pixel's probability means what it says")],
    )


def _thresholds(sources: Sources) -> Section:
    return report.section(
        "thresholds",
        text=report.THRESHOLDS_NOTES,
        tables=[measure_tables.of_thresholds(report.read_results(sources.thresholds))],
        pictures=[report.picture(sources.by_threshold, "Mean Dice of patients with hemorrhage at every threshold")],
    )


def _statistics(sources: Sources, tests: pd.DataFrame) -> Section:
    return report.section(
        "statistics",
        text=report.STATISTICS_NOTES,
        tables=report.tables_of_tests(tests),
        pictures=[
            report.picture(sources.areas, "Predicted area by group, over slices as in the study and over patients")
        ],
    )


def _provenance(config: Mapping[str, Any]) -> Section:
    versions = {"Python": platform.python_version()} | {name: found for name in VERSIONS if (found := _version(name))}
    keys = {f"{part}.{key}": value for part in _SHOWN for key, value in config[part].items()}
    return report.section(
        "provenance",
        tables=[
            report.table(pd.DataFrame(versions.items(), columns=["package", "version"]), "Versions"),
            report.table(
                pd.DataFrame([(key, _plain(value)) for key, value in keys.items()], columns=["key", "value"]), "Config"
            ),
        ],
    )


_SHOWN = ("dataset", "phantom", "slice", "split", "evaluate", "statistics")


def _version(package: str) -> str:
    """Return a version, or nothing where this environment lacks the package: stages may have their own."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def write(template: str | Path, sources: Sources, config: Mapping[str, Any], output: str | Path) -> None:
    """Write the page of a run, see :func:`assemble` and :func:`ichflow.report.render`."""
    report.render(template, assemble(sources, config), output)
