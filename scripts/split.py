"""split: the part of every patient in every fold."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    from ichflow import splits, tables

    rows = splits.split(
        tables.read(snakemake.input[0]), **{key: value for key, value in snakemake.params.items() if key != "contract"}
    )
    tables.write(snakemake.output.parquet, rows, splits.SCHEMA)
    tables.write_csv(snakemake.output.csv, rows, splits.SCHEMA.names)
