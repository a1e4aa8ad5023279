"""figure_overlays: truth and prediction of some test patients."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    import pandas as pd
    from ichflow import figures, gallery

    patients, given = snakemake.params.patients, snakemake.input
    views = gallery.predictions(
        pd.read_parquet(given.metrics),
        snakemake.wildcards.model,
        dict(zip(patients, given.shards, strict=True)),
        dict(zip(patients, given.masks, strict=True)),
    )
    figures.overlays(views, snakemake.output[0])
