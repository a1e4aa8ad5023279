"""Paths that tests import from, and which tests share a process."""

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

# At the end, as Snakemake does for scripts: some rules have names of standard modules
sys.path += [str(TESTS), str(TESTS.parent / "scripts")]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Keep tests that share a run, a cluster or a module's fixtures in one process."""
    for item in items:
        folder = item.path.parent.name
        item.add_marker(pytest.mark.xdist_group(item.path.stem if folder == "unit" else folder))
