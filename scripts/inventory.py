"""inventory: one row a patient."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    from ichflow import dataset, inventory, tables
    from ichflow.files import read_json

    people = dataset.read_demographics(snakemake.params.folder)
    verified = [read_json(path) for path in snakemake.input.verified]
    rows = [inventory.row(patient, people.get(patient["patient"])) for patient in verified]
    tables.write(snakemake.output.parquet, rows, inventory.SCHEMA)
    tables.write_csv(snakemake.output.csv, rows, inventory.SCHEMA.names)
