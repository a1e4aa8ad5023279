"""phantom_tables: the tables, checksums and accompanying files of the generated dataset."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    from pathlib import Path

    from ichflow.files import read_json
    from ichflow.phantom import layout

    layout.write_tables(Path(snakemake.output[0]).parent, [read_json(path) for path in snakemake.input])
