"""The course of a training: its history, its progress, and the time it waits for data."""

import dataclasses
import time

import numpy as np
import pytest
from ichflow import networks, shards, training
from ichflow.batches import Batches
from ichflow.clock import Clock
from ichflow.course import Course
from ichflow.resume import ResumeFile
from ichflow.slices import SliceStore
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_training import TINY, blob_shard

SHORT = dataclasses.replace(TINY, epochs=3)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    for number in range(49, 53):
        shards.write(folder / f"{number:03d}.parquet", blob_shard(f"{number:03d}", number % 2))
    return sorted(folder.iterdir())


def trained(recipe, paths, folder, **keys):
    state = ResumeFile(folder / "state.npz", "{}")
    return training.train(recipe, paths[:2], paths[2:], folder, state, workers=2, **keys)


def test_the_history_has_the_learning_rate_of_each_epoch(paths, tmp_path, monkeypatch):
    """It is the one with which the network is trained."""
    recipe = dataclasses.replace(SHORT, schedule="cosine", warmup=1)
    told, used, end = [], [], Course.on_test_end

    def noted(self, logs=None):
        used.append(float(self.model.optimizer.learning_rate))
        end(self, logs)

    monkeypatch.setattr(Course, "on_test_end", noted)
    _, facts, history = trained(recipe, paths, tmp_path, tell=told.append)
    assert used == pytest.approx([row["learning_rate"] for row in history])
    assert [row["learning_rate"] for row in history] == pytest.approx(
        [0.5 * TINY.learning_rate, TINY.learning_rate, 0.5 * TINY.learning_rate]
    )
    told = [line for line in told if "next to nothing" not in line]  # as so short a training finds
    assert len(told) == 3
    assert told[1].startswith("epoch 2/3: loss ")
    assert "waiting for data" in told[1]
    assert told[1].endswith(" s left")
    assert 0 <= facts["waiting"] < 1


def test_each_epoch_has_slices_of_its_own(paths, tmp_path, monkeypatch):
    begun, begin = [], Batches.begin_at

    def noted(self, epoch):
        begin(self, epoch)
        if self._training:
            begun.append((epoch, self._order.tolist()))

    monkeypatch.setattr(Batches, "begin_at", noted)
    trained(SHORT, paths, tmp_path)
    assert [epoch for epoch, _ in begun] == [0, 0, 1, 2]  # the first when the batches are made
    assert begun[1] != begun[2] != begun[3]


def test_the_first_steps_compilation_is_no_waiting_for_data(paths, tmp_path):
    """TensorFlow asks for the first batch when it is done with that; here it takes most of the epoch."""
    _, facts, _ = trained(dataclasses.replace(SHORT, epochs=1), paths, tmp_path)
    assert facts["waiting"] < 0.5


@pytest.mark.parametrize("workers", [1, 2])
def test_the_time_a_step_waits_for_its_batch_is_told(paths, tmp_path, monkeypatch, workers):
    make = Batches._batch

    def slow(self, *where):
        time.sleep(0.5)
        return make(self, *where)

    shares, recipe = {}, SHORT
    for name in ("quick", "slow"):
        store = SliceStore(paths, TINY.size, tmp_path)
        batches = Batches(store, recipe, training=True, workers=workers)
        clock = Clock(batches, recipe.batch_size, recipe.epochs, print)
        course = Course(recipe, ResumeFile(tmp_path / f"{name}.npz", "{}"), batches, clock, {})
        model = training.untrained(recipe)
        training.fit(model, recipe, batches, Batches(store, recipe, training=False), course)
        shares[name] = clock.waiting_share
        monkeypatch.setattr(Batches, "_batch", slow)
    assert 0 <= shares["quick"] < shares["slow"] <= 1


def test_averaged_weights_are_judged_and_kept(paths, tmp_path):
    """With a momentum of nearly one they stay near the first ones, whatever is learned."""
    start = networks.build(SHORT).trainable_weights
    kept = {}
    for momentum in (0.0, 0.9999):
        (folder := tmp_path / str(momentum)).mkdir()
        model, _, _ = trained(dataclasses.replace(SHORT, weight_average=momentum), paths, folder)
        pairs = zip(model.trainable_weights, start, strict=True)
        kept[momentum] = max(float(np.abs(np.asarray(one) - np.asarray(other)).max()) for one, other in pairs)
    assert kept[0.9999] < 0.02 < kept[0.0]


def test_tensorboard_finds_what_it_wants(paths, tmp_path):
    trained(dataclasses.replace(SHORT, epochs=2), paths, tmp_path, tensorboard=tmp_path / "events")
    events = EventAccumulator(str(tmp_path / "events" / "validation"))
    events.Reload()
    assert {"epoch_loss", "epoch_dice"} <= set(events.Tags()["tensors"])


def test_without_it_nothing_is_left(paths, tmp_path):
    trained(dataclasses.replace(SHORT, epochs=1), paths, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["state.npz"]
