"""Whether a run on a cluster would get through, told in seconds and before hours are lost."""

import importlib.util
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yte

from ichflow import cluster
from ichflow.errors import IchflowError
from ichflow.files import write_text

SITE_VARIABLE = "ICHFLOW_SITE"
_PATIENT_GB = 0.1  # scan, shard, prediction and what else a patient of 512 x 512 x 35 leaves
_LATENCY_S = 60.0  # as latency-wait in the profile
_PROBE_S = 90.0
_MIN_JOB_AGE_S = 200  # squeue forgets a job after MinJobAge; the executor looks every three minutes at least
_TRAININGS = ("train_fold", "ablate_variant")
_STATUS = "slurm-batch-status-command"
# Runs on a node, with no more than Python's own library
_PROBE = """
import json, os, shutil, sys
folder, gpu = sys.argv[1], sys.argv[2] == "True"
found = {"node": os.uname().nodename, "sees": os.path.exists(os.path.join(folder, "here"))}
found["scratch_gb"] = shutil.disk_usage(os.environ.get("TMPDIR", "/tmp")).free / 1e9
if gpu:
    found["visible"] = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow
    found["tensorflow"] = [device.name for device in tensorflow.config.list_physical_devices("GPU")]
if found["sees"]:
    open(os.path.join(folder, "there-" + sys.argv[3]), "w").close()
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Answer:
    """One question, whether its answer is good, what was found, and what to change if it is not."""

    question: str
    good: bool
    found: str
    change: str = ""

    def __str__(self) -> str:
        line = f"{'ok  ' if self.good else 'FAIL'}  {self.question}: {self.found}"
        return line if self.good else f"{line}\n      {self.change}"


def read_profile(path: str | Path) -> dict[str, Any]:
    """Return the cluster's profile as Snakemake reads it, with the values of the site file filled in.

    Raises
    ------
    IchflowError
        If the profile or the site file is missing or cannot be read.
    """
    os.environ.setdefault(SITE_VARIABLE, str(Path(path).with_name("site.yaml")))
    try:
        with Path(path).open(encoding="utf-8") as file:
            profile: Any = yte.process_yaml(file, require_use_yte=True)
    except Exception as error:
        raise IchflowError(f"{path}, or {os.environ[SITE_VARIABLE]} which it reads, cannot be read: {error}") from None
    return profile


def requests(
    profile: Mapping[str, Any], patients: int, training: int, attempt: int = 1
) -> dict[str, tuple[int, dict[str, Any]]]:
    """Return threads and resources of the largest SLURM job of each rule with some of its own, and of all others.

    Parameters
    ----------
    profile
        As :func:`read_profile` gives it.
    patients
        How many a run would have.
    training
        Minutes that a training asks for at its first attempt, since the profile does not say.
    attempt
        Memory and time grow with it; the first is 1.
    """
    common, own, threads = profile["default-resources"], profile["set-resources"], profile["set-threads"]
    by_rule = dict.fromkeys(_TRAININGS, common | {"runtime": f"{training} * attempt"})
    by_rule = {rule: by_rule.get(rule, common) | own.get(rule, {}) for rule in {*own, *threads}}
    by_rule["all other rules"] = common
    return {
        rule: (threads.get(rule, 1), cluster.together(_grown(keys, attempt), patients))
        for rule, keys in by_rule.items()
    }


def _grown(resources: Mapping[str, Any], attempt: int) -> dict[str, Any]:
    """Compute the expressions of the profile: a number times the attempt."""
    matches = {key: re.fullmatch(r"(\d+) \* attempt", str(value)) for key, value in resources.items()}
    return {key: int(match[1]) * attempt if (match := matches[key]) else value for key, value in resources.items()}


def answers(profile: Mapping[str, Any], patients: int, training: int, folder: Path) -> Generator[Answer]:
    """Answer one question after the other.

    Parameters
    ----------
    profile
        As :func:`read_profile` gives it.
    patients
        How many a run would have.
    training
        Minutes that a training asks for at its first attempt.
    folder
        Where it would run.
    """
    controller = _controller()
    yield controller
    yield _executor(profile["executor"])
    yield _room(patients, folder)
    if not controller.good:
        return
    yield _status(profile)
    asked = requests(profile, patients, training)
    refused = {rule: cluster.refusal(*request) for rule, request in asked.items()}
    for rule, told in refused.items():
        if told:
            found = f"{told} ({' '.join(cluster.options(*asked[rule]))})"
            yield Answer(f"jobs of {rule}", False, found, _advice(told))
    if not any(refused.values()):
        yield Answer("jobs of all rules", True, "partitions, accounts, memory, time and GPUs are admitted")
    last = int(profile["retries"]) + 1
    largest = requests(profile, patients, training, last)
    grown = {rule: cluster.refusal(*request) for rule, request in largest.items() if not refused[rule]}
    for rule, told in grown.items():
        if told:
            change = (
                f"a job that fails {last - 1} times cannot grow so far; lower its start or 'retries' in the profile"
            )
            yield Answer(f"attempt {last} of {rule}", True, f"would be refused, {told}: {change}")
    yield from _nodes({rule: asked[rule] for rule in asked if not refused[rule]}, folder)


def _controller() -> Answer:
    good, told = cluster.ask("scontrol", "ping")
    change = "run it on a login node of the cluster; if this is one, ask its administrators whether slurmctld is up"
    return Answer("SLURM answers", good, told.splitlines()[0] if told else "no answer", change)


def _executor(name: str) -> Answer:
    installed = importlib.util.find_spec(f"snakemake_executor_plugin_{name.replace('-', '_')}") is not None
    change = "in the folder of ichflow and the environment in which snakemake runs: pip install -r requirements.txt"
    return Answer("executor", installed, f"'{name}' is {'' if installed else 'not '}installed", change)


def _room(patients: int, folder: Path) -> Answer:
    free, need = shutil.disk_usage(folder).free / 1e9, 1 + _PATIENT_GB * patients
    change = "free some, or run elsewhere with --directory; a run of another dataset name may be deleted from results/"
    return Answer("room", free > need, f"{free:.0f} GB free in {folder}, {need:.0f} GB for {patients} patients", change)


def _status(profile: Mapping[str, Any]) -> Answer:
    """Whether the command by which Snakemake learns that a job has ended would tell it."""
    _, told = cluster.ask("scontrol", "show", "config")
    config = dict(re.findall(r"^(\w+)\s*= (.*)$", told, flags=re.MULTILINE))
    wanted = profile.get(_STATUS, "sacct")
    stored = config.get("AccountingStorageType", "").endswith("slurmdbd")
    works, said = cluster.ask("sacct", "--allocations", "--noheader", "--starttime=now-1hour")
    if works and stored and wanted == "sacct":
        return Answer("end of jobs", True, "sacct tells it")
    age = int(match[0]) if (match := re.search(r"\d+", config.get("MinJobAge", ""))) else 0
    if wanted == "squeue" and age >= _MIN_JOB_AGE_S:
        return Answer("end of jobs", True, f"squeue tells it for {age} s")
    if works and stored:
        change = f"write '{_STATUS}: sacct' under 'options' in slurm/site.yaml, and end no job with scancel: "
        change += "of such a job sacct says what Snakemake takes for running"
        return Answer("end of jobs", False, f"squeue forgets a job after {age} s", change)
    change = f"with sacct alone Snakemake would wait for ever; write '{_STATUS}: squeue' under 'options' in "
    change += f"slurm/site.yaml (MinJobAge is {age} s, and should be {_MIN_JOB_AGE_S} s or more)"
    return Answer("end of jobs", False, f"sacct does not work here: {said or 'no accounting database'}", change)


def _advice(told: str) -> str:
    if "account" in told.lower():
        return "set 'slurm_account' in slurm/site.yaml; yours: sacctmgr show associations user=$USER format=account"
    if "partition name" in told.lower() or "invalid partition" in told.lower():
        return "set 'slurm_partition' in slurm/site.yaml, for every_job and for gpu_job; `sinfo` lists the partitions"
    return (
        "lower what it asks for in slurm/profile.yaml (for time, also 'batch'), or choose another partition or GPU in "
        "slurm/site.yaml; "
        "`sinfo --format '%P %c %m %l %G'` lists cores, memory, time limit and GPUs of the partitions"
    )


def _nodes(asked: Mapping[str, tuple[int, Mapping[str, Any]]], folder: Path) -> Generator[Answer]:
    """Send a job of a minute to each partition, all at once."""
    by_partition = {str(keys.get("slurm_partition", "")): (threads, keys) for threads, keys in asked.values()}
    with tempfile.TemporaryDirectory(prefix=".preflight-", dir=folder) as shared, ThreadPoolExecutor() as pool:
        write_text(Path(shared, "here"), "")
        sent = {
            partition: pool.submit(_probe, partition, request, Path(shared))
            for partition, request in by_partition.items()
        }
        for future in sent.values():
            yield from future.result()


def _probe(partition: str, request: tuple[int, Mapping[str, Any]], shared: Path) -> list[Answer]:
    threads, keys = request
    small = {key: value for key, value in keys.items() if key not in ("mem_mb", "runtime")}
    asked = cluster.options(min(threads, 2), small | {"mem_mb": 2000, "runtime": 3})
    gpu, mark = bool(keys.get("gpu")), f"{abs(hash(partition))}"
    started = time.monotonic()
    python = (sys.executable, "-c", _PROBE, str(shared), str(gpu), mark)
    good, told = cluster.ask("srun", "--quiet", "--immediate=30", *asked, *python, seconds=_PROBE_S)
    took, question = time.monotonic() - started, f"a job in partition '{partition}'"
    if not good:
        change = "if all nodes are busy, ask again later; otherwise the environment in which snakemake runs "
        change += f"({sys.executable}) does not work on the nodes"
        return [Answer(question, False, told.splitlines()[-1] if told else "no answer", change)]
    found = json.loads(told.splitlines()[-1])
    given = [
        Answer(question, True, f"ran on {found['node']} within {took:.0f} s; {found['scratch_gb']:.0f} GB scratch")
    ]
    given.append(_file_system(question, found, Path(shared, f"there-{mark}")))
    if gpu:
        given.append(_gpu(question, found))
    return given


def _file_system(question: str, found: Mapping[str, Any], answer: Path) -> Answer:
    started = time.monotonic()
    while found["sees"] and not answer.exists() and time.monotonic() - started < _LATENCY_S:
        time.sleep(0.2)
    waited = time.monotonic() - started
    change = "run in a folder that login node and nodes share (--directory); is a file late, raise 'latency-wait'"
    if not found["sees"]:
        return Answer(f"{question} sees this folder", False, f"{answer.parent.parent} is another one there", change)
    told = f"its files are seen here after {waited:.0f} s"
    return Answer(f"{question} sees this folder", answer.exists(), told, change)


def _gpu(question: str, found: Mapping[str, Any]) -> Answer:
    seen = len(found["tensorflow"])
    told = f"SLURM gives it GPU {found['visible'] or 'none'}, TensorFlow sees {seen or 'none'}"
    change = "install requirements-gpu.txt where snakemake runs, load the site's CUDA module with 'precommand' in "
    change += "slurm/site.yaml, and look with: srun --partition=… --gpus=1 nvidia-smi"
    return Answer(f"{question} has a GPU", bool(found["visible"]) and seen > 0, told, change)


def run(profile: Mapping[str, Any], patients: int, training: int, folder: Path, tell: Callable[[str], None]) -> None:
    """Tell every answer as it comes.

    Raises
    ------
    IchflowError
        If anything needs a change.
    """
    bad = 0
    for answer in answers(profile, patients, training, folder):
        tell(str(answer))
        bad += not answer.good
    if bad:
        raise IchflowError(f"preflight: {bad} of the answers above need a change before a run")
