"""A whole run on a cluster, and in the meantime a training that meets its time limit."""

import re

TRAINED = ("models/unet-small/fold-0/history.csv", "models/unet-small/fold-0/model.onnx")


def test_a_run_and_a_training_cut_off_by_its_time_limit_end_as_a_local_run_does(acquired, sliced, copy, same):
    whole, limited = copy(acquired, "whole"), copy(sliced, "limited")
    limited.site["gpu_job"]["runtime"] = "1 * attempt"
    training = limited.submit("export")
    limited.hold_training(training)  # one minute later it is ended
    printed = whole.finish(whole.submit("statistics"))

    jobs = whole.jobs()
    assert {job["state"] for job in jobs} == {"COMPLETED"}
    assert len(jobs) < 12
    trained = whole.jobs("train_fold")[0]
    assert "gres/gpu=1" in trained["reqtres"]
    assert "cpu=8" in trained["reqtres"]
    assert int(trained["timelimitraw"]) == 21  # a tiny recipe needs no more
    # Patients in a job ask for the cores and memory of one, and for the minutes of all
    shared = next(job for job in jobs if "slice_patient" in job["comment"])
    assert re.search(r"cpu=1,mem=2000M", shared["reqtres"])
    assert int(shared["timelimitraw"]) >= 4 * 2
    assert "Guessed" not in printed
    same(whole, "shards/*.parquet", "metrics.parquet", "statistics/tests.csv", "*/*/history.csv", "*.onnx")

    printed = limited.finish(training)
    assert "TIMEOUT" in printed
    assert [job["state"] for job in limited.jobs("train_fold")] == ["TIMEOUT", "COMPLETED"]
    log = limited.path("logs/phantom/train_fold/unet-small-fold-0.log").read_text()
    assert "going on after epoch" in log
    same(limited, *TRAINED)
