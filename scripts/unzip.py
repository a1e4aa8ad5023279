"""unzip: the files of a zipped dataset to their places."""

from ichflow.job import logged

with logged(snakemake.log[0]) as tell:
    from ichflow.archive import AGAIN, Archive

    names = snakemake.params.names
    folder = snakemake.output[0].removesuffix(names[0])
    damaged = Archive(snakemake.input[0]).extract(names, folder)
    tell(f"{len(names)} files unpacked to {folder}")
    if damaged:
        tell(f"damaged in the zip, and empty now: {', '.join(damaged)}. {AGAIN}, or go on without them.")
