"""Paths that tests share."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

# At the end, as Snakemake does for scripts: some rules have names of standard modules
sys.path.append(str(ROOT / "scripts"))
