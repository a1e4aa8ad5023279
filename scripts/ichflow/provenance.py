"""Where a run comes from: versions of the packages and of the program, checksums, and the command that repeats it."""

import hashlib
import json
import platform
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ichflow.files import sha256

PACKAGES = (
    "snakemake",
    "tensorflow",
    "keras",
    "onnx",
    "openvino",
    "albumentations",
    "nibabel",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "pingouin",
    "statsmodels",
    "scikit-learn",
    "surface-distance",
    "matplotlib",
)
"""Packages whose version may change a result."""

PROGRAM = ("Snakefile", "workflow", "scripts", "requirements.txt")
"""What of the repository decides the results, besides the config."""


@dataclass(frozen=True)
class Code:
    """The program that made a run.

    Attributes
    ----------
    commit
        Of its git repository, with "and changes" if files differ from it; empty where there is none.
    sha256
        Of its files: names and contents.
    """

    commit: str
    sha256: str


def versions(trainings: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the versions of Python and of the packages here, and of those that the trainings report.

    A stage may run in an environment of its own, so a training's own report goes before what is installed here.
    """
    found = {"Python": platform.python_version()} | {name: _version(name) for name in PACKAGES}
    for training in trainings:
        found |= training["versions"]
    return {name: number for name, number in found.items() if number}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def code(root: str | Path) -> Code:
    """Identify the program.

    Parameters
    ----------
    root
        The folder of the Snakefile.
    """
    root = Path(root).resolve()
    return Code(_commit(root), _digest(root))


def _digest(root: Path) -> str:
    files = [path for name in PROGRAM for path in _files(root / name)]
    total = hashlib.sha256()
    for path in files:
        total.update(f"{path.relative_to(root).as_posix()} {sha256(path)}\n".encode())
    return total.hexdigest()


def _files(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place] if place.is_file() else []
    found = (path for path in place.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sorted(found, key=lambda path: path.as_posix())


def _commit(root: Path) -> str:
    # A clone inside of another repository has no commit of its own
    if not shutil.which("git") or not (root / ".git").exists():
        return ""
    commit = _git(root, "rev-parse", "HEAD")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", *PROGRAM)
    return f"{commit} and changes" if commit and changed else commit


def _git(root: Path, *arguments: str) -> str:
    ran = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    return ran.stdout.strip() if ran.returncode == 0 else ""


def dataset_sha256(scans: Iterable[tuple[str, str]]) -> str:
    """Return one checksum of all scans: of lines of patient and SHA-256, sorted by patient."""
    lines = [f"{patient} {checksum}\n" for patient, checksum in sorted(scans)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def config_sha256(config: Mapping[str, Any]) -> str:
    """Return the checksum of a config as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def commands(config_file: str, trainings: Sequence[Mapping[str, Any]], code: Code) -> list[str]:
    """Return the commands that make the same run again, from a clone of the repository.

    Parameters
    ----------
    config_file
        Where the complete config of the run is.
    trainings
        What the trainings report.
    code
        The program.
    """
    backends = sorted({training["backend"] for training in trainings} - {"tensorflow"})
    backend = f"KERAS_BACKEND={backends[0]} " if len(backends) == 1 else ""
    used = {name: version for training in trainings for name, version in training["versions"].items()}
    extra = f' "jax=={used["jax"]}"' if backends == ["jax"] else ""
    commit = code.commit.split(" ")[0]
    return [
        *([f"git checkout {commit}"] if commit else []),
        "python3 -m venv .venv && . .venv/bin/activate && pip install -r requirements.txt" + extra,
        f"{backend}snakemake --cores 8 --configfile {config_file}",
    ]
