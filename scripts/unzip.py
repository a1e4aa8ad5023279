"""unzip: the files of a zipped dataset to their places."""

from ichflow.job import logged

with logged(snakemake.log[0]) as tell:
    from ichflow.archive import Archive

    size = Archive(snakemake.input[0]).extract(snakemake.params.names, snakemake.params.folder)
    tell(f"{len(snakemake.params.names)} files, {size / 1e6:.1f} MB unpacked to {snakemake.params.folder}")
