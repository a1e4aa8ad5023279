"""Where a run comes from: the program's own checksum and commit, and the commands that repeat a run."""

import subprocess
from pathlib import Path

import pytest
from ichflow import provenance
from ichflow.provenance import Code

TRAINING = {"backend": "tensorflow", "versions": {"keras": "0.0.1", "jax": "9"}}


@pytest.fixture
def program(tmp_path: Path) -> Path:
    root = tmp_path / "clone"
    (root / "scripts" / "__pycache__").mkdir(parents=True)
    (root / "Snakefile").write_text("rule all:\n")
    (root / "scripts" / "a.py").write_text("a = 1\n")
    return root


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    ran = subprocess.run(["git", "-C", root, *identity, *arguments], capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def test_the_checksum_is_that_of_names_and_contents_and_of_nothing_else(program: Path) -> None:
    first = provenance.code(program)
    (program / "scripts" / "__pycache__" / "a.pyc").write_bytes(b"x")
    (program / "results").mkdir()
    (program / "results" / "report.html").write_text("x")
    assert provenance.code(program) == first
    (program / "scripts" / "a.py").rename(program / "scripts" / "b.py")
    renamed = provenance.code(program)
    (program / "scripts" / "b.py").write_text("a = 2\n")
    assert len({first.sha256, renamed.sha256, provenance.code(program).sha256}) == 3


def test_the_commit_is_told_with_changes(program: Path) -> None:
    assert provenance.code(program).commit == ""
    git(program, "init", "--quiet")
    git(program, "add", "Snakefile", "scripts/a.py")
    git(program, "commit", "--quiet", "-m", "first")
    commit = git(program, "rev-parse", "HEAD")
    assert provenance.code(program).commit == commit
    (program / "Snakefile").write_text("rule none:\n")
    assert provenance.code(program).commit == f"{commit} and changes"


def test_a_copy_inside_of_another_repository_has_no_commit(program: Path) -> None:
    git(program.parent, "init", "--quiet")
    git(program.parent, "add", "clone/Snakefile")
    git(program.parent, "commit", "--quiet", "-m", "first")
    assert provenance.code(program).commit == ""


def test_versions_are_those_of_the_trainings_where_they_say_so() -> None:
    found = provenance.versions([TRAINING])
    assert found["keras"] == "0.0.1"
    assert found["jax"] == "9"
    assert found["numpy"].count(".") == 2
    assert "jax" not in provenance.versions([])  # installed for tests, but nothing was computed with it


def test_one_checksum_of_all_scans_does_not_depend_on_their_order() -> None:
    scans = [("049", "a" * 64), ("050", "b" * 64)]
    assert provenance.dataset_sha256(scans) == provenance.dataset_sha256(scans[::-1])
    assert provenance.dataset_sha256(scans) != provenance.dataset_sha256([("049", "b" * 64), ("050", "a" * 64)])


def test_commands_repeat_the_run() -> None:
    commands = provenance.commands("results/x/config.yaml", [TRAINING], Code("abc and changes", "d"))
    assert commands[0] == "git checkout abc"
    assert commands[-1] == "snakemake --cores 8 --configfile results/x/config.yaml"
    jax = provenance.commands("c.yaml", [TRAINING | {"backend": "jax"}], Code("", "d"))
    assert jax[-1] == "KERAS_BACKEND=jax snakemake --cores 8 --configfile c.yaml"
    assert jax[0].endswith('pip install -r requirements.txt "jax==9"')
    assert not any("git" in command for command in jax)
