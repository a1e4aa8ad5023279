"""Preflight against a cluster played by shell scripts."""

import json

import pytest
from ichflow import cluster, preflight
from ichflow.errors import IchflowError
from support import ROOT

CONFIG = "AccountingStorageType   = accounting_storage/slurmdbd\\nMinJobAge               = 300 sec"
NODE = {"node": "n1", "sees": True, "scratch_gb": 10, "visible": "0", "tensorflow": ["/gpu:0"]}
ANSWERS = {
    "scontrol": f'if [ "$1" = ping ]; then echo "Slurmctld(primary) at h is UP"; else printf "{CONFIG}\\n"; fi',
    "sacct": "true",
    "sbatch": "true",
    "srun": f'echo \'{json.dumps(NODE)}\'; for last; do :; done; touch "$(echo "$PWD"/.preflight-*)/there-$last"',
}


@pytest.fixture
def played(tmp_path, monkeypatch):
    """Return a function that replaces SLURM's commands and tells what preflight answers, by question."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.setenv("ICHFLOW_SITE", str(ROOT / "slurm/site.yaml"))
    monkeypatch.chdir(tmp_path)

    def answers(profile=None, patients=4, training=90, **changed):
        for name, body in (ANSWERS | changed).items():
            (programs / name).write_text(f"#!/bin/sh\n{body}\n")
            (programs / name).chmod(0o755)
        profile = preflight.read_profile(ROOT / "slurm/profile.yaml") | (profile or {})
        return {answer.question: answer for answer in preflight.answers(profile, patients, training, tmp_path)}

    return answers


def bad(answers):
    return {question: answer for question, answer in answers.items() if not answer.good}


def test_a_cluster_that_would_do_gets_no_advice(played):
    answers = played()
    assert not bad(answers)
    assert {"SLURM answers", "room", "end of jobs", "jobs of all rules"} < set(answers)
    assert "1 GPU" not in str(answers["a job in partition 'gpu' has a GPU"])


def test_without_accounting_squeue_must_be_asked(played):
    broken = {"sacct": "echo 'Slurm accounting storage is disabled' >&2; exit 1"}
    answer = bad(played(profile={"slurm-batch-status-command": "sacct"}, **broken))["end of jobs"]
    assert "accounting storage is disabled" in answer.found
    assert "'slurm-batch-status-command: squeue'" in answer.change
    assert not bad(played(**broken))


def test_squeue_that_forgets_at_once_is_refused(played):
    forgets = ANSWERS["scontrol"].replace("300 sec", "10 sec")
    answer = bad(played(scontrol=forgets))["end of jobs"]
    assert "forgets a job after 10 s" in answer.found


def test_what_is_refused_is_told_with_the_rule_and_the_file_to_change(played):
    refuses = 'case "$*" in *partition=gpu*) echo "sbatch: error: invalid partition specified: gpu" >&2; exit 1;; esac'
    found = bad(played(sbatch=refuses))
    answer = found["jobs of train_fold"]
    assert answer.found.startswith("invalid partition specified: gpu (--partition=gpu")
    assert "slurm/site.yaml" in answer.change
    assert "jobs of slice_patient" not in found


def test_a_last_attempt_that_is_too_large_is_told_but_no_failure(played):
    refuses = 'case "$*" in *mem=96000*) echo "sbatch: error: too much" >&2; exit 1;; esac'
    answers = played(sbatch=refuses)
    assert not bad(answers)
    assert "too much" in answers["attempt 3 of train_fold"].found


@pytest.mark.parametrize(
    ("node", "question", "advice"),
    [
        ({"sees": False}, "a job in partition 'cpu' sees this folder", "--directory"),
        ({"tensorflow": []}, "a job in partition 'gpu' has a GPU", "requirements-gpu.txt"),
        ({"visible": ""}, "a job in partition 'gpu' has a GPU", "requirements-gpu.txt"),
    ],
)
def test_a_node_that_will_not_do_is_told(played, node, question, advice):
    srun = ANSWERS["srun"].replace(json.dumps(NODE), json.dumps(NODE | node))
    assert advice in bad(played(srun=srun))[question].change


def test_an_executor_that_is_not_installed_is_named(played):
    answer = bad(played(profile={"executor": "slurm-other"}))["executor"]
    assert answer.found == "'slurm-other' is not installed"
    assert "requirements.txt" in answer.change


def test_no_cluster_and_no_room(played):
    found = bad(played(patients=10**9, scontrol="echo 'Unable to contact slurm controller' >&2; exit 1"))
    assert "Unable to contact" in found["SLURM answers"].found
    assert "100000001 GB for" in found["room"].found


def test_patients_that_share_a_job_ask_for_the_memory_of_one_and_the_minutes_of_all(played):
    played()
    profile = preflight.read_profile(ROOT / "slurm/profile.yaml")
    threads, alone = preflight.requests(profile, patients=1, training=90)["predict_patient"]
    threads, shared = preflight.requests(profile, patients=10, training=90)["predict_patient"]
    assert (threads, shared["mem_mb"], shared["runtime"]) == (2, alone["mem_mb"], 10 * alone["runtime"])
    most = preflight.requests(profile, patients=1000, training=90)["predict_patient"][1]
    assert most["runtime"] == most["batch"] * alone["runtime"]


def test_a_training_asks_for_the_time_it_needs_and_for_more_at_each_attempt(played):
    played()
    profile = preflight.read_profile(ROOT / "slurm/profile.yaml")
    first, third = (preflight.requests(profile, 75, 90, attempt)["train_fold"][1] for attempt in (1, 3))
    assert first["runtime"] == 90
    assert (third["runtime"], third["mem_mb"]) == (270, 3 * first["mem_mb"])


def test_a_site_file_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("ICHFLOW_SITE", str(tmp_path / "none.yaml"))
    with pytest.raises(IchflowError, match=r"none\.yaml"):
        preflight.read_profile(ROOT / "slurm/profile.yaml")


def test_jobs_of_an_earlier_run_are_named(played, tmp_path):
    listed = f"41  {tmp_path}/.snakemake/slurm_logs/rule_x/41.log\\n42  /elsewhere/.snakemake/slurm_logs/42.log\\n"
    played(squeue=f"printf '{listed}'")
    with pytest.raises(IchflowError, match=r"SLURM jobs 41 of an earlier run.*scancel 41"):
        cluster.refuse_while_jobs_run(tmp_path)
    cluster.refuse_while_jobs_run(tmp_path / "other")
