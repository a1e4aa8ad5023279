"""Snakemake's SLURM executor, with short jobs that share a SLURM job.

A job whose resource ``batch`` is n above 1 waits a moment for others that ask for the same cores, partition and the
like, and up to n of them become one SLURM job. In it, one Snakemake runs them one after another and goes on after one
that fails. Each remains a job of its own to the Snakemake that submitted it: what was made is kept, and only what was
not is tried again. Jobs without ``batch`` are submitted as the SLURM executor does it.

The executor is that of snakemake-executor-plugin-slurm 2.8.0; what is overridden here are the calls that the interface
of executors has for it (``run_jobs``, ``report_job_…``, ``format_job_exec``).
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from math import ceil
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_slurm import Executor as SlurmExecutor
from snakemake_executor_plugin_slurm import ExecutorSettings as SlurmSettings
from snakemake_executor_plugin_slurm import common_settings
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

__all__ = ["Batch", "Executor", "ExecutorSettings", "batches", "common_settings"]

Job = Any  # a job of Snakemake; the interface's class knows less of it than the SLURM executor reads

# Jobs that become ready together reach the executor in several calls
_WAIT_S = 2.0
# What jobs of a batch may ask for differently: time adds up, of the others the batch asks for the most that one needs
_ADDED, _MOST = ("runtime",), ("mem_mb", "mem_mib", "disk_mb", "disk_mib")


class ExecutorSettings(SlurmSettings):
    """The settings of the SLURM executor."""


class _Resources(dict[str, Any]):
    """Resources by name, as attributes too, as the SLURM executor reads them."""

    __getattr__ = dict.get


class Batch:
    """Jobs that share a SLURM job, which asks for as much as the most demanding of them, and for the time of all.

    In everything else it looks like the first of them.
    """

    output = ()  # Snakemake looks here for temporary files that the job may delete; the main process deletes them

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = tuple(jobs)
        first = jobs[0]
        resources = _Resources(first.resources.items())
        for key in _ADDED:
            if key in resources:
                resources[key] = sum(job.resources[key] for job in jobs)
        for key in _MOST:
            if key in resources:
                resources[key] = max(job.resources[key] for job in jobs)
        self.resources = resources
        self.rules = sorted({job.rule.name for job in jobs})
        self.name = "+".join(self.rules)[:100]  # SLURM's comment, and a folder of logs
        self.jobid = ", ".join(str(job.jobid) for job in jobs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.jobs[0], name)

    def get_target_spec(self) -> list[Any]:
        """Return what the Snakemake in the SLURM job is to make: the targets of all jobs."""
        return [target for job in self.jobs for target in job.get_target_spec()]

    def get_wait_for_files(self) -> list[Any]:
        """Return the files that must be there before: those of all jobs, each once."""
        return list(dict.fromkeys(file for job in self.jobs for file in job.get_wait_for_files()))


def batches(jobs: Iterable[Job]) -> Iterator[list[Job]]:
    """Divide jobs into those that share a SLURM job: of the same attempt, asking for the same, ``batch`` at most."""
    alike: dict[tuple[Any, ...], list[Job]] = {}
    for job in jobs:
        asked = sorted((key, value) for key, value in job.resources.items() if key not in (*_ADDED, *_MOST))
        alike.setdefault((job.threads, job.attempt, *asked), []).append(job)
    for same in alike.values():
        number = ceil(len(same) / same[0].resources["batch"])
        yield from (same[first::number] for first in range(number))  # of about the same size


class Executor(SlurmExecutor):
    """Submits jobs to SLURM, short ones by the batch."""

    def __post_init__(self, test_mode: bool = False) -> None:
        super().__post_init__(test_mode)
        self._pending: list[Job] = []
        self._pending_lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._before: dict[Job, list[tuple[int, int] | None]] = {}

    def run_jobs(self, jobs: list[Job]) -> None:
        """Submit jobs; those that share a SLURM job a moment later, when all that are ready have come."""
        short = [job for job in jobs if not job.is_group() and (job.resources.get("batch") or 1) > 1]
        super().run_jobs([job for job in jobs if job not in short])
        if not short:
            return
        for job in short:
            self.run_job_pre(job)
        with self._pending_lock:
            self._pending += short
            if self._timer:
                self._timer.cancel()
            self._timer = threading.Timer(_WAIT_S, self._submit_pending)
            self._timer.start()

    def _submit_pending(self) -> None:
        with self._pending_lock:
            ready, self._pending = self._pending, []
            for members in batches(ready):
                self._before |= {job: _stamps(job) for job in members}
                together: Job = Batch(members)
                self._job_submission_executor.submit(self.run_job, together)

    def cancel(self) -> None:
        """End what was submitted, and submit nothing more."""
        with self._pending_lock:
            self._pending = []
            if self._timer:
                self._timer.cancel()
        super().cancel()

    def format_job_exec(self, job: Job) -> str:
        """Return the command of a SLURM job: for a batch, Snakemake itself in place of one that starts another."""
        command = super().format_job_exec(job)
        if not isinstance(job, Batch):
            return command
        assert self.additional_general_args() in command
        return command.replace(self.additional_general_args(), f"--keep-going --cores {job.threads}")

    def report_job_submission(self, job_info: SubmittedJobInfo, register_job: bool = True) -> None:
        """Remember each job of a batch under the number of its SLURM job."""
        for single in _singles(job_info):
            super().report_job_submission(single, register_job=register_job)

    def report_job_success(self, job_info: SubmittedJobInfo) -> None:
        """Take a job as done."""
        self._before.pop(job_info.job, None)
        super().report_job_success(job_info)

    def report_job_error(self, job_info: SubmittedJobInfo, msg: str | None = None, **kwargs: Any) -> None:
        """Take a job as failed, unless it was done before the batch it belongs to failed or was ended."""
        for single in _singles(job_info):
            before = self._before.pop(single.job, None)
            if before and _made(before, _stamps(single.job)):
                super().report_job_success(single)
            else:
                super().report_job_error(single, msg=msg, **kwargs)


def _singles(job_info: SubmittedJobInfo) -> list[SubmittedJobInfo]:
    """Return a batch's jobs, each with the number of the batch; of any other job itself."""
    if not isinstance(job_info.job, Batch):
        return [job_info]
    return [SubmittedJobInfo(job, job_info.external_jobid, job_info.aux) for job in job_info.job.jobs]


def _stamps(job: Job) -> list[tuple[int, int] | None]:
    """Return file number and time of each output; None for one that is not there."""
    found: list[tuple[int, int] | None] = []
    for path in job.output:
        try:
            status = Path(path).stat()
            found.append((status.st_ino, status.st_mtime_ns))
        except OSError:
            found.append(None)
    return found


def _made(before: Sequence[tuple[int, int] | None], after: Sequence[tuple[int, int] | None]) -> bool:
    """Tell whether every output is there and another than before. Clocks of nodes may differ: none is read."""
    return all(new and new != old for old, new in zip(before, after, strict=True))
