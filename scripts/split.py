"""split: the part of every patient in every fold."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    from ichflow import splits, tables

    keys = {key: snakemake.params[key] for key in ("folds", "test_share", "validation_share", "seed")}
    rows = splits.split(tables.read(snakemake.input[0]), **keys)
    tables.write(snakemake.output.parquet, rows, splits.SCHEMA)
    tables.write_csv(snakemake.output.csv, rows, splits.SCHEMA.names)
