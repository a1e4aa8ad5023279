"""The report's page: which tables, pictures and sentences stand in which section."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from ichflow import (
    characteristics,
    checklists,
    facts,
    measure_tables,
    prose,
    provenance,
    published,
    report,
    statistics_tables,
    study,
    tables,
)
from ichflow.files import read_json, sha256, write_text
from ichflow.provenance import Code
from ichflow.recipes import in_words
from ichflow.report import Page, Picture, Section, Table
from ichflow.schedule import idle

METHODS_NOTE = (
    "Written by the program from the config, the tables and what the trainings report, as a reviewer looks for it in a "
    "Methods section; the same text is in methods.md beside this page."
)
INVENTORY_NOTE = "The dataset itself, with a slice of every patient, is on the page inventory.html beside this one."


@dataclass(frozen=True)
class Sources:
    """Files that the page is made of; lists and mappings are empty where a run has no trained model.

    Attributes
    ----------
    methods, checklists, study
        Texts: a template, the guidelines, and the page about the original study.
    dataset, inventory, splits, summary, measures, subgroups, tests, agreement, power, assumptions
        Tables as CSV.
    results
        The results in sentences, as Markdown.
    metrics
        All metrics, of which the checksum is told.
    samples, bone, augmentation, areas, dice, differences, bland_altman, reliability, thresholds, by_threshold, rules
        Pictures.
    networks, curves, overlays
        Pictures by model.
    cases
        Pictures of single patients, in a folder for each model, named as :meth:`ichflow.cases.pick` names them.
    provenance, exported
        JSON and ONNX file of each training.
    """

    methods: str
    checklists: str
    study: str
    dataset: str
    inventory: str
    splits: str
    metrics: str
    summary: str
    measures: str
    subgroups: str
    tests: str
    agreement: str
    power: str
    assumptions: str
    results: str
    samples: str
    bone: str
    augmentation: str
    areas: str
    dice: str
    differences: str
    bland_altman: str
    reliability: str
    thresholds: str
    by_threshold: str
    rules: str
    networks: Mapping[str, str]
    curves: Mapping[str, str]
    overlays: Mapping[str, str]
    cases: Sequence[str]
    provenance: Sequence[str]
    exported: Sequence[str]


@dataclass(frozen=True)
class Outputs:
    """Files that are written: the page, and beside it the methods as Markdown, the checklists, and the whole config."""

    page: str
    methods: str
    checklist: str
    config: str


@dataclass(frozen=True)
class Run:
    """What several sections are made of.

    Attributes
    ----------
    config
        Complete.
    inventory, summary, tests
        Tables.
    trainings
        What each training says of itself.
    code
        The program.
    known
        See :func:`ichflow.facts.gather`.
    methods
        The text of that section, as Markdown.
    items
        The filled checklists.
    """

    config: Mapping[str, Any]
    inventory: pd.DataFrame
    summary: pd.DataFrame
    tests: pd.DataFrame
    trainings: Sequence[Mapping[str, Any]]
    code: Code
    known: Mapping[str, Any]
    methods: str
    items: Sequence[checklists.Item]


def load(sources: Sources, config: Mapping[str, Any], root: str | Path) -> Run:
    """Read what a run knows, and make its texts.

    Parameters
    ----------
    sources
        Its files.
    config
        The run's config, complete.
    root
        The folder of the Snakefile.
    """
    inventory = pd.read_csv(sources.inventory, dtype={"patient": str})
    summary, tests = report.read_results(sources.summary), report.read_results(sources.tests)
    trainings, code = [read_json(path) for path in sources.provenance], provenance.code(root)
    counts = _counts(sources).set_index("measure")["value"].to_dict()
    known = facts.gather(config, counts, inventory, summary, trainings, code)
    methods = prose.fill(prose.read(sources.methods), known, name=sources.methods, filters=facts.FILTERS)
    items = checklists.fill(sources.checklists, known)
    return Run(config, inventory, summary, tests, trainings, code, known, methods, items)


def assemble(sources: Sources, run: Run, config_file: str) -> Page:
    """Make the page of a run.

    Parameters
    ----------
    sources
        Its files.
    run
        What was read from them.
    config_file
        Where the run's complete config is.
    """
    config, inventory, summary, tests = run.config, run.inventory, run.summary, run.tests
    name = config["dataset"]["name"]
    phantom = config["dataset"]["source"] == "phantom"
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
        _training(sources, run.trainings),
        _by_model("predictions", sources.overlays, "truth in blue and prediction in orange, from best to worst Dice"),
        _cases(sources.cases),
        report.section("bone", pictures=[report.picture(sources.bone, "Bone window, with fractures where there are")]),
        _results(sources, config, summary),
        _measures(sources),
        _thresholds(sources),
        report.section("subgroups", tables=measure_tables.of_subgroups(report.read_results(sources.subgroups))),
        report.section("claims", body=prose.html(prose.read(sources.results))),
        _statistics(sources, tests),
        report.section("methods", text=[METHODS_NOTE], body=prose.html(run.methods)),
        report.section(
            "workflow", pictures=[report.picture(sources.rules, "Rules of the workflow: each makes its files once")]
        ),
        _provenance(sources, run, config_file),
        checklists.section(run.items),
        report.section("study", body=prose.html(prose.read(sources.study)), tables=[study.compared(run.known, tests)]),
        report.section("limits", text=report.limits(run.known["tested"], simulated=phantom)),
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
    told: pd.DataFrame = inventory.loc[inventory["verdict"] != "accept", ["patient", "verdict", "reasons"]]
    text = [*([] if len(told) else ["Every patient passed every check."]), INVENTORY_NOTE]
    shown = [
        report.table(_counts(sources), "Counts"),
        characteristics.of_parts(inventory, pd.read_csv(sources.splits, dtype={"patient": str})),
    ]
    if len(told):
        shown.append(report.table(told, "Patients with findings; those set aside are in no count below the first"))
    return report.section("dataset", text=text, tables=shown)


def _counts(sources: Sources) -> pd.DataFrame:
    counts = pd.read_csv(sources.dataset)
    whole = [_whole(value) for value in counts["value"]]
    counts["value"] = pd.Series(whole, dtype=object)  # as numbers of one type all would be fractions
    return counts


def _whole(value: float) -> float | None:
    if pd.isna(value):
        return None
    return int(value) if float(value).is_integer() else value


def _network(sources: Sources, config: Mapping[str, Any]) -> Section:
    models = [model for model in config["models"] if model in sources.networks]
    if not models:
        return report.section("network", missing="This run trains no network: its model came as a file.")
    parameters = _parameters({model: config["recipes"][model] for model in models})
    return report.section(
        "network",
        tables=[report.table(parameters, "Training parameters, see config/README.md; idle ones change nothing here")],
        pictures=[report.picture(path, f"Network of {model}") for model, path in sources.networks.items()],
    )


def _parameters(recipes: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return a row a key, and a column a recipe."""
    keys = [key for key in next(iter(recipes.values())) if key != "file"]
    columns = {
        model: ["idle" if key in idle(recipe) else in_words(recipe[key]) for key in keys]
        for model, recipe in recipes.items()
    }
    return pd.DataFrame({"key": keys, **columns})


def _training(sources: Sources, trainings: Sequence[Mapping[str, Any]]) -> Section:
    if not sources.curves:
        return report.section("training", missing="This run trains no network: its model came as a file.")
    return report.section(
        "training",
        tables=[_trainings(trainings)],
        pictures=_pictures(sources.curves, "loss, Dice, learning rate"),
    )


def _trainings(trainings: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        {key: training[key] for key in ("model", "fold", "parameters", "epochs")}
        | {"kept_epoch": training["best_epoch"]}
        | {f"{part}_patients": len(training["patients"][part]) for part in ("train", "validation")}
        | {"threshold": training["threshold"]["used"], "validation_threshold": training["threshold"]["validation"]}
        for training in trainings
    ]
    return report.table(pd.DataFrame(rows), "Trainings; the threshold used, and the one that validation would choose")


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


def _results(sources: Sources, config: Mapping[str, Any], summary: pd.DataFrame) -> Section:
    shown = [report.results_table(summary)] if len(summary) else []
    if config["dataset"]["edition"]:
        shown.append(published.beside(report.read_results(sources.measures), config["split"]["folds"]))
    return report.section(
        "results",
        tables=shown,
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
        tables=[
            *report.tables_of_tests(tests),
            statistics_tables.of_agreement(report.read_results(sources.agreement)),
            statistics_tables.of_power(report.read_results(sources.power)),
            statistics_tables.of_assumptions(report.read_results(sources.assumptions)),
        ],
        pictures=[
            report.picture(sources.differences, "Differences of models over the same patients, with 95 % intervals"),
            report.picture(sources.bland_altman, "Predicted minus true volume, with bias and limits of agreement"),
            report.picture(sources.areas, "Predicted area by group, over slices as in the study and over patients"),
        ],
    )


def _provenance(sources: Sources, run: Run, config_file: str) -> Section:
    told = f"Commit {run.code.commit}. " if run.code.commit else ""
    text = [
        f"{told}SHA-256 of the program's files: {run.code.sha256}.",
        f"The complete config of this run is in {Path(config_file).name} beside this page. With the same data and in a "
        "clone of the repository these commands make the run again:",
    ]
    commands = "\n".join(provenance.commands(config_file, run.trainings, run.code))
    keys = {f"{part}.{key}": value for part in _SHOWN for key, value in run.config[part].items()}
    config = pd.DataFrame([(key, in_words(value)) for key, value in keys.items()], columns=["key", "value"])
    versions = pd.DataFrame(run.known["versions"].items(), columns=["package", "version"])
    return report.section(
        "provenance",
        text=text,
        body=prose.html(f"```\n{commands}\n```\n"),
        tables=[
            report.table(versions, "Versions: of the trainings where they say so, else of the report's environment"),
            *([_machines(run.trainings)] if run.trainings else []),
            _checksums(sources, run),
            report.table(config, "Config; recipes are in section Network"),
        ],
    )


def _machines(trainings: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        {key: training[key] for key in ("model", "fold", "backend", "seconds", "images_a_second")}
        | {key: machine[key] for key in ("from_epoch", "precision", "processor", "cores", "threads", "memory_gb")}
        | {"accelerators": ", ".join(machine["accelerators"]) or "none", "devices": machine.get("devices", "")}
        for training in trainings
        for machine in training["machines"]
    ]
    return report.table(pd.DataFrame(rows), "Machines that trained", headers={"memory_gb": "memory, GB"})


def _checksums(sources: Sources, run: Run) -> Table:
    scans = run.inventory.dropna(subset=["scan_sha256"])
    rows = [
        ("all scans: lines of patient and SHA-256", provenance.dataset_sha256(zip(*_columns(scans), strict=True))),
        ("the config, as JSON with sorted keys", provenance.config_sha256(run.config)),
    ]
    files = [sources.splits, *sources.exported, sources.metrics, sources.summary, sources.measures, sources.tests]
    rows += [(path, sha256(path)) for path in files]
    return report.table(
        pd.DataFrame(rows, columns=["what", "SHA-256"]), "Checksums; inventory.csv has that of each scan"
    )


def _columns(scans: pd.DataFrame) -> tuple[list[str], list[str]]:
    return scans["patient"].tolist(), scans["scan_sha256"].tolist()


_SHOWN = ("dataset", "phantom", "slice", "split", "evaluate", "statistics")


def write(
    template: str | Path, sources: Sources, config: Mapping[str, Any], root: str | Path, outputs: Outputs
) -> None:
    """Write the page of a run and what lies beside it, see :func:`assemble` and :func:`ichflow.report.render`."""
    run = load(sources, config, root)
    write_text(outputs.config, yaml.safe_dump(dict(config), sort_keys=True, allow_unicode=True))
    write_text(outputs.methods, run.methods)
    tables.write_csv(outputs.checklist, checklists.rows(run.items), checklists.COLUMNS)
    report.render(template, assemble(sources, run, outputs.config), outputs.page)
