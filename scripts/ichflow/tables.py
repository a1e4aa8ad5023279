"""Parquet tables that leave a stage: typed columns, the same bytes for the same rows."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ichflow.files import whole

Row = dict[str, Any]


def write(path: str | Path, rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> None:
    """Write rows as Parquet with just the columns and types of ``schema``, whole or not at all."""
    table = pa.Table.from_pylist([dict(row) for row in rows], schema=schema)
    with whole(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read(
    path: str | Path, columns: list[str] | None = None, filters: list[tuple[str, str, Any]] | None = None
) -> list[Row]:
    """Read a Parquet table as a list of rows, or only some columns and rows, as :func:`pyarrow.parquet.read_table`."""
    return pq.read_table(path, columns=columns, filters=filters).to_pylist()


def concatenate(paths: Iterable[str | Path], output: str | Path) -> None:
    """Join tables of one schema, in the order given, into one file."""
    with whole(output) as temporary:
        pq.write_table(pa.concat_tables([pq.read_table(path) for path in paths]), temporary, compression="zstd")


def write_csv(path: str | Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write rows as CSV for people, whole or not at all; what is not known stays empty."""
    with whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer: csv.DictWriter[str] = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
