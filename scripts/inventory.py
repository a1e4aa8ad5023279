"""inventory: one row a patient."""

from ichflow.job import logged

with logged(snakemake.log[0]) as tell:
    from ichflow import inventory, tables
    from ichflow.files import read_json

    rows = inventory.mark_repeated([inventory.row(read_json(path)) for path in snakemake.input.verified])
    tables.write(snakemake.output.parquet, rows, inventory.SCHEMA)
    tables.write_csv(snakemake.output.csv, rows, inventory.SCHEMA.names)
    tell(inventory.told(rows))
