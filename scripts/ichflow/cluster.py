"""What a SLURM cluster admits and runs: asked before anything is submitted."""

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ichflow.errors import IchflowError

Resources = Mapping[str, Any]
_FLAGS = {
    "slurm_partition": "--partition",
    "slurm_account": "--account",
    "constraint": "--constraint",
    "qos": "--qos",
    "mem_mb": "--mem",
    "runtime": "--time",
}


def ask(*command: str, seconds: float = 30) -> tuple[bool, str]:
    """Run one of SLURM's commands.

    Returns
    -------
    bool, str
        Whether it succeeded, and what it printed: its errors where it failed.
    """
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    except FileNotFoundError:
        return False, f"no program '{command[0]}' here"
    except subprocess.TimeoutExpired:
        return False, f"no answer within {seconds:g} s"
    good = ran.returncode == 0
    return good, (ran.stdout if good else ran.stderr or ran.stdout).strip()


def options(threads: int, resources: Resources) -> list[str]:
    """Return the options of ``sbatch`` for a job, as Snakemake's executor gives them.

    Parameters
    ----------
    threads
        Cores.
    resources
        The job's resources in Snakemake's names: memory in megabytes, run time in minutes, ``gpu`` and ``gpu_model``.
    """
    asked = [f"{flag}={resources[key]}" for key, flag in _FLAGS.items() if resources.get(key)]
    if resources.get("gpu"):
        asked.append("--gpus=" + ":".join(str(resources[key]) for key in ("gpu_model", "gpu") if resources.get(key)))
    return [*asked, "--ntasks=1", f"--cpus-per-task={threads}"]


def requests(jobs: Iterable[Any]) -> dict[str, tuple[int, dict[str, Any]]]:
    """Return threads and resources of the SLURM job that asks for most, by the name of the rule.

    Parameters
    ----------
    jobs
        Snakemake's, each with ``rule.name``, ``wildcards``, ``threads`` and ``resources``. Those of a rule and model
        ask for the same; where the resource ``batch`` lets them share a job, that one asks for the minutes of all.
    """
    alike = Counter[tuple[str, Any]]()
    one: dict[tuple[str, Any], Any] = {}
    for job in jobs:
        kind = job.rule.name, job.wildcards.get("model")
        alike[kind] += 1
        one[kind] = job
    found: dict[str, tuple[int, dict[str, Any]]] = {}
    for kind, job in one.items():
        asked = together(dict(job.resources.items()), alike[kind])
        known = found.get(kind[0])
        if known is None or asked.get("runtime", 0) > known[1].get("runtime", 0):
            found[kind[0]] = job.threads, asked
    return found


def together(resources: Resources, jobs: int) -> dict[str, Any]:
    """Return what the largest SLURM job asks for that so many jobs of these resources share."""
    shared = min(int(resources.get("batch", 1)), jobs)
    times = {"runtime": shared * resources["runtime"]} if "runtime" in resources else {}
    return {**resources, **times}


def refusal(threads: int, resources: Resources) -> str | None:
    """Return why the cluster would refuse such a job, in SLURM's own words; None if it would take it."""
    good, told = ask("sbatch", "--test-only", *options(threads, resources), "--wrap=true")
    return None if good else told.replace("sbatch: error: ", "").replace("allocation failure: ", "")


def refuse_what_cannot_run(requests: Mapping[str, tuple[int, Resources]]) -> None:
    """Stop before anything is submitted if the cluster would refuse a rule's job.

    Parameters
    ----------
    requests
        Threads and resources by the name of the rule.

    Raises
    ------
    IchflowError
        Naming each rule with what it asks for and what SLURM says.
    """
    if shutil.which("sbatch") is None:
        raise IchflowError("no program 'sbatch' here; start Snakemake where jobs are submitted, on a login node")
    answers: dict[tuple[str, ...], str | None] = {}
    refused: list[str] = []
    for rule, (threads, resources) in sorted(requests.items()):
        asked = tuple(options(threads, resources))
        if asked not in answers:
            answers[asked] = refusal(threads, resources)
        if answers[asked]:
            refused.append(f"{rule} ({' '.join(asked)}): {answers[asked]}")
    if refused:
        raise IchflowError(
            "the cluster would refuse jobs of these rules; nothing was submitted:\n  "
            + "\n  ".join(refused)
            + "\nPartition, account and GPU are set in slurm/site.yaml, memory and time in slurm/profile.yaml."
        )


def refuse_while_jobs_run(folder: Path) -> None:
    """Stop if jobs of an earlier Snakemake in this folder are still queued or running: they would be started twice.

    Raises
    ------
    IchflowError
        Naming the jobs and how to see, await or end them.
    """
    good, told = ask("squeue", "--me", "--noheader", "--Format=JobID:20,STDOUT:1000")
    if not good:  # to be submitted to, a cluster need not tell what runs
        return
    logs = f"{folder}/.snakemake/slurm_logs/"
    jobs = [line.split()[0] for line in told.splitlines() if logs in line]
    if jobs:
        raise IchflowError(
            f"SLURM jobs {', '.join(jobs)} of an earlier run in {folder} are still there (squeue --jobs "
            f"{','.join(jobs)}). Wait until they have ended, and what they finish is kept; or end them: scancel "
            f"{' '.join(jobs)}. Then start again"
        )
