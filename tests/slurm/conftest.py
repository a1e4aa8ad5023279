"""A SLURM cluster on this machine, and what the tests on it start from."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cluster_runs import CLUSTER, PROGRAMS, ClusterRun, prepared


@pytest.fixture(scope="session")
def cluster():
    """Bring a cluster up for the session; return its script."""
    if os.geteuid():
        pytest.skip("a SLURM cluster needs root")
    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        pytest.skip(f"a SLURM cluster needs {', '.join(missing)} (Debian's slurm-wlm, slurmdbd, mariadb-server, munge)")
    if Path("/etc/slurm/slurm.conf").exists():
        pytest.skip("this machine belongs to a SLURM cluster already")
    subprocess.run([CLUSTER, "up"], check=True)
    yield lambda *words: subprocess.run([CLUSTER, *words], check=True)
    subprocess.run([CLUSTER, "down"], check=True)


@pytest.fixture(scope="session")
def reference(cluster, tmp_path_factory):
    """Make an undisturbed local run of four patients."""
    return prepared(tmp_path_factory.mktemp("reference"), "statistics")


@pytest.fixture(scope="session")
def acquired(cluster, tmp_path_factory):
    """Make the scans of four patients."""
    return prepared(tmp_path_factory.mktemp("acquired"), "acquire")


@pytest.fixture(scope="session")
def sliced(cluster, tmp_path_factory):
    """Make all that training needs."""
    return prepared(tmp_path_factory.mktemp("sliced"), "split", "slice")


@pytest.fixture
def copy(tmp_path):
    """Copy a run, to go on with it on the cluster."""

    def make(run, name="run"):
        shutil.copytree(run.folder, tmp_path / name, symlinks=True)
        return ClusterRun(tmp_path / name)

    return make


@pytest.fixture
def same(reference):
    """Assert that all results of a run are, byte for byte, those of the undisturbed one."""

    def check(run, *expected):
        made = {path.relative_to(run.result()) for path in run.result().rglob("*") if path.is_file()}
        for kind in expected:
            assert any(path.match(kind) for path in made), kind
        for path in sorted(made):
            if path.suffix in (".parquet", ".csv", ".sha256", ".onnx", ".gz"):
                assert run.result(path).read_bytes() == reference.result(path).read_bytes(), path

    return check
