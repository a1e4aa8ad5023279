"""Snakemake as a user runs it, on a tiny phantom."""

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import yaml
from support import ROOT

TINY = {
    "phantom": {"patients": 12, "size": 64, "seed": 1},
    "slice": {"size": 32},
    "split": {"test_share": 0.34, "validation_share": 0.3},
    # After two epochs the study's head still gives 0.49 at most: from 0.44 on, some pixels are marked and most are not
    "recipes": {"unet-small": {"size": 32, "filters": 2, "levels": 2, "epochs": 2, "head": "relu2", "threshold": 0.44}},
    "statistics": {"sample": 3, "resamples": 200},
}


@dataclass
class Run:
    """A folder to run in, with a config file of its own."""

    folder: Path

    def configure(self, **parts):
        """Lay keys over the tiny config of this folder."""
        path = self.folder / "tiny.yaml"
        config = yaml.safe_load(path.read_text()) if path.exists() else {}
        for part, keys in parts.items():
            config[part] = config.get(part, {}) | keys if isinstance(keys, dict) else keys
        path.write_text(yaml.safe_dump(config))

    def snakemake(self, *arguments, check=True):
        """Run ``snakemake --cores 2`` on the repository's workflow and return what it printed."""
        command, where = self._command(arguments)
        ran = subprocess.run(command, capture_output=True, text=True, check=False, **where)
        printed = ran.stdout + ran.stderr
        if check:
            assert ran.returncode == 0, printed
        else:
            assert ran.returncode != 0, printed
        return printed

    def _command(self, arguments):
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory"]
        command += [str(self.folder), "--configfile", str(self.folder / "tiny.yaml"), "--cores", "2", *arguments]
        environment = os.environ | {"XDG_CACHE_HOME": str(self.folder / ".cache")}
        return command, {"env": environment, "cwd": self.folder}

    def orphaned(self, *arguments, once):
        """Start Snakemake on a training, kill it alone once the state is there, and return the training's process."""
        command, where = self._command(arguments)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, **quiet, **where) as running:
            while not once.exists():
                assert running.poll() is None, "it ended before it could be killed"
                time.sleep(0.01)
            running.kill()
        return int(once.with_suffix(".lock").read_text().split()[1])

    def planned(self, *arguments):
        """Return how many jobs of each rule a dry run plans."""
        printed = self.snakemake(*arguments, "--dry-run", "--quiet", "rules")
        return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", printed, flags=re.MULTILINE)}

    def path(self, *parts):
        return self.folder.joinpath(*parts)

    def result(self, *parts):
        return self.folder.joinpath("results", "phantom", *parts)
