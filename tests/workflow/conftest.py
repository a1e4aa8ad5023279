"""Run Snakemake as a user does, on a tiny phantom."""

import shutil

import pytest
from runs import TINY, Run


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Make a complete run, which tests must leave as it is."""
    run = Run(tmp_path_factory.mktemp("finished"))
    run.configure(**TINY)
    run.printed = run.snakemake("--show-failed-logs")
    return run


@pytest.fixture
def copies(finished, tmp_path):
    """Copy a complete run as often as it is asked for, to break it."""

    def copy(name):
        shutil.copytree(finished.folder, tmp_path / name, symlinks=True)
        return Run(tmp_path / name)

    return copy


@pytest.fixture
def copied(copies):
    return copies("run")


@pytest.fixture
def fresh(tmp_path):
    run = Run(tmp_path)
    run.configure(**TINY)
    return run
