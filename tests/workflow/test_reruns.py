"""What runs again after a change, and what does not."""

import json
import os
import re
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import pytest
from ichflow import shards, tables
from ichflow.inference import Predictor
from runs import TINY
from support import QUICK_XLA, ROOT

PATIENTS = [f"{number:03d}" for number in [*range(49, 59), 66, 67]]
SMALL = TINY["recipes"]["unet-small"]


def test_a_second_run_has_nothing_to_do(finished):
    assert "Nothing to be done" in finished.snakemake()


def test_another_clone_computes_nothing_again(finished, tmp_path):
    """Each of its files is newer than every result."""
    clone = tmp_path / "clone"
    ignored = shutil.ignore_patterns(".*", "results", "resources", "logs", "benchmarks", "tests", "docs")
    shutil.copytree(ROOT, clone, ignore=ignored, copy_function=shutil.copyfile)
    asked = ["--snakefile", str(clone / "Snakefile"), "--rerun-triggers", "mtime", "params", "input", "software-env"]
    assert "Nothing to be done" in finished.snakemake("--dry-run", *asked)
    page = clone / "workflow/report/page.html.j2"
    page.write_text(page.read_text() + "<!-- changed -->")
    planned = finished.planned(*asked)
    assert set(planned) == {"all", "inventory_page", "report", "total"}


def test_a_deleted_shard_is_made_again_alone_and_nothing_is_trained(copied):
    before = copied.result("shards/051.parquet").read_bytes()
    model = copied.result("models/unet-small/fold-0/model.keras").read_bytes()
    for kind in ("parquet", "sha256"):
        copied.result(f"shards/051.{kind}").unlink()
    printed = copied.snakemake("slice")
    assert re.findall(r"(\w+) patient (\d+)", printed) == [("Slice", "051")]
    assert copied.result("shards/051.parquet").read_bytes() == before
    assert "Nothing to be done" in copied.snakemake()
    assert copied.result("models/unet-small/fold-0/model.keras").read_bytes() == model


def test_a_shard_deleted_alone_is_made_again_by_its_stage(copied):
    copied.result("shards/051.parquet").unlink()
    assert copied.planned("slice")["slice_patient"] == 1


@pytest.mark.parametrize("changed", [{"seed": 2}, {"test_share": 0.3, "validation_share": 0.34}])
def test_a_key_that_becomes_what_another_one_is_splits_again(copied, changed):
    """Snakemake compares a rule's parameters without their names: those of the split are 2, 1, 0.34, 0.3 and 1."""
    copied.configure(split=changed)
    assert copied.planned("split")["split"] == 1


def test_rules_with_several_keys_name_them():
    text = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    several = [block for block in text.split("\nrule ")[1:] if block.count("lookup(within=config") > 1]
    assert len(several) > 5
    for block in several:
        assert "**named(" in block, block.split(":")[0]


def test_a_training_key_does_not_slice_again(copied):
    copied.configure(recipes={"unet-small": SMALL | {"epochs": 3}})
    planned = copied.planned()
    assert planned["train_fold"] == 1
    assert planned["predict_patient"] == 12
    assert not {"phantom_patient", "verify_patient", "slice_patient", "split"} & set(planned)


def test_a_window_of_a_recipe_trains_that_recipe_only(copied):
    other = {"size": 32, "filters": 1, "levels": 1, "epochs": 1}
    copied.configure(models=["unet-small", "other"], recipes={"unet-small": SMALL, "other": other})
    assert copied.planned("train")["train_fold"] == 1
    copied.snakemake("export")
    copied.configure(recipes={"unet-small": SMALL, "other": other | {"windows": ["bone"]}})
    printed = copied.snakemake("--dry-run", "export")
    assert re.findall(r"Train ([\w-]+), fold", printed) == ["other"]


def test_more_patients_leave_those_that_are_there(copied):
    copied.configure(phantom={"patients": 14})
    planned = copied.planned("slice")
    assert planned["phantom_patient"] == 2


def test_a_key_of_evaluation_neither_trains_nor_draws_the_rules_again(copied):
    copied.configure(evaluate={"threshold_hu": [55, 90]})
    planned = copied.planned()
    assert planned["evaluate_patient"] == 12
    assert not {"train_fold", "predict_patient", "figure_rules"} & set(planned)


LONGER = {"unet-small": {"size": 32, "filters": 2, "levels": 2, "epochs": 6, "stop_after": 6}}
HISTORY = "models/unet-small/fold-0/history.csv"
STATE = "resume/unet-small-fold-0.npz"
TRAINING_LOG = "logs/phantom/train_fold/unet-small-fold-0.log"


def test_a_killed_training_goes_on_and_ends_as_if_it_had_not_been(copies):
    alone, killed = copies("alone"), copies("killed")
    for run in (alone, killed):
        run.configure(recipes=LONGER)
    in_the_way = alone.path("logs/phantom/export_fold/unet-small-fold-0.log")
    in_the_way.unlink()
    (in_the_way / "x").mkdir(parents=True)
    assert "Error in rule export_fold" in alone.snakemake("export", check=False)
    assert not list(alone.result("resume").iterdir())  # to train by force would go on from there
    expected = alone.result(HISTORY).read_bytes()
    log, history = killed.path(TRAINING_LOG), killed.result(HISTORY)
    kill_snakemake_then_the_training(killed)
    assert "going on after epoch" in log.read_text()
    assert "epoch 1/6" not in log.read_text()
    assert history.read_bytes() == expected
    # What Snakemake removes if it is killed after the last epoch, before it has taken note of the outputs
    for path in history.parent.iterdir():
        path.unlink()
    killed.snakemake("export")
    assert "going on after epoch 6" in log.read_text()
    assert history.read_bytes() == expected
    assert not list(killed.result("resume").iterdir())


def test_the_state_of_a_training_whose_snakemake_was_killed_stays_until_that_training_is_noted(copied):
    """It ends by itself, but Snakemake deletes what it made before it trains again."""
    copied.configure(recipes=LONGER)
    state, history = copied.result(STATE), copied.result(HISTORY)
    written_last = history.with_name("provenance.json")
    before = written_last.read_bytes()
    copied.orphaned("train", once=state)
    end = time.monotonic() + 300
    while not written_last.exists() or written_last.read_bytes() == before:
        assert time.monotonic() < end
        time.sleep(0.1)
    expected = history.read_bytes()
    copied.snakemake("--unlock")
    copied.snakemake("results/phantom/verified/049.json", "--forcerun", "verify_patient")
    assert state.exists()
    copied.snakemake("train", "--rerun-incomplete")
    assert "going on after epoch 6" in copied.path(TRAINING_LOG).read_text()
    assert history.read_bytes() == expected
    assert not state.exists()


def kill_snakemake_then_the_training(run):
    """Have the next training wait as long as that one lives, which is stopped, so that it cannot end by itself."""
    training = run.orphaned("train", once=run.result(STATE))
    os.kill(training, signal.SIGSTOP)
    assert not run.result("models/unet-small/fold-0/model.keras").exists()
    log = run.path(TRAINING_LOG)
    with ThreadPoolExecutor(1) as pool:
        try:
            run.snakemake("--unlock")
            # Without its hooks Snakemake removes no state: it might have been killed before
            again = pool.submit(run.snakemake, "train", "--rerun-incomplete", "--no-hooks")
            end = time.monotonic() + 300
            while not log.exists() or "another training" not in log.read_text():
                assert not again.done(), again.result()
                assert time.monotonic() < end, "it waits without a word, or does not begin"
                time.sleep(0.1)
        finally:
            os.kill(training, signal.SIGKILL)
    assert f"another training (process {training} on " in again.result()


def test_one_failing_rule_is_run_again_alone(copied):
    copied.result("statistics/tests.csv").unlink()
    planned = copied.planned("statistics")
    assert planned == {"statistics": 1, "total": 1}


def test_every_stage_has_a_target(finished):
    stages = "acquire verify slice split train export predict evaluate statistics report"
    assert "Nothing to be done" in finished.snakemake(*stages.split())


def test_cross_validation_predicts_everyone_by_the_model_that_did_not_see_them(copied):
    copied.configure(split={"folds": 2, "validation_share": 0.3})
    copied.snakemake("predict")
    folds = {patient: [] for patient in PATIENTS}
    for fold in (0, 1):
        facts = json.loads(copied.result(f"models/unet-small/fold-{fold}/provenance.json").read_text())
        parts = facts["patients"]
        assert sorted(chain.from_iterable(parts.values())) == PATIENTS
        for patient in parts["test"]:
            folds[patient].append(fold)
    assert {len(of_patient) for of_patient in folds.values()} == {1}
    models = [Predictor(copied.result(f"models/unet-small/fold-{fold}/model.onnx"), 1) for fold in (0, 1)]
    for patient, (fold,) in folds.items():
        rows = tables.read(copied.result(f"predictions/unet-small/{patient}.parquet"))
        assert {row["fold"] for row in rows} == {fold}
        hu = shards.read(copied.result(f"shards/{patient}.parquet")).hu
        unseen, other = (models[number].probabilities(hu).max(axis=(1, 2)) for number in (fold, 1 - fold))
        assert [row["score"] for row in rows] == pytest.approx(unseen, abs=1e-5)
        assert [row["score"] for row in rows] != pytest.approx(other, abs=1e-5)


def test_jax_trains_in_the_workflow_as_well(copied, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("XLA_FLAGS", QUICK_XLA)
    copied.snakemake("export", "--forcerun", "train_fold")
    facts = json.loads(copied.result("models/unet-small/fold-0/provenance.json").read_text())
    assert facts["backend"] == "jax"
    assert "jax" in facts["versions"]


def test_watching_a_training_is_no_reason_to_train_again(copied):
    copied.configure(train={"tensorboard": True})
    assert "train_fold" not in copied.planned()
    events = copied.path("logs/phantom/tensorboard/unet-small-fold-0")
    earlier = events / "train" / "events.earlier"
    earlier.parent.mkdir(parents=True)
    earlier.touch()  # of another training, whose curves would be drawn with these as one
    printed = copied.snakemake("train", "--forcerun", "train_fold")
    assert "unet-small, fold 0: epoch 2/2: loss" in printed
    assert not earlier.exists()
    assert len(list(events.glob("train/events*"))) == 1


def test_jobs_are_chosen_as_jobs_end_unless_a_limit_is_asked_for(copied):
    """Not every second: the cores are the jobs' own."""
    some = [f"results/phantom/verified/{patient}.json" for patient in ("049", "050", "051")]
    again = [*some, "--forcerun", "verify_patient", "--cores", "1", "--verbose"]
    chosen, in_vain = "Resources before job selection", "Resources before job selection: {'_cores': 0"
    printed = copied.snakemake(*again)
    assert chosen in printed
    assert in_vain not in printed
    assert in_vain in copied.snakemake(*again, "--max-jobs-per-timespan", "99/1s")
