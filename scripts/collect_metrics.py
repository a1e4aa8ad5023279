"""collect_metrics: all patients' metrics in one table."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    from ichflow import tables

    tables.concatenate(snakemake.input, snakemake.output[0])
