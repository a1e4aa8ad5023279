"""Files appear whole or not at all; logs hold everything and end in the error."""

import os
import subprocess
import sys

import pytest
from ichflow import errors, files
from support import ROOT


def test_a_file_appears_whole(tmp_path):
    with files.whole(tmp_path / "new" / "a.txt") as temporary:
        temporary.write_text("whole")
        assert not (tmp_path / "new" / "a.txt").exists()
    assert (tmp_path / "new" / "a.txt").read_text() == "whole"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.txt"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(RuntimeError), files.whole(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert (tmp_path / "a.txt").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def script_logged(tmp_path, body):
    script = f"import sys; sys.path.append({str(ROOT / 'scripts')!r})\nfrom ichflow.job import logged\n"
    return script + f"with logged({str(tmp_path / 'rule.log')!r}):\n" + "".join(f"    {line}\n" for line in body)


def run_logged(tmp_path, body):
    command = [sys.executable, "-c", script_logged(tmp_path, body)]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_a_mistake_is_told_without_a_traceback(tmp_path):
    ran = run_logged(
        tmp_path, ["from ichflow.errors import IchflowError", "print('out')", "raise IchflowError('049.nii: no scan')"]
    )
    assert ran.returncode == 1
    assert ran.stderr == "error: 049.nii: no scan\n"
    log = (tmp_path / "rule.log").read_text()
    assert "out" in log
    assert log.endswith("error: 049.nii: no scan\n")
    assert "Traceback" not in log


def test_any_other_error_leaves_its_traceback_in_the_log(tmp_path):
    ran = run_logged(tmp_path, ["1 / 0"])
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    assert "rule.log" in ran.stderr
    log = (tmp_path / "rule.log").read_text()
    assert "Traceback" in log
    assert log.splitlines()[-1].startswith("error: ZeroDivisionError")


def test_output_of_compiled_code_is_in_the_log(tmp_path):
    run_logged(tmp_path, ["import os", "os.system('echo from the shell')"])
    assert "from the shell" in (tmp_path / "rule.log").read_text()


def test_a_log_that_another_job_still_writes_into_is_readable(tmp_path):
    """As that of a training whose Snakemake was killed, beside the next one."""
    second = script_logged(tmp_path, ["print('second')"])
    again = f"subprocess.run([sys.executable, '-c', {second!r}])"
    run_logged(tmp_path, ["import subprocess", "print('before' * 1000)", again, "print('after')"])
    assert (tmp_path / "rule.log").read_text() == "second\nafter\n"


def test_an_error_is_told_of_what_it_is_about():
    with (
        pytest.raises(errors.IchflowError, match=r"^unet-small, fold 1: no slice$"),
        errors.told_of("unet-small, fold 1"),
    ):
        raise errors.IchflowError("no slice")
