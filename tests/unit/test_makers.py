"""Batches that are made in processes of their own."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from ichflow import shards, training
from ichflow.batches import Batches
from ichflow.clock import Clock
from ichflow.course import Course
from ichflow.errors import IchflowError
from ichflow.makers import Maker, MakerProcess
from ichflow.resume import ResumeFile
from ichflow.slices import SliceStore
from support import ROOT
from test_training import TINY, assert_equal_batches, blob_shard


@pytest.fixture
def store(tmp_path):
    paths = []
    for number in range(49, 55):
        paths.append(tmp_path / f"{number:03d}.parquet")
        shards.write(paths[-1], blob_shard(f"{number:03d}", number % 2))
    store = SliceStore(paths, TINY.size, tmp_path)
    yield store
    store.close()


def is_alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(processes):
    end = time.monotonic() + 60
    while any(map(is_alive, processes)):
        assert time.monotonic() < end, "still there"
        time.sleep(0.05)


def children():
    return {int(one) for one in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


def test_processes_make_the_same_batches_as_threads(store):
    before = children()
    threads, processes = (
        Batches(store, TINY, training=True, workers=2, processes=processes) for processes in (False, True)
    )
    own = children() - before
    assert len(own) == 2
    for epoch in range(2):
        threads.begin_at(epoch)
        processes.begin_at(epoch)
        assert len(threads) == 5
        for one, two in zip(threads.stream(), processes.stream(), strict=True):
            assert_equal_batches(one, two)
    processes.close()
    assert not children() & own


def test_a_batch_stays_as_it_is_when_the_next_one_is_made(store):
    """The process writes each into the same place."""
    process, here = MakerProcess(store, TINY), Maker(store, TINY, training=True)
    made = [process.make([place, place + 1], 0, place) for place in range(4)]
    for place, batch in enumerate(made):
        for part, expected in zip(batch, here.make([place, place + 1], 0, place), strict=True):
            np.testing.assert_array_equal(part, expected)
    process.close()


def test_a_process_that_was_killed_is_told_and_what_to_do(store, tmp_path):
    """Through TensorFlow, which tells only that some Python failed."""
    before = children()
    batches = Batches(store, TINY, training=True, workers=1, processes=True)
    (process,) = children() - before
    course = Course(TINY, ResumeFile(tmp_path / "s.npz", "{}"), batches, Clock(batches, 10, 3, print), {})
    batches[0]
    os.kill(process, signal.SIGKILL)
    with pytest.raises(IchflowError, match=r"makes batches was killed by SIGKILL.*mem_mb of train_fold.*fewer threads"):
        training.fit(training.untrained(TINY), TINY, batches, Batches(store, TINY, training=False), course)
    batches.close()


def test_signals_that_end_a_whole_job_are_left_to_the_training(store):
    before = children()
    batches = Batches(store, TINY, training=True, workers=1, processes=True)
    (process,) = children() - before
    first = batches[0]
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(process, number)
    assert_equal_batches(batches[0], first)
    batches.close()


PROGRAM = textwrap.dedent(
    """
    import sys, time
    sys.path.append(sys.argv[1])
    from pathlib import Path
    from ichflow.makers import MakerProcess
    from ichflow.slices import SliceStore
    from ichflow.recipes import Recipe
    folder = Path(sys.argv[2])
    recipe = Recipe.from_json((folder / "recipe.json").read_text())
    made = MakerProcess(SliceStore(sorted(folder.glob("*.parquet")), recipe.size, folder), recipe)
    made.make([0, 1], 0, 0)
    print(made._process.pid, flush=True)
    time.sleep(600)
    """
)


@pytest.mark.usefixtures("store")
def test_no_process_outlives_a_training_that_is_killed(tmp_path):
    (tmp_path / "recipe.json").write_text(json.dumps(TINY.as_dict()))
    command = [sys.executable, "-c", PROGRAM, str(ROOT / "scripts"), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as training_process:
        process = int(training_process.stdout.readline())
        assert is_alive(process)
        training_process.kill()
    wait_until_gone([process])


def test_threads_wait_for_nobody_else_s_batch(store):
    """Each process makes one batch at a time, whoever asks."""
    batches = Batches(store, TINY, training=True, workers=2, processes=True)
    expected = list(batches.stream())
    with ThreadPoolExecutor(3) as pool:
        for taken in pool.map(lambda _: list(batches.stream()), range(3)):
            for one, two in zip(taken, expected, strict=True):
                assert_equal_batches(one, two)
    batches.close()


@pytest.mark.parametrize(
    ("accelerator", "part", "count"), [(True, "training", 2), (True, "validation", 0), (False, "training", 0)]
)
def test_processes_make_what_a_gpu_is_trained_on(store, tmp_path, monkeypatch, accelerator, part, count):
    """Not validation, which changes nothing, and not on a CPU, which has no core to spare for them."""
    monkeypatch.setattr(training.hardware, "has_accelerator", lambda: accelerator)
    before = children()
    made = training._batches(part, sorted(tmp_path.glob("*.parquet")), TINY, tmp_path, 2, 1)
    assert len(children() - before) == count
    made.close()
