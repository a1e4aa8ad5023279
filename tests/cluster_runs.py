"""Runs on a SLURM cluster."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
import yte
from runs import TINY, Run
from support import ROOT

CLUSTER = ROOT / "tests/slurm/cluster"
PROGRAMS = ("slurmctld", "slurmdbd", "mariadbd", "munged")
SITE = {
    "every_job": {"slurm_partition": "cpu", "slurm_account": "first"},
    "gpu_job": {"slurm_partition": "gpu", "gpu": 1, "gpu_model": "declared"},
    # A test cannot wait as sparingly as a run of hours
    "options": {
        "slurm-batch-init-seconds-before-status-checks": 3,
        "max-status-checks-per-second": 1,
        "latency-wait": 20,
    },
}
FOUR = TINY | {
    "phantom": TINY["phantom"] | {"patients": 4, "hemorrhage_share": 0.75},
    "recipes": {"unet-small": TINY["recipes"]["unet-small"] | {"epochs": 12}},
}


def command(*arguments):
    """Run one of SLURM's commands and return what it printed."""
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout


def wait_until(condition, what, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.05)


@dataclass
class ClusterRun(Run):
    """A folder in which Snakemake submits jobs."""

    site: dict = field(default_factory=lambda: {part: dict(keys) for part, keys in SITE.items()})

    def submit(self, *arguments, rules=None):
        """Start ``snakemake --profile slurm`` and return its process.

        ``rules`` lays resources of single rules over those of the profile.
        """
        site = self.path("site.yaml")
        site.write_text(yaml.safe_dump(self.site))
        profile = ROOT / "slurm"
        if rules:
            with (profile / "profile.yaml").open() as file, pytest.MonkeyPatch.context() as patch:
                patch.setenv("ICHFLOW_SITE", str(site))
                resolved = yte.process_yaml(file, require_use_yte=True)
            for rule, keys in rules.items():
                resolved["set-resources"].setdefault(rule, {}).update(keys)
            profile = self.path("changed")
            profile.mkdir(exist_ok=True)
            (profile / "profile.yaml").write_text(yaml.safe_dump(resolved))
        line = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), *arguments]
        line += ["--configfile", str(self.path("tiny.yaml")), "--profile", str(profile)]
        environment = os.environ | {"ICHFLOW_SITE": str(site), "XDG_CACHE_HOME": str(self.path(".cache"))}
        with self.path("printed").open("w") as printed:
            return subprocess.Popen(line, cwd=self.folder, env=environment, stdout=printed, stderr=subprocess.STDOUT)

    def finish(self, process, code=0):
        """Wait for Snakemake and return what it printed."""
        try:
            found = process.wait(600)
        except subprocess.TimeoutExpired:
            process.kill()
            found = "none, it hung"
        printed = self.path("printed").read_text()
        assert found == code, f"exit status {found}\n{printed}"
        return printed

    def jobs(self, rule=""):
        """Return what accounting says of the jobs of this folder, in the order of their start, requeues included."""
        columns = ["jobid", "state", "comment", "reqtres", "start", "end", "workdir", "timelimitraw"]
        lines = command("sacct", "-XDPn", "--starttime=now-1day", f"--format={','.join(columns)}").splitlines()
        rows = [dict(zip(columns, line.split("|"), strict=True)) for line in lines]
        return [row for row in rows if row["workdir"] == str(self.folder) and rule in row["comment"]]

    def running(self, rule):
        """Return the numbers of this folder's jobs of a rule that are queued or running: accounting knows it later."""
        lines = command("squeue", "--noheader", "--format=%i|%k|%Z").splitlines()
        rows = [line.split("|") for line in lines]
        return [number for number, comment, folder in rows if folder == str(self.folder) and rule in comment]

    def hold_training(self, process):
        """Stop the training after an epoch, whatever the speed of this machine; return its process number."""
        # What begins with a dot is not written to its end yet
        wait_until(lambda: any(self.result("resume").glob("[!.]*.npz")) or process.poll() is not None, "an epoch")
        pid = next(pid for pid in self._processes() if b"train_fold.py" in Path(f"/proc/{pid}/cmdline").read_bytes())
        os.kill(pid, signal.SIGSTOP)
        assert not self.result("models/unet-small/fold-0/history.csv").exists(), "it ended before it could be stopped"
        return pid

    def _processes(self):
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if (folder / "cwd").readlink() == self.folder:
                    yield int(folder.name)
            except OSError:  # it has ended meanwhile
                continue


def prepared(folder, *targets):
    run = Run(folder)
    run.configure(**FOUR)
    run.snakemake(*targets, "--cores", "8")
    return run
