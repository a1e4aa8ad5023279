"""browse_patient: one patient's file for the case browser."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    from ichflow import shards, viewer

    given, params = snakemake.input, snakemake.params
    masks = dict(zip(params.models, given.masks, strict=True))
    viewer.write(snakemake.output[0], shards.read(given.shard), masks, params.threshold_hu)
