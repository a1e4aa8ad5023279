"""dataset_statistics: the counts of the original study."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    from ichflow import inventory, tables

    rows = inventory.statistics(tables.read(snakemake.input.inventory), tables.read(snakemake.input.splits))
    tables.write_csv(snakemake.output[0], rows, ["measure", "value"])
