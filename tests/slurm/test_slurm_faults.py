"""What can go wrong on a cluster, made to happen on four patients; at the end the results are those of a quiet run."""

import os
import re
import signal
import subprocess
import time

import pytest
from cluster_runs import command, wait_until

pytestmark = pytest.mark.slurm_faults
TRAINED = ("history.csv",)


@pytest.mark.parametrize(
    ("part", "keys", "told"),
    [
        ("gpu_job", {"slurm_partition": "a100"}, r"train_fold \(--partition=a100.*invalid partition"),
        ("every_job", {"slurm_account": "nobody"}, r"slice_patient \(.*--account=nobody.*Invalid account"),
        ("gpu_job", {"mem_mb": 9_000_000}, r"train_fold \(.*--mem=9000000.*not available"),
        ("gpu_job", {"gpu": 6}, r"train_fold \(.*--gpus=declared:6.*not available"),
    ],
)
def test_what_the_cluster_would_refuse_is_told_before_anything_is_submitted(sliced, copy, part, keys, told):
    run = copy(sliced)
    run.site[part] |= keys
    printed = run.finish(run.submit("statistics", "--forcerun", "slice_patient"), code=1)
    assert re.search(told, printed), printed
    assert "nothing was submitted" in printed
    assert not run.jobs()


def test_a_job_killed_for_its_memory_is_tried_again_with_more(sliced, copy, same):
    run = copy(sliced)
    printed = run.finish(run.submit("slice", "--forcerun", "slice_patient", rules={"slice_patient": TOO_LITTLE}))
    assert "Error in rule slice_patient" in printed
    asked = [re.search(r"mem=(\d+)M", job["reqtres"])[1] for job in run.jobs("slice_patient")]
    assert asked == sorted(asked)
    assert {"120", "240"} <= set(asked) <= {"120", "240", "360"}
    same(run, "shards/*.parquet")


TOO_LITTLE = {"mem_mb": "120 * attempt"}


def test_a_cancelled_job_is_submitted_again_and_training_goes_on(sliced, copy, same):
    run = copy(sliced)
    process = run.submit("train")
    run.hold_training(process)
    command("scancel", *run.running("train_fold"))
    assert "CANCELLED" in run.finish(process)
    assert len(run.jobs("train_fold")) == 2
    same(run, *TRAINED)


def test_a_preempted_job_is_put_back_and_training_goes_on(sliced, copy, same):
    run = copy(sliced)
    run.site["gpu_job"] = {"slurm_partition": "spare"}
    process = run.submit("train")
    run.hold_training(process)
    urgent = command(
        "sbatch", "--parsable", "--partition=urgent", "--cpus-per-task=8", "--output=/dev/null", "--wrap=sleep 5"
    ).strip()
    wait_until(lambda: urgent not in command("squeue", "--noheader", "--format=%i"), "the urgent job")
    run.finish(process)
    tries = run.jobs("train_fold")
    assert [job["state"] for job in tries] == ["PREEMPTED", "COMPLETED"]
    assert len({job["jobid"] for job in tries}) == 1
    same(run, *TRAINED)


def test_a_node_that_goes_down_gives_its_job_back_and_training_goes_on(sliced, copy, same):
    run = copy(sliced)
    process = run.submit("train")
    run.hold_training(process)
    command("scontrol", "update", "nodename=gpu1", "state=down", "reason=test")
    try:
        wait_until(lambda: "NODE_FAIL" in {job["state"] for job in run.jobs()}, "the failure")
    finally:  # it may have come back by itself
        subprocess.run(["scontrol", "update", "nodename=gpu1", "state=resume"], capture_output=True, check=False)
    run.finish(process)
    assert [job["state"] for job in run.jobs("train_fold")] == ["NODE_FAIL", "COMPLETED"]
    same(run, *TRAINED)


def test_a_restart_of_the_controller_is_not_noticed(cluster, sliced, copy, same):
    run = copy(sliced)
    process = run.submit("train")
    held = run.hold_training(process)
    cluster("stop", "slurmctld")
    time.sleep(10)
    cluster("start", "slurmctld")
    os.kill(held, signal.SIGCONT)
    run.finish(process)
    assert [job["state"] for job in run.jobs("train_fold")] == ["COMPLETED"]
    same(run, *TRAINED)


def test_the_accounting_may_be_away_for_a_minute(cluster, sliced, copy, same):
    run = copy(sliced)
    run.site["options"]["max-status-checks-per-second"] = 0.1  # as in the profile
    process = run.submit("train")
    held = run.hold_training(process)
    cluster("stop", "slurmdbd")
    cluster("stop", "mariadbd")
    time.sleep(60)
    cluster("start", "mariadbd")
    time.sleep(3)
    cluster("start", "slurmdbd")
    os.kill(held, signal.SIGCONT)
    run.finish(process)
    same(run, *TRAINED)


def test_a_killed_snakemake_starts_again_and_no_job_twice(sliced, copy, same):
    run = copy(sliced)
    process = run.submit("train")
    held = run.hold_training(process)
    process.kill()
    process.wait()
    assert "--unlock" in run.finish(run.submit("train"), code=1)
    run.snakemake("--unlock")
    (job,) = run.running("train_fold")
    assert f"scancel {job}" in run.finish(run.submit("train"), code=1)
    os.kill(held, signal.SIGCONT)
    wait_until(lambda: job not in command("squeue", "--noheader", "--format=%i"), "the end of the job")
    run.finish(run.submit("train"))
    assert [job["state"] for job in run.jobs("train_fold")] == ["COMPLETED"]
    same(run, *TRAINED)


def test_what_shares_a_job_is_kept_when_snakemake_is_killed(acquired, copy, same):
    run = copy(acquired)
    process = run.submit("slice")
    wait_until(lambda: any(run.result("shards").glob("*.sha256")), "the first shard")
    process.kill()
    process.wait()
    (job,) = run.running("slice_patient")
    run.snakemake("--unlock")
    wait_until(lambda: job not in command("squeue", "--noheader", "--format=%i"), "the end of the job")
    assert "Nothing to be done" in run.finish(run.submit("slice"))
    same(run, "shards/*.parquet")


def test_a_patient_that_fails_does_not_stop_those_who_share_its_job(acquired, copy, same):
    run = copy(acquired)
    in_the_way = run.path("logs/phantom/slice_patient/050.log/x")
    in_the_way.mkdir(parents=True)
    printed = run.finish(run.submit("slice", "--retries", "0"), code=1)
    assert "Error in rule slice_patient" in printed
    assert "slice_patient/050.log" in printed
    assert len(run.jobs("slice_patient")) == 1
    assert sorted(path.stem for path in run.result("shards").glob("*.parquet")) == ["049", "051", "052"]
    before = len(run.jobs())
    in_the_way.rmdir()
    in_the_way.parent.rmdir()
    run.finish(run.submit("slice"))
    assert len(run.jobs()) == before + 1
    same(run, "shards/050.parquet")


def test_patients_that_are_done_when_their_job_is_cancelled_are_kept(acquired, copy, same):
    run = copy(acquired)
    process = run.submit("slice")

    def made():
        return sorted(run.result("shards").glob("*.sha256"), key=lambda path: path.stat().st_mtime)

    wait_until(lambda: len(made()) > 1, "a second shard")  # so that the job of the first one has ended
    command("scancel", *run.running("slice_patient"))
    done = made()[0].stem
    printed = run.finish(process)
    assert "CANCELLED" in printed
    assert printed.count(f"Slice patient {done}\n") == 1  # submitted once; all others were not done, or again
    first, second = run.jobs("slice_patient")
    assert int(second["timelimitraw"]) < 2 * int(first["timelimitraw"])  # fewer patients, each with twice the time
    same(run, "shards/*.parquet")


def test_five_folds_train_at_once_on_five_gpus(sliced, copy):
    run = copy(sliced)
    run.configure(phantom={"patients": 12, "hemorrhage_share": 0.5}, split={"folds": 5})
    run.snakemake("split", "slice", "--cores", "8")
    run.finish(run.submit("train"))
    jobs = run.jobs("train_fold")
    assert len(jobs) == 5
    assert all("gres/gpu=1" in job["reqtres"] for job in jobs)
    assert max(job["start"] for job in jobs) < min(job["end"] for job in jobs)


@pytest.fixture
def at_a_terminal():
    """Undo what ``nohup`` and a shell's background do: to ignore the signal of Ctrl-C, in what they start as well."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_the_jobs_too(at_a_terminal, sliced, copy):
    run = copy(sliced)
    process = run.submit("train")
    run.hold_training(process)
    process.send_signal(signal.SIGINT)
    process.wait(120)
    wait_until(lambda: not run.running(""), "the end of the job")
    assert "CANCELLED" in run.jobs()[0]["state"]
