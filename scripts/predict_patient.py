"""predict_patient: one patient, by the fold that did not see it."""

from ichflow.job import logged

with logged(snakemake.log[0]):
    from ichflow import prediction, shards, splits, tables

    patient, model = snakemake.wildcards.patient, snakemake.wildcards.model
    membership = splits.fold_and_part(tables.read(snakemake.input.splits), patient)
    shard = shards.read(snakemake.input.shard)
    files = snakemake.input.models
    if snakemake.params.trained and membership:
        files = [files[membership[0]]]
    found = prediction.predict(
        shard.info, shard.hu, model, files, membership, snakemake.threads, snakemake.params.precision
    )
    found.write(snakemake.output.slices, snakemake.output.mask, snakemake.output.probability)
