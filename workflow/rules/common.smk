# What all stages share: the checked config, the patients, the models, and where files lie.

import hashlib
import json
import sys
from pathlib import Path

sys.path.append(f"{workflow.basedir}/scripts")

from ichflow import (
    cluster,
    contracts,
    ctich,
    dataset,
    intake,
    newscans,
    recipes,
    settings,
)
from ichflow.errors import IchflowError

try:
    settings.refuse_octal(workflow.configfiles)
    settings.complete(config, f"{workflow.basedir}/workflow/schemas/config.schema.yaml")
    NAME = config["dataset"]["name"]
    SOURCE = config["dataset"]["source"]
    INTAKE = intake.open_source(config, f"resources/{NAME}")
    PATIENTS = dataset.chosen(INTAKE.patients, config["dataset"]["patients"])
    SCANS = newscans.find(config["scans"]) if config["scans"] else {}
    NEW_MODELS = newscans.models(config["model"]) if config["model"] else []
except IchflowError as error:
    raise WorkflowError(str(error)) from None

# Named after their folder, since they belong to no dataset
NEW_NAME = Path(config["scans"] or "none").absolute().name
MODELS = config["models"]
TRAINED = [model for model in MODELS if not config["recipes"][model]["file"]]
FOLDS = range(config["split"]["folds"])
VARIANTS = recipes.variants(config["ablation"]["choices"])
SEEDS = config["ablation"]["seeds"]
# What trainings go on from if they are cut off
STATE = f"results/{NAME}/resume/{{model}}-fold-{{fold}}.npz"
ABLATION_STATE = f"results/{NAME}/resume/ablation-{{variant}}-seed-{{seed}}.npz"
CASES = ["best", "median", "worst", "false-alarm"]
PICTURES = ["heatmap", "attention", "rendering", "montage"]

if len(PATIENTS) > 500 and workflow.is_main_process:
    logger.warning(
        f"{len(PATIENTS)} patients: Snakemake's own work grows with their number with --scheduler greedy "
        "--scheduler-subsample 100, as --profile slurm has it, else with its square. 'How far it scales' in "
        "docs/slurm.md has the figures."
    )


# What decides which rules there are
GRAPH_CONFIG = json.dumps(
    {
        "dataset": {
            key: config["dataset"][key]
            for key in ("name", "source", "folder", "zip", "sheet", "labels")
        },
        "split": {"folds": config["split"]["folds"]},
        "models": MODELS,
        "recipes": {
            model: {"file": config["recipes"][model]["file"]} for model in MODELS
        },
    },
    sort_keys=True,
)


pathvars:
    results=f"results/{NAME}",
    resources=f"resources/{NAME}",
    logs=f"logs/{NAME}",
    benchmarks=f"benchmarks/{NAME}",
    new=f"new-scans/{NEW_NAME}",


wildcard_constraints:
    patient=r"[A-Za-z0-9][A-Za-z0-9._-]*",
    fold=r"\d+",
    model="|".join(MODELS) or "none",
    variant="|".join(VARIANTS),
    seed=r"\d+",
    scan=r"[A-Za-z0-9][A-Za-z0-9._-]*",
    case="|".join(CASES),


def ask_cluster():
    """Stop before anything is submitted if it would be refused, or jobs of an earlier run are still there."""
    jobs = [job for job in workflow.dag.needrun_jobs() if not job.is_local]
    try:
        cluster.refuse_while_jobs_run(Path.cwd())
        cluster.refuse_what_cannot_run(cluster.requests(jobs))
    except IchflowError as error:
        raise WorkflowError(str(error)) from None


def choose_jobs_as_jobs_end():
    """Lift the limit of 100 jobs a second, which is Snakemake's default; one that a user sets stays.

    With a limit Snakemake weighs all ready jobs anew each second, and once more a second for each job that has ended:
    after some dozens of them all the time, with half a core.
    """
    limit = workflow.scheduling_settings.max_jobs_per_timespan
    if limit and (limit.max_jobs, limit.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None


def remove_states():
    """Remove what finished trainings would have gone on from, now that Snakemake has taken note of what they made.

    What a training leaves whose Snakemake was killed looks finished as well, but the next one deletes it: only the jobs
    of this run count, of which Snakemake knows.
    """
    from ichflow import resume  # imports more than the rules' files may

    dag = workflow.dag
    for job in dag.jobs:
        is_noted = dag.finished(job) or not dag.needrun(job)
        if is_noted and job.rule.name in ("train_fold", "ablate_variant"):
            if all(Path(path).exists() for path in job.output):
                resume.remove(job.params.state)


onsuccess:
    remove_states()


onerror:
    remove_states()


onstart:
    choose_jobs_as_jobs_end()
    if workflow.executor_plugin and workflow.executor_plugin.name == "slurm-batch":
        ask_cluster()


def digest(*names):
    """A digest of files of the program: a changed one runs a rule again, a newer copy in another clone does not."""
    contents = (Path(workflow.basedir, name).read_bytes() for name in names)
    return hashlib.sha256(b"".join(contents)).hexdigest()


def named(**values):
    """The parameters of a rule, and one with their names: Snakemake compares values alone, so that it would not see
    that two of them have changed places, or that one has become what another one is."""
    return values | {"by_name": [f"{name}: {value}" for name, value in values.items()]}


def recipe_keys(model, **changed):
    changed_recipe = recipes.Recipe.of_config(config["recipes"][model] | changed)
    return json.dumps(changed_recipe.as_dict(), sort_keys=True)


def recipe(wildcards):
    """The keys that make a model, as JSON: a change of any of them trains this model only."""
    return recipe_keys(wildcards.model)


def training_minutes(wildcards, attempt):
    """What a training asks a cluster for; elsewhere it means nothing."""
    return minutes_for(recipe(wildcards), attempt)


def ablation_minutes(wildcards, attempt):
    return minutes_for(ablated_recipe(wildcards), attempt)


def minutes_for(keys, attempt=1):
    from ichflow import costs  # imports more than the rules' files may

    return costs.training_minutes(
        recipes.Recipe.from_json(keys), len(PATIENTS), attempt
    )


def ablated_recipe(wildcards):
    changed = VARIANTS[wildcards.variant] | {"seed": int(wildcards.seed)}
    return recipe_keys(config["ablation"]["recipe"], **changed)


def ablated(wildcards):
    """What the ablation compares, once there is something to compare."""
    if not config["ablation"]["choices"]:
        raise WorkflowError(
            "ablation.choices: nothing found, expected keys of a recipe with the values to try: "
            "snakemake --cores 2 ablation --configfile config/ablation.yaml has some"
        )
    return expand(
        "<results>/ablation/{variant}-seed-{seed}.parquet",
        variant=VARIANTS,
        seed=SEEDS,
    )


def tensorboard_folder(wildcards):
    return f"logs/{NAME}/tensorboard/{wildcards.model}-fold-{wildcards.fold}"


def first_recipe(wildcards):
    """The recipe whose augmentation is shown."""
    return recipe_keys(TRAINED[0]) if TRAINED else ""


def dataset_tables(wildcards):
    return INTAKE.tables()


def patient_volumes(wildcards):
    """Scan and mask; of a given dataset only those that are there: an absent one is a finding of verify."""
    return INTAKE.volumes(wildcards.patient)


def dataset_files(wildcards):
    volumes = (file for patient in PATIENTS for file in INTAKE.volumes(patient))
    return [*dataset_tables(wildcards), *volumes]


def series(wildcards):
    """The folder of a patient's DICOM files."""
    return INTAKE.series(wildcards.patient)


def mask(wildcards):
    return INTAKE.masks(wildcards.patient)


def row_digest(wildcards):
    return INTAKE.digest(wildcards.patient)


def model_files(wildcards):
    """The exported model of every fold, or the one that the recipe names."""
    file = config["recipes"][wildcards.model]["file"]
    folds = expand(
        "<results>/models/{model}/fold-{fold}/model.onnx",
        fold=FOLDS,
        model=wildcards.model,
    )
    return ([file] if isinstance(file, str) else file) or folds


def new_table(wildcards):
    """The table of new scans, once it is known where they are."""
    if not SCANS:
        raise WorkflowError(
            "predict_new: nothing found in the config keys 'scans' and 'model', expected a folder with scans and "
            "the file of an exported model: --config scans=FOLDER model=FILE"
        )
    return f"results/new-scans/{NEW_NAME}/scans.csv"


def new_scan(wildcards):
    """A new scan as NIfTI: the file itself, or what a DICOM series is converted to, with a note on it."""
    path = SCANS[wildcards.scan]
    converted = f"results/new-scans/{NEW_NAME}/converted/{wildcards.scan}"
    return [f"{converted}.nii.gz", f"{converted}.json"] if path.is_dir() else str(path)


def new_series(wildcards):
    return str(SCANS[wildcards.scan])


def is_trained(wildcards):
    return wildcards.model in TRAINED
