"""A training that is killed goes on, and ends as one that was left alone."""

import dataclasses
import errno
import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
from ichflow import resume, shards, training
from ichflow.errors import IchflowError
from ichflow.resume import ResumeFile
from support import QUICK_XLA, ROOT
from test_training import TINY, blob_shard

PROGRAM = textwrap.dedent(
    """
    import json, logging, os, sys, tempfile
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_NUM_INTRAOP_THREADS": "2"}
    sys.path.append(sys.argv[1])
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s", force=True)
    from pathlib import Path
    import numpy as np
    if os.environ.get("DEVICES"):
        import tensorflow as tf
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * int(os.environ["DEVICES"]),
        )
    from ichflow import training
    from ichflow.recipes import Recipe
    from ichflow.resume import ResumeFile
    folder, output = Path(sys.argv[2]), Path(sys.argv[3])
    paths = sorted((folder / "shards").iterdir())
    state = ResumeFile(output / "state.npz", json.dumps({"recipe": json.loads(sys.argv[4])}))
    with tempfile.TemporaryDirectory(dir=output) as scratch:
        model, facts, history = training.train(
            Recipe.from_json(sys.argv[4]), paths[:4], paths[4:], scratch, state, workers=2
        )
    np.savez(output / "weights.npz", *model.get_weights())
    (output / "history.json").write_text(json.dumps([history, facts["best_epoch"]]))
    """
)
# All that has a state of its own: dropout, batch normalization, augmentation, the halving of the learning rate
RECIPE = TINY.as_dict() | {"dropout": 0.5, "epochs": 7, "halve_after": 1, "stop_after": 7, "learning_rate": 0.02}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resume")
    (folder / "shards").mkdir()
    for number in range(49, 55):
        shards.write(folder / "shards" / f"{number:03d}.parquet", blob_shard(f"{number:03d}", number % 2))
    return folder


def started(folder, output, recipe, environment):
    output.mkdir(exist_ok=True)
    command = [sys.executable, "-c", PROGRAM, str(ROOT / "scripts"), str(folder), str(output), json.dumps(recipe)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, env=os.environ | environment, text=True, **pipes)


def run(folder, output, recipe, until=None, how=None, environment=None):
    """Train, to the end or until a line is told; return what was told."""
    process = started(folder, output, recipe, environment or {})
    told = []
    for line in process.stdout:
        told.append(line)
        if until and until in line:
            os.kill(process.pid, how)
    process.stdout.close()
    status = process.wait()
    assert status == (-how if until else 0), "".join(told)
    return "".join(told)


# All else that one epoch leaves to the next, in the other number format
OTHER = RECIPE | {"residual": True, "schedule": "cosine", "warmup": 1, "weight_average": 0.9, "epochs": 4}
OTHER |= {"precision": "mixed_bfloat16", "loss": "dice_focal"}


TWO_DEVICES = {
    "KERAS_BACKEND": "jax",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": f"--xla_force_host_platform_device_count=2 {QUICK_XLA}",
}


@pytest.mark.parametrize(
    "environment",
    [{}, {"DEVICES": "2"}, TWO_DEVICES],
    ids=["tensorflow", "two devices of tensorflow", "two devices of jax"],
)
def test_averaged_weights_and_the_schedule_go_on_as_well(folder, tmp_path, environment):
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    # JAX compiles the same program in each process, unless it finds it here
    environment = environment | {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "compiled")}
    run(folder, alone, OTHER, environment=environment)
    run(folder, killed, OTHER, until="epoch 2/4", how=signal.SIGKILL, environment=environment)
    assert "going on after epoch" in run(folder, killed, OTHER, environment=environment)
    assert_same_end(killed, alone)


def test_a_training_of_two_devices_goes_on_with_one(folder, tmp_path):
    run(folder, tmp_path / "run", OTHER, until="epoch 2/4", how=signal.SIGKILL, environment={"DEVICES": "2"})
    assert "going on after epoch 2" in run(folder, tmp_path / "run", OTHER)
    history, _ = json.loads((tmp_path / "run/history.json").read_text())
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]


def assert_same_end(killed, alone):
    assert (killed / "history.json").read_text() == (alone / "history.json").read_text()
    with np.load(alone / "weights.npz") as expected, np.load(killed / "weights.npz") as found:
        for name in expected.files:
            np.testing.assert_array_equal(found[name], expected[name])


def test_a_killed_training_ends_as_one_that_was_left_alone(folder):
    alone, killed = folder / "alone", folder / "killed"
    run(folder, alone, RECIPE)
    run(folder, killed, RECIPE, until="training: ", how=signal.SIGKILL)  # before the first epoch
    assert "going on" not in run(folder, killed, RECIPE, until="epoch 2/7", how=signal.SIGKILL)
    assert "going on after epoch" in run(folder, killed, RECIPE, until="epoch 5/7", how=signal.SIGTERM)
    assert "going on after epoch" in run(
        folder, killed, RECIPE, until="epoch 7/7", how=signal.SIGKILL
    )  # all but written
    assert "going on after epoch 7" in run(folder, killed, RECIPE)
    assert_same_end(killed, alone)
    rates = {row["learning_rate"] for row in json.loads((alone / "history.json").read_text())[0]}
    assert len(rates) > 1  # or the test would not see a schedule that starts over
    # What a kill leaves in the scratch folder holds no patient's slices
    assert not [path for path in killed.rglob("*") if path.is_file() and path.parent != killed]


@pytest.fixture
def state(tmp_path):
    return ResumeFile(tmp_path / "resume" / "state.npz", json.dumps({"recipe": 1, "shards": "a"}))


FACTS, ARRAYS = {"rows": [1, 2]}, {"best": [np.arange(5.0)], "variables": [np.eye(2), np.array(3)]}


def test_a_state_comes_back_as_it_was_saved_and_leaves_nothing(state):
    assert state.load(print) is None
    state.save(FACTS, ARRAYS)
    facts, arrays = state.load(print)
    assert facts == FACTS
    for name, group in ARRAYS.items():
        for one, other in zip(arrays[name], group, strict=True):
            np.testing.assert_array_equal(one, other)
    with state.alone(print):
        pass
    resume.remove(state.path)
    assert not list(state.path.parent.iterdir())


def test_trainings_that_save_and_end_at_the_same_moments_do_not_disturb_each_other(tmp_path):
    def save_and_end(fold):
        state = ResumeFile(tmp_path / "resume" / f"fold-{fold}.npz", "{}")
        for _ in range(200):
            state.save(FACTS, ARRAYS)
            resume.remove(state.path)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(save_and_end, range(4)))


def assert_set_aside(state, damaged):
    state.path.write_bytes(damaged)
    told = list[str]()
    assert state.load(told.append) is None
    assert "it is damaged" in told[0]
    assert state.path.with_name("state-damaged.npz").read_bytes() == damaged
    assert not state.path.exists()


@pytest.mark.parametrize("keep", [0, 10, 200, -50])
def test_a_state_that_was_cut_off_is_set_aside(state, keep):
    state.save(FACTS, ARRAYS)
    assert_set_aside(state, state.path.read_bytes()[:keep])


def test_a_wrong_byte_in_a_state_is_noticed(state):
    state.save(FACTS, ARRAYS)
    content = bytearray(state.path.read_bytes())
    place = content.index(np.float64(4.0).tobytes())
    content[place + 6] ^= 1
    assert_set_aside(state, content)


def test_a_wrong_bit_in_a_header_of_a_state_is_noticed(state):
    """That of encryption, as the central directory has it for each array."""
    state.save(FACTS, ARRAYS)
    content = bytearray(state.path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    assert_set_aside(state, content)


def test_a_wrong_size_of_an_array_in_a_state_is_no_want_of_memory(state):
    state.save(FACTS, {"best": [np.zeros(1000)]})
    content = state.path.read_bytes()
    right, wrong = b"(1000,), }" + b" " * 12, b"(1000000000000000,), }"
    assert right in content
    assert_set_aside(state, content.replace(right, wrong))


def test_a_training_takes_its_own_state_back_where_that_of_another_one_is_damaged(state):
    state.save(FACTS, ARRAYS)
    other = ResumeFile(state.path, json.dumps({"recipe": 2}))
    assert other.load(lambda line: None) is None
    state.path.write_bytes(b"half of another one")
    told = list[str]()
    facts, _ = state.load(told.append)
    assert facts == FACTS
    assert "it is damaged" in told[0]
    assert "its own, set aside before, is taken" in told[0]


def test_a_wrong_byte_anywhere_in_a_state_is_noticed_or_does_nothing(state):
    """Of an array so large that NumPy reads its header before zipfile has checked any byte of it."""
    kernel = np.random.default_rng(0).random((3, 3, 32, 16))
    state.save(FACTS, {"best": [kernel]})
    content = state.path.read_bytes()
    damaged = 0
    for place in [*range(2000), *range(len(content) - 400, len(content))]:
        state.path.write_bytes(content[:place] + bytes([content[place] ^ 0x50]) + content[place + 1 :])
        if (found := state.load(lambda line: None)) is None:
            damaged += 1
            continue
        np.testing.assert_array_equal(found[1]["best"][0], kernel)
    assert damaged > 1200


def test_a_state_is_on_the_disk_before_its_name(state, monkeypatch):
    """After a power failure there would be no state at all."""
    synced, sync = list[tuple[int, bool]](), os.fsync

    def seen(descriptor):
        sync(descriptor)
        synced.append((os.fstat(descriptor).st_ino, state.path.exists()))

    monkeypatch.setattr(os, "fsync", seen)
    state.save(FACTS, ARRAYS)
    assert synced == [(state.path.stat().st_ino, False)]


HOLDER = """
import sys
sys.path.append(sys.argv[1])
from ichflow.resume import ResumeFile
with ResumeFile(sys.argv[2], "{}").alone(print):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def files_of_a_kilobyte():
    """Let no file of this process become larger, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_state_for_which_there_is_no_room_is_told_and_that_of_before_stays(state):
    large, told = (
        {"best": [np.zeros(125_000)]},
        r"state\.npz: the state after this epoch, 1 MB, cannot be saved \(File too",
    )
    with files_of_a_kilobyte(), pytest.raises(IchflowError, match=told + ".*make room.*begins anew"):
        state.save({"epochs": 1}, large)
    state.save({"epochs": 1}, ARRAYS)
    with files_of_a_kilobyte(), pytest.raises(IchflowError, match=told + ".*make room.*epoch before"):
        state.save({"epochs": 2}, large)
    assert state.load(print)[0] == {"epochs": 1}
    assert [path.name for path in state.path.parent.iterdir()] == ["state.npz"]


@pytest.mark.parametrize("how", ["ends", "is killed", "its machine is down"])
def test_a_state_is_used_by_one_training_at_a_time(state, how):
    command, told = [sys.executable, "-c", HOLDER, str(ROOT / "scripts"), str(state.path)], list[str]()
    lock = state.path.with_suffix(".lock")
    with subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == "held\n"

        def act(line):
            told.append(line)
            if how == "its machine is down":
                lock.unlink()
                return
            {"ends": other.stdin.close, "is killed": other.kill}[how]()
            other.wait(60)

        with state.alone(act):
            assert (other.poll() is None) == (how == "its machine is down")
            assert f"process {os.getpid()} on " in lock.read_text()
    assert len(told) == 1
    assert f"another training (process {other.pid} on " in told[0]
    with state.alone(told.append):
        assert len(told) == 1


def test_what_a_kill_left_of_a_state_is_removed_and_nothing_else(state):
    state.save(FACTS, ARRAYS)
    folder, name = state.path.parent, state.path.name
    left, others = folder / f".123.{name}", [folder / f".123.other-{name}", folder / f".123.a.{name}"]
    for path in (left, *others):
        path.write_bytes(b"half")
    state.save(FACTS, ARRAYS)
    assert not left.exists()
    left.write_bytes(b"half")
    resume.remove(state.path)
    assert sorted(folder.iterdir()) == sorted(others)


def test_a_state_of_another_training_is_set_aside(state):
    state.save(FACTS, ARRAYS)
    other = ResumeFile(state.path, json.dumps({"recipe": 2, "shards": "a"}))
    told = list[str]()
    assert other.load(told.append) is None
    assert "of another training: recipe differ" in told[0]
    assert "training begins anew" in told[0]
    assert not state.path.exists()
    assert len(list(state.path.parent.glob("state-other-*.npz"))) == 1


def test_a_training_comes_back_to_its_state_after_others_had_theirs(state):
    """To try a key and another one, and to go back, costs no epoch."""
    states = [state, *(ResumeFile(state.path, json.dumps({"recipe": {"loss": loss}})) for loss in "ab")]
    for number, one in enumerate(states):
        assert one.load(lambda line: None) is None
        one.save({"rows": [number]}, ARRAYS)
    for number, one in enumerate(states):
        told = list[str]()
        facts, _ = one.load(told.append)
        assert facts == {"rows": [number]}
        assert "its own, set aside before, is taken" in told[0]
    told = list[str]()
    states[1].load(told.append)
    assert "recipe (loss) differ" in told[0]


@pytest.mark.parametrize("error", [MemoryError("no room"), OSError(errno.EIO, "Input/output error")])
def test_a_state_that_cannot_be_read_now_is_left_where_it_is(state, monkeypatch, error):
    state.save(FACTS, ARRAYS)
    saved = state.path.read_bytes()

    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(resume.np, "load", fail)
    with pytest.raises(IchflowError, match=r"state\.npz: the state to resume from cannot be read"):
        state.load(print)
    assert state.path.read_bytes() == saved


VERSIONS = training.versions()
DIGESTS = {"train": {"049": "a", "050": "b"}, "validation": {"051": "c"}}


@pytest.mark.parametrize(
    ("recipe", "digests", "differ"),
    [
        (TINY, DIGESTS, ""),
        (dataclasses.replace(TINY, elastic=0.9), DIGESTS, "recipe (elastic) differ"),
        (TINY, {"train": {"049": "a", "050": "other"}, "validation": {"051": "c"}}, "shards (train) differ"),
        (TINY, {"train": {"049": "a"}, "validation": {"050": "b", "051": "c"}}, "shards (train, validation) differ"),
    ],
    ids=["the same", "recipe", "shard", "split"],
)
def test_a_training_goes_on_from_its_own_recipe_split_and_shards_alone(tmp_path, recipe, digests, differ):
    training.state_of(tmp_path / "state.npz", TINY, DIGESTS).save(FACTS, ARRAYS)
    told = list[str]()
    found = training.state_of(tmp_path / "state.npz", recipe, digests).load(told.append)
    assert (found is None) == bool(differ)
    assert differ in "".join(told)
    assert bool(list(tmp_path.glob("state-other-*.npz"))) == bool(differ)


@pytest.mark.parametrize("name", ["versions", "contract"])
def test_a_training_does_not_go_on_from_another_version(tmp_path, monkeypatch, name):
    training.state_of(tmp_path / "state.npz", TINY, DIGESTS).save(FACTS, ARRAYS)
    monkeypatch.setattr(training, "versions", lambda: {"keras": "0"} if name == "versions" else VERSIONS)
    monkeypatch.setattr(training.contracts, "TRAINING", -1 if name == "contract" else training.contracts.TRAINING)
    told = list[str]()
    assert training.state_of(tmp_path / "state.npz", TINY, DIGESTS).load(told.append) is None
    assert {"versions": "versions (", "contract": "contract differ"}[name] in told[0]


def test_a_training_with_a_damaged_state_begins_anew_and_says_so(folder, tmp_path):
    paths = sorted((folder / "shards").iterdir())
    recipe = dataclasses.replace(TINY, epochs=1)
    damaged = training.state_of(tmp_path / "state.npz", recipe, DIGESTS)
    damaged.path.write_bytes(b"nothing of the kind")
    told = list[str]()
    _, facts, history = training.train(recipe, paths[:4], paths[4:], tmp_path, damaged, workers=1, tell=told.append)
    assert facts["epochs"] == len(history) == 1
    assert any("the state to resume from is not used, since it is damaged" in line for line in told)
    assert (tmp_path / "state-damaged.npz").read_bytes() == b"nothing of the kind"
    assert damaged.load(print) is not None


def interrupted(folder, tmp_path, recipe):
    """Train for two epochs; return where the state is."""

    def interrupt(line):
        if line.startswith("epoch 2/"):
            raise KeyboardInterrupt

    paths = sorted((folder / "shards").iterdir())
    state = training.state_of(tmp_path / "state.npz", recipe, DIGESTS)
    with pytest.raises(KeyboardInterrupt):
        training.train(recipe, paths[:4], paths[4:], tmp_path, state, workers=1, tell=interrupt)
    return paths, state


def test_a_state_that_knows_of_one_device_only_is_gone_on_from(folder, tmp_path):
    """As those were that an earlier version left."""
    recipe = dataclasses.replace(TINY, epochs=3)
    paths, state = interrupted(folder, tmp_path, recipe)
    facts, arrays = state.load(print)
    state.save(facts, {name: arrays[name] for name in ("variables", "best")})
    _, facts, _ = training.train(recipe, paths[:4], paths[4:], tmp_path, state, workers=1)
    assert facts["epochs"] == 3


@pytest.mark.parametrize("threads", [1, 2])
def test_a_training_that_goes_on_with_other_threads_says_so(folder, tmp_path, threads):
    recipe = dataclasses.replace(TINY, epochs=3)
    paths, state = interrupted(folder, tmp_path, recipe)
    told = list[str]()
    _, facts, _ = training.train(recipe, paths[:4], paths[4:], tmp_path, state, workers=threads, tell=told.append)
    expected = [(1, 1)] if threads == 1 else [(1, 1), (3, 2)]
    assert [(machine["from_epoch"], machine["threads"]) for machine in facts["machines"]] == expected
    assert any("another machine than before (threads 2 instead of 1)" in line for line in told) == (threads == 2)
