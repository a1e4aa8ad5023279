"""The shard contract."""

import itertools

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ichflow import shards
from ichflow.dataset import LABELS
from ichflow.errors import IchflowError
from ichflow.shards import Shard, ShardInfo

AFFINE = [[-0.5, 0.0, 0.0, 1.0], [0.0, 0.5, 0.0, 2.0], [0.0, 0.0, 5.0, 3.0], [0.0, 0.0, 0.0, 1.0]]


@pytest.fixture
def shard():
    random = np.random.default_rng(1)
    info = ShardInfo("049", 16, (32, 32, 3), AFFINE, {"scan": "a" * 64, "mask": "b" * 64})
    labels = np.zeros((3, len(LABELS)), bool)
    labels[1, 3] = True
    return Shard(
        info,
        random.integers(-1000, 2000, (3, 16, 16)).astype(np.int16),
        (random.random((3, 16, 16)) > 0.9).astype(np.uint8),
        labels,
        np.array([0, 7, 0], np.int32),
    )


def test_what_is_written_is_read(shard, tmp_path):
    shards.write(tmp_path / "049.parquet", shard)
    found = shards.read(tmp_path / "049.parquet")
    assert found.info == shard.info
    for name in ("hu", "mask", "labels", "mask_pixels"):
        np.testing.assert_array_equal(getattr(found, name), getattr(shard, name))
        assert getattr(found, name).dtype == getattr(shard, name).dtype


def test_the_same_shard_is_the_same_bytes(shard, tmp_path):
    for name in ("a.parquet", "b.parquet"):
        shards.write(tmp_path / name, shard)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_columns_are_those_of_the_contract(shard, tmp_path):
    shards.write(tmp_path / "049.parquet", shard)
    file = pq.ParquetFile(tmp_path / "049.parquet")
    assert file.num_row_groups == 1
    assert file.schema_arrow.names == [
        "patient",
        "slice",
        "hu",
        "mask",
        *LABELS,
        "has_hemorrhage",
        "mask_pixels",
        "pixel_area_mm2",
        "slice_spacing_mm",
    ]
    row = file.read().slice(1, 1).to_pylist()[0]
    assert (row["patient"], row["slice"], row["epidural"], row["has_hemorrhage"]) == ("049", 2, True, True)
    assert (row["pixel_area_mm2"], row["slice_spacing_mm"]) == (0.25, 5.0)
    np.testing.assert_array_equal(np.frombuffer(row["hu"], "<i2").reshape(16, 16), shard.hu[1])


def test_a_patient_set_aside_has_no_rows_but_reasons(tmp_path):
    shards.write(tmp_path / "049.parquet", shards.empty(ShardInfo("049", 16, set_aside=["scan_unreadable: …"])))
    found = shards.read(tmp_path / "049.parquet")
    assert found.hu.shape == (0, 16, 16)
    assert found.info.set_aside == ["scan_unreadable: …"]


def test_another_contract_is_refused_by_name(tmp_path):
    pq.write_table(pa.table({"patient": ["049"]}), tmp_path / "049.parquet")
    with pytest.raises(IchflowError, match=r"049\.parquet.*contract version None, expected 3"):
        shards.read(tmp_path / "049.parquet")


def test_a_damaged_shard_is_refused_by_name(shard, tmp_path):
    shards.write(tmp_path / "049.parquet", shard)
    content = (tmp_path / "049.parquet").read_bytes()
    (tmp_path / "049.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(IchflowError, match=r"049\.parquet.*delete it"):
        shards.read(tmp_path / "049.parquet")


def test_a_wrong_byte_anywhere_in_a_shard_is_named_or_changes_nothing(shard, tmp_path):
    path = tmp_path / "049.parquet"
    shards.write(path, shard)
    content = path.read_bytes()
    named = 0
    places = range(0, len(content), 3)
    for place, wrong in zip(places, itertools.cycle([0x50, 0x08, 0x01, 0xFF]), strict=False):
        path.write_bytes(content[:place] + bytes([content[place] ^ wrong]) + content[place + 1 :])
        try:
            found = shards.read(path)
        except IchflowError as error:
            named += 1
            assert str(path) in str(error)
            continue
        assert found.info == shard.info
        for name in ("hu", "mask", "labels", "mask_pixels"):
            np.testing.assert_array_equal(getattr(found, name), getattr(shard, name))
    assert named > len(places) / 2
