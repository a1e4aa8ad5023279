"""unzip: the files of a zipped dataset to their places."""

from ichflow.job import logged

with logged(snakemake.log[0]) as tell:
    from ichflow.archive import Archive

    names = snakemake.params.names
    folder = snakemake.output[0].removesuffix(names[0])
    size = Archive(snakemake.input[0]).extract(names, folder)
    tell(f"{len(names)} files, {size / 1e6:.1f} MB unpacked to {folder}")
