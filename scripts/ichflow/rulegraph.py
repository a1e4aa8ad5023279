"""The graph of the rules, as Snakemake itself sees it."""

import json
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from ichflow.errors import IchflowError


def edges(snakefile: str | Path, config: str) -> list[tuple[str, str]]:
    """Ask Snakemake for the graph of its rules in the current directory.

    Parameters
    ----------
    snakefile
        The workflow.
    config
        Its config as JSON.

    Returns
    -------
    list of (str, str)
        A rule and a rule that uses what it makes.

    Raises
    ------
    IchflowError
        Snakemake does not answer.
    """
    with TemporaryDirectory() as folder:
        configfile = Path(folder) / "config.json"
        configfile.write_text(json.dumps(json.loads(config)), encoding="utf-8")
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--configfile", str(configfile)]
        ran = subprocess.run([*command, "--rulegraph", "dot", "--quiet"], capture_output=True, text=True, check=False)
    if ran.returncode:
        raise IchflowError(f"{snakefile}: Snakemake could not draw the graph of its rules:\n{ran.stderr.strip()}")
    return parse(ran.stdout)


def parse(dot: str) -> list[tuple[str, str]]:
    """Read the edges of a graph in the DOT language, by the labels of its nodes."""
    names = dict(re.findall(r"(\d+)\s*\[\s*label\s*=\s*\"([^\"\\]+)", dot))
    return sorted((names[start], names[end]) for start, end in re.findall(r"(\d+)\s*->\s*(\d+)", dot))
