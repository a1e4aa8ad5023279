"""Paths that tests import from, and which tests share a process."""

import os
import sys
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

TESTS = Path(__file__).parent

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as for jobs, on whatever processor

# At the end, as Snakemake does for scripts: some rules have names of standard modules
sys.path += [str(TESTS), str(TESTS.parent / "scripts")]


class SharedFixtures(LoadScopeScheduling):
    """Keep tests that share a run, a cluster or a module's fixtures in one process."""

    def _split_scope(self, nodeid):
        file = nodeid.split("::")[0]
        return file if "/unit/" in file else file.rpartition("/")[0]


def pytest_xdist_make_scheduler(config, log):
    return SharedFixtures(config, log)
