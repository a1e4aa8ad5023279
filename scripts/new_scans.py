"""new_scans: a row a scan, the likeliest hemorrhage first."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    from ichflow import newscans_table, tables

    given = snakemake.input
    rows = map(newscans_table.row, given.verifications, given.slices, given.masks)
    tables.write_csv(snakemake.output[0], newscans_table.by_score(rows), newscans_table.SCHEMA.names)
