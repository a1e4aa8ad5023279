"""Paths that tests import from."""

import sys
from pathlib import Path

TESTS = Path(__file__).parent

# At the end, as Snakemake does for scripts: some rules have names of standard modules
sys.path += [str(TESTS), str(TESTS.parent / "scripts")]
