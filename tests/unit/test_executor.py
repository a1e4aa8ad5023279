"""Short jobs that share a SLURM job, without a cluster."""

from collections import Counter
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
from snakemake_executor_plugin_slurm import Executor as SlurmExecutor
from snakemake_executor_plugin_slurm_batch import Batch, Executor, _made, _stamps, batches
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo


def job(number, rule="slice_patient", threads=1, attempt=1, output=(), **resources):
    asked = {"batch": 3, "mem_mb": 2000, "runtime": 2, "slurm_partition": "cpu"} | resources
    return SimpleNamespace(
        jobid=number,
        rule=SimpleNamespace(name=rule),
        name=rule,
        threads=threads,
        attempt=attempt,
        resources=asked,
        output=output,
        get_target_spec=lambda: [f"{rule}:{number}"],
        get_wait_for_files=lambda: ["table", f"scan {number}"],
    )


def test_a_batch_asks_for_the_memory_of_one_and_the_minutes_of_all():
    batch = Batch([job(1, mem_mb=2000, runtime=2), job(2, "inventory", mem_mb=3000, runtime=5)])
    asked = batch.resources
    assert (asked.mem_mb, asked.get("runtime"), asked["slurm_partition"]) == (3000, 7, "cpu")
    assert batch.threads == 1
    assert batch.rules == ["inventory", "slice_patient"]
    assert batch.name == "inventory+slice_patient"
    assert batch.get_target_spec() == ["slice_patient:1", "inventory:2"]
    assert batch.get_wait_for_files() == ["table", "scan 1", "scan 2"]
    assert batch.resources.qos is None


def kind(one):
    return one.threads, one.attempt, one.resources["slurm_partition"]


@given(
    st.lists(
        st.tuples(st.integers(1, 2), st.integers(1, 3), st.sampled_from(["cpu", "gpu"]), st.sampled_from([2000, 3000])),
        max_size=20,
    )
)
def test_every_job_is_in_one_batch_of_jobs_that_ask_for_the_same(asked):
    jobs = [
        job(number, threads=threads, attempt=attempt, slurm_partition=partition, mem_mb=memory)
        for number, (threads, attempt, partition, memory) in enumerate(asked)
    ]
    found = list(batches(jobs))
    assert sorted(one.jobid for batch in found for one in batch) == list(range(len(jobs)))
    for batch in found:
        assert 1 <= len(batch) <= 3
        assert len({kind(one) for one in batch}) == 1
    for same, number in Counter(kind(one) for one in jobs).items():
        sizes = [len(batch) for batch in found if kind(batch[0]) == same]
        assert len(sizes) == -(-number // 3)
        assert max(sizes) - min(sizes) <= 1


def test_a_job_was_done_when_all_its_outputs_are_new(tmp_path):
    shard, digest = tmp_path / "shard", tmp_path / "digest"
    one = job(1, output=(shard, digest))
    shard.write_text("old")
    before = _stamps(one)
    assert not _made(before, _stamps(one))
    digest.write_text("new")
    assert not _made(before, _stamps(one))
    new = tmp_path / "new"
    new.write_text("new")
    new.replace(shard)
    assert _made(before, _stamps(one))


def test_of_a_batch_that_failed_only_what_was_not_made_has_failed(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(SlurmExecutor, "report_job_success", lambda self, info: told.append(("done", info.job.jobid)))
    monkeypatch.setattr(
        SlurmExecutor, "report_job_error", lambda self, info, msg=None, **more: told.append(("failed", info.job.jobid))
    )
    executor = object.__new__(Executor)
    members = [Hashable(number, tmp_path / str(number)) for number in range(3)]
    executor._before = {one: _stamps(one) for one in members}
    members[1].output[0].write_text("made")
    for one in members:
        executor.report_job_error(SubmittedJobInfo(one, "7"), msg="TIMEOUT")
    assert told == [("failed", 0), ("done", 1), ("failed", 2)]
    assert not executor._before

    # A batch that could not be submitted has failed as a whole
    told.clear()
    executor.report_job_error(SubmittedJobInfo(Batch([job(4), job(5)])), msg="sbatch failed")
    assert told == [("failed", 4), ("failed", 5)]


class Hashable:
    """As much of a job as is asked for when it ends."""

    def __init__(self, jobid, *output):
        self.jobid, self.output = jobid, output
